#pragma once
// Linear stability of the mean state: Phillips' problem with bottom drag. A disturbance
// psi_z = Re[a_z exp(i (k x + l y - omega t))] of wavenumber (k, l) obeys
//   dq_hat/dt = -i k U_z q_hat - i k Q_z psi_hat + r_ek K^2 psi_2_hat e_2,   q_hat = inverse of the inversion,
// whose two eigenvalues are -i omega. It grows at the rate Im(omega) [1/s]. The filter has no part in this.
#include "solvers/qg2layer/params.hpp"

#include <array>
#include <complex>
#include <string>
#include <vector>

namespace sns::qg2layer {

/// The faster growing of a wavenumber's two modes.
struct Mode {
  int i = 0, j = 0;                             ///< row (l) and column (k) of the half spectrum
  std::complex<double> omega;                   ///< frequency and growth rate [1/s]
  std::array<std::complex<double>, 2> q{1, 0};  ///< PV amplitudes of the layers, largest modulus 1

  double growth() const { return omega.imag(); }
};

/// Integer wavenumber of row i (l) is spectral::row_wavenumber(i, n), of column j (k) is j.
Mode unstable_mode(const Params& params, int i, int j, bool with_drag = true);

/// omega of every wavenumber, [n][n/2+1]; 0 for the mean.
std::vector<std::complex<double>> frequencies(const Params& params, bool with_drag = true);

/// The fastest growing mode of the grid among k > 0 and K r_d < 4 (the layers of shorter waves are as good as
/// decoupled); of several equal ones the first in the order of rows. Its growth is not positive where the flow
/// is stable.
Mode most_unstable(const Params& params, bool with_drag = true);

/// "(k, l) = (7, 0) grows by 0.006735 /day (e-folding in 148.5 days), ...", or "no mode grows".
std::string describe(const Mode& mode, const Params& params);

}  // namespace sns::qg2layer
