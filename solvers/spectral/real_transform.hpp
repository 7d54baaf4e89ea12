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

struct ResampleOptions {
  bool filtered = false;  ///< zeroes the smaller grid's Nyquist row and column, which otherwise are kept
  double offset = 0;      ///< of the first point of either grid from the origin, in that grid's spacings
};

/// An n x n field at the points of an m x m grid of the same domain, n and m even. m > n: trigonometric
/// interpolation, which gives the field's own values wherever the grids share a point. m < n: truncation to the
/// modes that the new grid holds; with an offset, `filtered` only (Error), as a single Nyquist mode cannot be
/// moved by part of its wavelength.
std::vector<double> resample(std::span<const double> field, int n, int m, const ResampleOptions& options = {});

}  // namespace sns::spectral
