#pragma once
// Kolmogorov solvers for tests.
#include "core/config.hpp"
#include "solvers/kolmogorov/diagnostics.hpp"
#include "solvers/kolmogorov/params.hpp"
#include "tests/support/solver_cases.hpp"

namespace sns::test {

/// Solver of the given physics at rest; `overrides` are keys of the solver block ("stepper.name", "cn_rk2").
inline std::unique_ptr<Solver> make_case(const kolmogorov::Params& p, const Overrides& overrides,
                                         int members = 1, int threads = 1, std::uint64_t seed = 1) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : overrides) keys.push_back("solver." + key + "=" + value);
  const Config config = Config::parse(
      fmt::format("solver: {{system: kolmogorov, grid: {{points: {}, length: {:.17g}}}, viscosity: {:.17g}, "
                  "drag: {:.17g}, "
                  "forcing: {{wavenumber: {}, amplitude: {:.17g}}}, stepper: {{name: cn_rk4, dt: {:.17g}}}}}",
                  p.grid.n, p.grid.length, p.viscosity, p.drag, p.forcing_wavenumber, p.forcing_amplitude,
                  p.dt),
      keys);
  Section section = config.root().child("solver");
  auto solver = make_solver(section, seed, members, threads);
  config.finish();
  return solver;
}

}  // namespace sns::test
