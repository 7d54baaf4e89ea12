#pragma once
// Kolmogorov solvers for tests.
#include "solvers/kolmogorov/diagnostics.hpp"
#include "solvers/kolmogorov/params.hpp"
#include "tests/support/solver_cases.hpp"

namespace sns::test {

/// Solver of the given physics at rest; `overrides` are keys of the solver block ("stepper.name", "cn_rk2").
inline std::unique_ptr<Solver> make_case(const kolmogorov::Params& p, const Overrides& overrides,
                                         int members = 1, int threads = 1, std::uint64_t seed = 1) {
  return solver_of(
      fmt::format("{{system: kolmogorov, grid: {{points: {}, length: {:.17g}}}, viscosity: {:.17g}, "
                  "drag: {:.17g}, "
                  "forcing: {{wavenumber: {}, amplitude: {:.17g}}}, stepper: {{name: cn_rk4, dt: {:.17g}}}}}",
                  p.grid.n, p.grid.length, p.viscosity, p.drag, p.forcing_wavenumber, p.forcing_amplitude,
                  p.dt),
      overrides, members, threads, seed);
}

}  // namespace sns::test
