#pragma once
// Isotropic spectra of half-plane densities, in the two conventions of the field.
#include <cmath>
#include <span>
#include <vector>

namespace sns::spectral {

/// The larger of two values, and NaN where either is NaN (std::max drops some of them).
inline double larger(double a, double b) {
  return std::isnan(a) || a > b ? a : b;
}

/// How many modes of the full plane a mode in column j of a half plane [n][n/2+1] stands for.
inline double column_weight(int j, int n) {
  return j == 0 || j == n / 2 ? 1 : 2;
}
/// Sum over the full plane of a density [n][n/2+1].
double full_plane_sum(std::span<const double> density, int n);

/// A spectrum: value against wavenumber [2 pi / length of the domain, in radians per unit length].
struct Spectrum {
  std::vector<double> k, value;
};

/// How far shells go.
enum class Shells {
  to_nyquist,  ///< up to n/2
  to_corners   ///< up to sqrt(2) n/2: the values add up to the full-plane sum
};

/// Integer shells: value[m] = sum of `density` over all modes of the full plane with round(|k| / unit) = m,
/// m = 0, 1, ... Interior columns of the half plane count twice. `density` is [n][n/2+1]; unit = 2 pi / length.
Spectrum shell_spectrum(std::span<const double> density, int n, double unit,
                        Shells shells = Shells::to_nyquist);
/// Its wavenumbers alone.
std::vector<double> shell_wavenumbers(int n, double unit, Shells shells);

/// pyqg's options of calc_ispec, with its defaults.
struct RingOptions {
  bool averaging = true;  ///< mean density in a ring times the ring's area; otherwise the sum over width
  bool truncate = true;   ///< up to n/2; otherwise up to the corners, sqrt(2) n/2
};

/// pyqg's calc_ispec (pyqg/diagnostic_tools.py), which the SNS paper's figures use: rings of width dk sqrt(2),
/// value = mean density in the ring times ring area pi, doubled for the half plane, with first and last column
/// halved. Ring means are biased at low wavenumbers; use shells for budgets. Neither averaged nor truncated,
/// the values times the width add up to the sum over the whole plane.
Spectrum ring_spectrum(std::span<const double> density, int n, double unit, const RingOptions& options = {});

}  // namespace sns::spectral
