#include "solvers/qg2layer/stability.hpp"

#include "core/error.hpp"

#include <Eigen/Dense>

#include <algorithm>
#include <cmath>

namespace sns::qg2layer {

Mode unstable_mode(const Params& params, int i, int j, bool with_drag) {
  using Matrix = Eigen::Matrix2cd;
  Mode mode;
  mode.i = i;
  mode.j = j;
  if (i == 0 && j == 0) return mode;
  constexpr std::complex<double> kI{0, 1};
  const double k = params.grid.unit() * j, l = params.grid.unit() * spectral::row_wavenumber(i, params.grid.n);
  const double k2 = k * k + l * l, f1 = params.stretching(0), f2 = params.stretching(1);
  const double determinant = k2 * (k2 + f1 + f2);
  Matrix inverse;  // psi_hat of q_hat
  inverse << -(k2 + f2), -f1, -f2, -(k2 + f1);
  inverse /= determinant;
  Matrix u = Matrix::Zero(), gradient = Matrix::Zero(), drag = Matrix::Zero();
  for (int z = 0; z < 2; ++z) {
    u(z, z) = params.mean_flow[z];
    gradient(z, z) = params.pv_gradient(z);
  }
  drag(1, 1) = with_drag ? params.bottom_drag * k2 : 0;
  // -i omega q = rate q, so omega = i rate.
  const Matrix rate = -kI * k * (u + gradient * inverse) + drag * inverse;
  const Eigen::ComplexEigenSolver<Matrix> solver(kI * rate);
  require(solver.info() == Eigen::Success, "the stability of wavenumber ({}, {}) cannot be computed", j,
          spectral::row_wavenumber(i, params.grid.n));
  const int fastest = solver.eigenvalues()(0).imag() >= solver.eigenvalues()(1).imag() ? 0 : 1;
  mode.omega = solver.eigenvalues()(fastest);
  // The phase of an eigenvector is free: the larger amplitude is made real.
  const Eigen::Vector2cd q = solver.eigenvectors().col(fastest);
  const std::complex<double> larger = std::abs(q(0)) >= std::abs(q(1)) ? q(0) : q(1);
  mode.q = {q(0) / larger, q(1) / larger};
  return mode;
}

std::vector<std::complex<double>> frequencies(const Params& params, bool with_drag) {
  std::vector<std::complex<double>> omega;
  for (int i = 0; i < params.grid.n; ++i)
    for (int j = 0; j < params.grid.columns(); ++j)
      omega.push_back(unstable_mode(params, i, j, with_drag).omega);
  return omega;
}

Mode most_unstable(const Params& params, bool with_drag) {
  // Nyquist modes do not belong to the flow: half of their phases are not on the grid.
  const int n = params.grid.n;
  const double largest = 4 / (params.deformation_radius * params.grid.unit());
  Mode fastest;
  for (int i = 0; i < n; ++i)
    for (int j = 1; j < n / 2; ++j) {
      if (i == n / 2 || std::hypot(spectral::row_wavenumber(i, n), j) > std::max(largest, 1.0)) continue;
      const Mode mode = unstable_mode(params, i, j, with_drag);
      // Opposite l grow alike up to rounding: a later one has to be faster by more than that.
      if (fastest.j == 0 || mode.growth() > fastest.growth() + 1e-12 * std::abs(fastest.growth()))
        fastest = mode;
    }
  return fastest;
}

std::string describe(const Mode& mode, const Params& params) {
  if (mode.growth() <= 0) return "no mode grows";
  constexpr double kDay = 86400;
  const int l = spectral::row_wavenumber(mode.i, params.grid.n);
  return fmt::format(
      "(k, l) = ({}, {}) grows by {:.8g} /day (e-folding in {:.4g} days), frequency {:.8g} /day, wavelength "
      "{:.4g} km, "
      "|q_lower / q_upper| = {:.4g}",
      mode.j, l, mode.growth() * kDay, 1 / (mode.growth() * kDay), mode.omega.real() * kDay,
      params.grid.length / std::hypot(mode.j, l) / 1000, std::abs(mode.q[1]) / std::abs(mode.q[0]));
}

}  // namespace sns::qg2layer
