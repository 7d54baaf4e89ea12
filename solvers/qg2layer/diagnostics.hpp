#pragma once
// Integrals, energy budget, spectra and jets of two-layer quasi-geostrophic states, in double precision. A
// state is the PV anomaly q[layer][y][x] [1/s], layer 0 the upper one. Densities are half planes [n][n/2+1]
// over (l, k >= 0), normalised so that the sum over the whole plane (interior columns twice) is the domain
// mean.
#include "solvers/qg2layer/params.hpp"
#include "solvers/spectral/real_transform.hpp"
#include "solvers/spectral/spectra.hpp"

#include <array>
#include <complex>
#include <span>
#include <vector>

namespace sns::qg2layer {

/// Domain means of a state. With del1 = H1/H and del2 = H2/H:
///   dE/dt = ape_generation - bottom_drag - filter_dissipation,  E = kinetic + available_potential.
struct Integrals {
  std::array<double, 2> kinetic_layer{};  ///< <|grad psi_z|^2>/2 of each layer [m2 s-2]; eddy part, without U
  double kinetic = 0;                     ///< sum of H_z/H times these [m2 s-2]
  double available_potential = 0;         ///< r_d^-2 del1 del2 <(psi1 - psi2)^2>/2 [m2 s-2]
  std::array<double, 2> enstrophy{};      ///< <q_z^2>/2 [s-2]
  double ape_generation = 0;              ///< from the shear, pyqg's APEgenspec summed [m2 s-3]
  double bottom_drag = 0;                 ///< r_ek del2 <|u_2|^2>, pyqg's EKEdiss [m2 s-3]
  double filter_dissipation = 0;  ///< rate at which the filter removes energy, as pyqg's Dissspec [m2 s-3]
  double max_speed = 0;           ///< max |(u_z + U_z, v_z)| [m/s]

  double energy() const { return kinetic + available_potential; }
};

/// What each mode contributes to the energy budget [m2 s-3]: positive feeds energy into the mode.
struct BudgetDensities {
  std::vector<double> ape_generation;  ///< pyqg's APEgenspec
  std::vector<double> ape_flux;  ///< by advection of the thickness, pyqg's APEflux; sums to 0 but for aliasing
  std::vector<double> kinetic_flux;  ///< by advection of vorticity, pyqg's KEflux; sums to 0 but for aliasing
  std::vector<double> bottom_drag;   ///< pyqg's KEfrictionspec, negative
  std::vector<double> filter_dissipation;  ///< negative
};

/// Zonal-mean flow of one state.
struct Jets {
  std::array<std::vector<double>, 2> u;  ///< zonal mean of u_z(y) [m/s], without U_z
  std::array<int, 2> wavenumber{};       ///< l > 0 with the largest |u_hat(l)|: the number of jets per domain
};

/// Evaluates states of one grid; keeps plans and scratch memory, so one object per thread.
class FieldDiagnostics {
 public:
  explicit FieldDiagnostics(const Params& params);

  Integrals integrals(std::span<const double> state);
  BudgetDensities budget(std::span<const double> state);
  Jets jets(std::span<const double> state);

  /// psi[layer][y][x] [m2/s]; zero mean.
  std::vector<double> streamfunction(std::span<const double> state);
  /// u[layer][y][x], v[layer][y][x] [m/s], without the mean flow.
  void velocity(std::span<const double> state, std::span<double> u, std::span<double> v);
  /// Transform of dq/dt of one layer after another, [layer][n][n/2+1], unnormalised: advection by the flow and
  /// the mean flow, the mean PV gradient and bottom drag.
  std::vector<std::complex<double>> tendency(std::span<const double> state);

  /// K^2 |psi_hat|^2 / n^4 of a layer: pyqg's KEspec, which integrates to twice the kinetic energy.
  std::vector<double> kinetic_density(std::span<const double> state, int layer);
  /// |q_hat|^2 / n^4 of a layer: pyqg's Ensspec, twice the enstrophy.
  std::vector<double> enstrophy_density(std::span<const double> state, int layer);

  /// pyqg's calc_ispec of KEspec.
  spectral::Spectrum kinetic_rings(std::span<const double> state, int layer) {
    return rings(kinetic_density(state, layer));
  }
  /// Integer shells up to the corners, whose values add up to the layer's kinetic energy.
  spectral::Spectrum kinetic_shells(std::span<const double> state, int layer) {
    return half_in_shells(kinetic_density(state, layer));
  }
  /// pyqg's calc_ispec of Ensspec.
  spectral::Spectrum enstrophy_rings(std::span<const double> state, int layer) {
    return rings(enstrophy_density(state, layer));
  }
  /// Integer shells up to the corners, whose values add up to the layer's enstrophy.
  spectral::Spectrum enstrophy_shells(std::span<const double> state, int layer) {
    return half_in_shells(enstrophy_density(state, layer));
  }
  /// Integer shells up to the corners of any density, as those of the budget.
  spectral::Spectrum shells(std::span<const double> density) const;

  const Params& params() const { return params_; }

 private:
  using Spectra = std::array<std::vector<std::complex<double>>, 2>;

  Spectra transform(std::span<const double> state);
  Spectra invert(const Spectra& q_hat) const;
  /// Transform of u dot grad(field), in flux form; all arguments on the grid.
  std::vector<std::complex<double>> advect(std::span<const double> field, std::span<const double> u,
                                           std::span<const double> v);
  std::vector<double> inverse(const std::vector<std::complex<double>>& spectrum);
  std::vector<std::complex<double>> tendency_of(const Spectra& psi_hat, std::span<const double> state);
  void velocity_of(const Spectra& psi_hat, std::span<double> u, std::span<double> v);
  /// dE/dt of each mode by the filter, were the next step an Euler step.
  std::vector<double> filter_density(const Spectra& q_hat, const Spectra& psi_hat,
                                     std::span<const double> state);
  spectral::Spectrum rings(std::span<const double> density) const;
  spectral::Spectrum half_in_shells(std::vector<double> density) const;
  double k(int j) const { return params_.grid.unit() * j; }
  double l(int i) const { return params_.grid.unit() * spectral::row_wavenumber(i, params_.grid.n); }

  Params params_;
  spectral::RealTransform transform_;
  std::vector<double> filter_;  ///< what one step multiplies a mode by, [n][n/2+1]
};

/// The quantity that the SNS paper's figures call the kinetic-energy spectrum of a layer: the normalised eddy
/// PV (any n x n frame, divided by field_std) is treated as if it were a streamfunction,
///   sum over the bin of K^2 |q_hat|^2 / (2 n^4),  K in cycles per domain, K > 0,
/// in `bins` equal bins on [0, max K), left edges included, as numpy's digitize sorts them. It weighs small
/// scales much more than a kinetic-energy spectrum.
/// k of the result is the centre of the bin in radians per metre for a domain of `length`.
spectral::Spectrum paper_qg_pv(std::span<const double> pv, int n, double length, double field_std = 1,
                               int bins = 64);

}  // namespace sns::qg2layer
