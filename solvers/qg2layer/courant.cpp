#include "solvers/qg2layer/courant.hpp"

#include "solvers/qg2layer/equation.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <complex>
#include <numbers>

namespace sns::qg2layer {
namespace {

using Z = std::complex<double>;

constexpr int kWavenumbers = 400;  ///< at which stability is looked at
constexpr int kRootIterations = 40;
constexpr int kBisections = 30;
/// Growth per step that counts as none: roots on the unit circle are found to some 1e-12.
constexpr double kNoGrowth = 1e-9;

/// Largest root of z^3 = f (z^2 (1 + 23/12 i t) - 16/12 i t z + 5/12 i t), all three by Durand and Kerner's
/// iteration.
double amplification_ab3(double turn, double filter) {
  const Z a = filter * Z{1, 23.0 / 12 * turn}, b{0, -16.0 / 12 * turn * filter}, c{0, 5.0 / 12 * turn * filter};
  std::array<Z, 3> root{Z{1, 0}, Z{0.4, 0.9}, Z{-0.65, 0.72}};
  for (int iteration = 0; iteration < kRootIterations; ++iteration)
    for (std::size_t r = 0; r < 3; ++r) {
      const Z z = root[r];
      root[r] -= (((z - a) * z - b) * z - c) / ((z - root[(r + 1) % 3]) * (z - root[(r + 2) % 3]));
    }
  return std::max({std::abs(root[0]), std::abs(root[1]), std::abs(root[2])});
}

double amplification_rk4(double turn, double filter) {
  const Z x{0, turn};
  return filter * std::abs(1.0 + x * (1.0 + x / 2.0 * (1.0 + x / 3.0 * (1.0 + x / 4.0))));
}

bool stable(const Params& params, double courant) {
  for (int i = 1; i <= kWavenumbers; ++i) {
    const double w = std::sqrt(2.0) * std::numbers::pi * i / kWavenumbers, filter = filter_at(params.filter, w);
    const double amplification = params.stepper == StepperName::ab3 ? amplification_ab3(courant * w, filter)
                                                                    : amplification_rk4(courant * w, filter);
    if (amplification > 1 + kNoGrowth) return false;
  }
  return true;
}

}  // namespace

double stable_courant(const Params& params) {
  double low = 0, high = 4;
  for (int i = 0; i < kBisections; ++i) {
    const double middle = 0.5 * (low + high);
    (stable(params, middle) ? low : high) = middle;
  }
  return low;
}

}  // namespace sns::qg2layer
