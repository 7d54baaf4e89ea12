#include "solvers/spectral/real_transform.hpp"

#include "core/error.hpp"
#include "solvers/spectral/resample_kernels.hpp"

#include <algorithm>
#include <numbers>

namespace sns::spectral {
namespace {

/// Values at x + shift (in domain lengths, along both axes) instead of at x.
void translate(Complex<double>* modes, const Grid& grid, double shift) {
  for (int i = 0; i < grid.n; ++i)
    for (int j = 0; j < grid.columns(); ++j, ++modes) {
      const auto phase = std::polar(1.0, 2 * std::numbers::pi * shift * (row_wavenumber(i, grid.n) + j));
      const std::complex<double> moved = phase * std::complex<double>(modes->re, modes->im);
      *modes = {moved.real(), moved.imag()};
    }
}

}  // namespace

RealTransform::RealTransform(int n)
    : grid_{n, 1},
      forward_(FftwPlan<double>::real_to_complex_2d(n, FftPlanning::estimate)),
      inverse_(FftwPlan<double>::complex_to_real_2d(n, FftPlanning::estimate)),
      field_(grid_.points()),
      spectrum_(grid_.modes()) {}

std::span<const std::complex<double>> RealTransform::forward(std::span<const double> field) {
  require(field.size() == grid_.points(), "a field of {} values is not {} x {}", field.size(), n(), n());
  std::copy(field.begin(), field.end(), field_.data());
  forward_.execute(field_.data(), spectrum_.data());
  return {reinterpret_cast<const std::complex<double>*>(spectrum_.data()), grid_.modes()};
}

void RealTransform::inverse(std::span<const std::complex<double>> spectrum, std::span<double> field) {
  require(spectrum.size() == grid_.modes() && field.size() == grid_.points(),
          "an inverse transform of {} modes to {} values is not of a {} x {} grid", spectrum.size(),
          field.size(), n(), n());
  const double scale = 1.0 / static_cast<double>(grid_.points());
  for (std::size_t i = 0; i < spectrum.size(); ++i)
    spectrum_.data()[i] = {scale * spectrum[i].real(), scale * spectrum[i].imag()};
  inverse_.execute(spectrum_.data(), field_.data());
  std::copy(field_.data(), field_.data() + grid_.points(), field.begin());
}

std::vector<double> resample(std::span<const double> field, int n, int m, const ResampleOptions& options) {
  require(options.offset == 0 || options.filtered || m >= n,
          "a field of {0} x {0} points cannot be moved to {1} x {1} with its Nyquist modes", n, m);
  RealTransform given(n);
  const auto spectrum = given.forward(field);
  const Grid target{m, 1};
  HostBuffer<Complex<double>> modes(target.modes());
  FftwBackend<double>{}.for_each_mode(
      1, m, all_modes(target),
      CopyModes<double>{reinterpret_cast<const Complex<double>*>(spectrum.data()), modes.data(), n, m,
                        options.filtered && m != n});
  if (options.offset != 0 && m != n) translate(modes.data(), target, options.offset / m - options.offset / n);
  HostBuffer<double> values(target.points());
  FftwPlan<double>::complex_to_real_2d(m, FftPlanning::estimate).execute(modes.data(), values.data());
  return {values.data(), values.data() + target.points()};
}

}  // namespace sns::spectral
