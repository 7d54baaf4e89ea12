#pragma once
// What a backend needs to know to advance Kolmogorov flow. Free of heavy headers: CUDA sources include it.
#include "solvers/spectral/engine.hpp"
#include "solvers/spectral/grid.hpp"
#include "solvers/spectral/stepper.hpp"

#include <memory>

namespace sns::kolmogorov {

enum class Advection {
  advective,  ///< -(u w_x + v w_y), five real transforms a stage; jax-cfd's form, step for step
  basdevant   ///< (d_yy - d_xx)(uv) + d_xy(u^2 - v^2), four; the same to rounding on dealiased states
};

/// dw/dt + u.grad w = nu lap w - mu w - A k_f cos(k_f y), k_f = 2 pi m / L.
struct Params {
  spectral::Grid grid{64, 6.283185307179586};
  double viscosity = 1e-3;       ///< nu [length^2/time]
  double drag = 0.1;             ///< mu [1/time]
  int forcing_wavenumber = 4;    ///< m, periods of the forcing per domain
  double forcing_amplitude = 1;  ///< A [length/time^2]
  spectral::Dealiasing dealiasing = spectral::Dealiasing::jaxcfd;
  Advection advection = Advection::basdevant;
  spectral::StepperName stepper = spectral::StepperName::cn_rk4;
  double dt = 1e-3;  ///< [time]
  bool single_precision = false;
  spectral::FftPlanning planning = spectral::FftPlanning::estimate;

  double forcing_k() const { return grid.unit() * forcing_wavenumber; }
};

/// On CPU cores by FFTW; `workers` members may be advanced at once.
std::unique_ptr<spectral::Engine> make_fftw_engine(const Params& params, int members, int workers);

}  // namespace sns::kolmogorov
