#pragma once
// What a backend needs to know to advance two-layer quasi-geostrophic flow. Free of heavy headers: CUDA sources
// include it. SI units. Layer 0 of every array is the upper layer (subscript 1), layer 1 the lower one.
#include "solvers/spectral/engine.hpp"
#include "solvers/spectral/grid.hpp"

#include <memory>

namespace sns::qg2layer {

enum class StepperName {
  ab3,  ///< third-order Adams-Bashforth, one evaluation of the tendency per step; pyqg's scheme
  rk4   ///< classical Runge-Kutta, four evaluations
};

/// How AB3 gets the two earlier tendencies that it needs.
enum class Startup {
  euler,       ///< Euler, then AB2, as pyqg: the error of the first step leaves the whole run second order
  runge_kutta  ///< two RK4 steps: third order
};

/// The state is multiplied, once per step, by 1 where w = sqrt((k dx)^2 + (l dy)^2) <= cutoff pi and by
/// exp(-strength (w - cutoff pi)^4) beyond.
struct Filter {
  double cutoff = 0.65;    ///< fraction of the Nyquist wavenumber
  double strength = 23.6;  ///< 0 switches the filter off
};

/// Position of the first grid point along either axis, in spacings: points are cell centres, as pyqg's.
inline constexpr double kGridOffset = 0.5;

/// q1 = lap psi1 + F1 (psi2 - psi1), q2 = lap psi2 + F2 (psi1 - psi2), anomalies from the mean state:
///   dq1/dt + J(psi1, q1) + U1 dq1/dx + Q1 dpsi1/dx = ssd
///   dq2/dt + J(psi2, q2) + U2 dq2/dx + Q2 dpsi2/dx = -r_ek lap psi2 + ssd.
/// Defaults are the jet case of the SNS paper on a 64 x 64 grid.
struct Params {
  spectral::Grid grid{64, 1e6};       ///< length [m]
  double beta = 1e-11;                ///< planetary vorticity gradient [1/(m s)]
  double bottom_drag = 7e-8;          ///< r_ek, linear drag on the lower layer's vorticity [1/s]
  double deformation_radius = 15000;  ///< r_d [m]; F1 + F2 = r_d^-2
  double depth_ratio = 0.1;           ///< delta = H1 / H2
  double upper_depth = 500;           ///< H1 [m]; only layer weights depend on it, and through delta alone
  double mean_flow[2] = {0.025, 0};   ///< U1, U2 [m/s]
  Filter filter;
  StepperName stepper = StepperName::ab3;
  Startup startup = Startup::euler;
  double dt = 3600;  ///< [s]
  bool single_precision = false;
  spectral::FftPlanning planning = spectral::FftPlanning::estimate;

  /// H_z / H, the share of a layer (0 upper, 1 lower) in the total depth.
  double weight(int layer) const { return (layer == 0 ? depth_ratio : 1.0) / (1.0 + depth_ratio); }
  /// F1 = r_d^-2 / (1 + delta), F2 = delta F1 [1/m^2].
  double stretching(int layer) const {
    const double f1 = 1.0 / (deformation_radius * deformation_radius) / (1.0 + depth_ratio);
    return layer == 0 ? f1 : depth_ratio * f1;
  }
  double shear() const { return mean_flow[0] - mean_flow[1]; }
  /// Meridional gradient of the mean PV, Q1 = beta + F1 (U1 - U2), Q2 = beta - F2 (U1 - U2) [1/(m s)].
  double pv_gradient(int layer) const {
    return layer == 0 ? beta + stretching(0) * shear() : beta - stretching(1) * shear();
  }
};

/// On CPU cores; `workers` members may be advanced at once.
std::unique_ptr<spectral::Engine> make_fftw_engine(const Params& params, int members, int workers);

}  // namespace sns::qg2layer
