#pragma once
// Integrals and spectra of a vorticity field w[x][y] on the periodic square, in double precision.
#include "solvers/kolmogorov/params.hpp"
#include "solvers/spectral/real_transform.hpp"
#include "solvers/spectral/spectra.hpp"

#include <complex>
#include <span>
#include <vector>

namespace sns::kolmogorov {

/// Means over the domain. Budgets: dE/dt = injection - 2 nu Z - 2 mu E and
/// dZ/dt = enstrophy_injection - 2 nu P - 2 mu Z.
struct Integrals {
  double energy = 0;               ///< E = <|u|^2>/2 [length^2/time^2]
  double enstrophy = 0;            ///< Z = <w^2>/2 [1/time^2]
  double palinstrophy = 0;         ///< P = <|grad w|^2>/2 [1/(length^2 time^2)]
  double injection = 0;            ///< <u A sin(k_f y)> [length^2/time^3]
  double enstrophy_injection = 0;  ///< <-A k_f cos(k_f y) w> [1/time^3]
  double max_speed = 0;            ///< max |(u, v)| on the grid [length/time]
};

/// Evaluates fields of one grid; keeps plans and scratch memory, so one object per thread.
class FieldDiagnostics {
 public:
  explicit FieldDiagnostics(const spectral::Grid& grid);
  Integrals integrals(std::span<const double> vorticity, int forcing_wavenumber, double forcing_amplitude);
  /// u[x][y], v[x][y].
  void velocity(std::span<const double> vorticity, std::span<double> u, std::span<double> v);
  /// |u_hat|^2 + |v_hat|^2 of the unnormalised half spectrum [n][n/2+1].
  std::vector<double> velocity_power(std::span<const double> vorticity);

 private:
  spectral::Grid grid_;
  spectral::RealTransform transform_;
};

/// Kinetic-energy spectra of vorticity fields w[x][y]; usable on any n x n array without a solver. One object
/// per thread.
class KolmogorovSpectrum {
 public:
  explicit KolmogorovSpectrum(int n, double length = 6.283185307179586);

  /// Integer shells: E(k) = sum over the shell of |u_hat|^2 / (2 n^4), which add up to the energy, save for the
  /// corners of the plane where they end at n/2.
  spectral::Spectrum shells(std::span<const float> vorticity,
                            spectral::Shells shells = spectral::Shells::to_nyquist);
  spectral::Spectrum shells(std::span<const double> vorticity,
                            spectral::Shells shells = spectral::Shells::to_nyquist);
  /// The SNS paper's figures: ring_spectrum of |u_hat|^2 + |v_hat|^2 with unnormalised transforms of
  /// vorticity / field_std: no 1/2 and no 1/n^4, so it is 2 n^4 E(k) / field_std^2 in pyqg's rings.
  spectral::Spectrum paper(std::span<const float> vorticity, double field_std = 1);
  spectral::Spectrum paper(std::span<const double> vorticity, double field_std = 1);

 private:
  spectral::Grid grid_;
  FieldDiagnostics fields_;
};

}  // namespace sns::kolmogorov
