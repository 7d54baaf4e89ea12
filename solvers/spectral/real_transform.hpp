#pragma once
// Double-precision transforms of single fields on the host: initial conditions, diagnostics, spectra and
// resampling, where speed does not matter.
#include "solvers/spectral/fftw_backend.hpp"

#include <complex>
#include <span>
#include <vector>

namespace sns::spectral {

/// Real n x n field <-> half spectrum [n][n/2+1], in numpy's rfft2/irfft2 convention (forward unnormalised,
/// inverse divided by n^2). One object per thread.
class RealTransform {
 public:
  explicit RealTransform(int n);
  int n() const { return grid_.n; }
  /// The spectrum stays valid until the next call.
  std::span<const std::complex<double>> forward(std::span<const double> field);
  void inverse(std::span<const std::complex<double>> spectrum, std::span<double> field);

 private:
  Grid grid_;
  FftwPlan<double> forward_, inverse_;
  HostBuffer<double> field_;
  HostBuffer<Complex<double>> spectrum_;
};

/// Band-limited copy of an n x n field on an m x m grid: truncation (m < n) or padding with zeros (m > n).
/// `filtered` zeroes the smaller grid's Nyquist row and column, which otherwise stay as they are.
std::vector<double> resample(std::span<const double> field, int n, int m, bool filtered = false);

}  // namespace sns::spectral
