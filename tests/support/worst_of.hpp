#pragma once
#include <algorithm>
#include <cmath>
#include <initializer_list>

namespace sns::test {

/// The largest of some errors; infinite where one is NaN, which std::max passes over.
inline double worst_of(std::initializer_list<double> errors) {
  double worst = 0;
  for (const double error : errors) worst = std::isnan(error) ? INFINITY : std::max(worst, error);
  return worst;
}

}  // namespace sns::test
