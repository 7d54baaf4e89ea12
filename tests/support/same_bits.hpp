#pragma once
#include <cstring>
#include <vector>

namespace sns::test {

/// Whether two runs gave the same values bit for bit, not a number and the sign of zero included.
inline bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

}  // namespace sns::test
