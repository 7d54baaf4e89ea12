#pragma once
// Kolmogorov solvers for tests.
#include "core/hdf5.hpp"
#include "solvers/kolmogorov/diagnostics.hpp"
#include "solvers/kolmogorov/initial.hpp"
#include "solvers/kolmogorov/params.hpp"
#include "tests/support/solver_cases.hpp"
#include "tests/support/worst_of.hpp"

#include <algorithm>
#include <cmath>

namespace sns::test {

/// Solver of the given physics at rest; `overrides` are keys of the solver block ("stepper.name", "cn_rk2").
inline std::unique_ptr<Solver> make_case(const kolmogorov::Params& p, const Overrides& overrides,
                                         int members = 1, int threads = 1, std::uint64_t seed = 1,
                                         std::string_view device = "cpu") {
  return solver_of(
      fmt::format("{{system: kolmogorov, grid: {{points: {}, length: {:.17g}}}, viscosity: {:.17g}, "
                  "drag: {:.17g}, "
                  "forcing: {{wavenumber: {}, amplitude: {:.17g}}}, stepper: {{name: cn_rk4, dt: {:.17g}}}}}",
                  p.grid.n, p.grid.length, p.viscosity, p.drag, p.forcing_wavenumber, p.forcing_amplitude,
                  p.dt),
      overrides, members, threads, seed, device);
}

/// Physics of a recorded jax-cfd run.
inline kolmogorov::Params recorded_flow(const h5::Group& file) {
  kolmogorov::Params p;
  p.grid = {static_cast<int>(file.attribute<std::int64_t>("n")), 6.283185307179586};
  p.viscosity = file.attribute<double>("nu");
  p.drag = file.attribute<double>("drag");
  p.forcing_wavenumber = static_cast<int>(file.attribute<std::int64_t>("kf"));
  p.dt = file.attribute<double>("dt");
  p.advection = kolmogorov::Advection::advective;
  return p;
}

/// Largest |div| of a staggered velocity by backward differences.
inline double max_divergence(const kolmogorov::StaggeredVelocity& velocity, const spectral::Grid& grid) {
  const auto n = static_cast<std::size_t>(grid.n);
  double largest = 0;
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j) {
      const double dx = velocity.u[i * n + j] - velocity.u[(i + n - 1) % n * n + j];
      const double dy = velocity.v[i * n + j] - velocity.v[i * n + (j + n - 1) % n];
      largest = worst_of({largest, std::abs(dx + dy) / grid.spacing()});
    }
  return largest;
}

}  // namespace sns::test
