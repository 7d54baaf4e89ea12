#pragma once
// Fields of which everything is known.
#include <cmath>
#include <numbers>
#include <vector>

namespace sns::test {

/// w = amplitude cos(kx x + ky y + phase) on n x n points.
inline std::vector<float> wave(int n, int kx, int ky, double amplitude, double phase = 0) {
  std::vector<float> field;
  for (int i = 0; i < n; ++i)
    for (int j = 0; j < n; ++j)
      field.push_back(
          static_cast<float>(amplitude * std::cos(2 * std::numbers::pi * (kx * i + ky * j) / n + phase)));
  return field;
}

}  // namespace sns::test
