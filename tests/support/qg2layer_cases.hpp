#pragma once
// Two-layer quasi-geostrophic solvers for tests.
#include "core/hdf5.hpp"
#include "solvers/qg2layer/params.hpp"
#include "tests/support/solver_cases.hpp"

namespace sns::test {

/// The eddy case on n x n points, with the time step of its 64 x 64 runs.
inline qg2layer::Params eddy_case(int n) {
  qg2layer::Params p;
  p.grid.n = n;
  p.beta = 1.5e-11;
  p.bottom_drag = 5.787e-7;
  p.depth_ratio = 0.25;
  return p;
}

/// Solver of the given physics at rest; `overrides` are keys of the solver block ("stepper.startup",
/// "runge_kutta").
inline std::unique_ptr<Solver> make_case(const qg2layer::Params& p, const Overrides& overrides, int members = 1,
                                         int threads = 1, std::uint64_t seed = 1,
                                         std::string_view device = "cpu") {
  return solver_of(
      fmt::format(
          "{{system: qg2layer, grid: {{points: {}, length: {:.17g}}}, beta: {:.17g}, "
          "bottom_drag: {:.17g}, deformation_radius: {:.17g}, depth_ratio: {:.17g}, upper_depth: {:.17g}, "
          "mean_flow: [{:.17g}, {:.17g}], filter: {{cutoff: {:.17g}, strength: {:.17g}}}, "
          "stepper: {{name: ab3, dt: {:.17g}}}}}",
          p.grid.n, p.grid.length, p.beta, p.bottom_drag, p.deformation_radius, p.depth_ratio, p.upper_depth,
          p.mean_flow[0], p.mean_flow[1], p.filter.cutoff, p.filter.strength, p.dt),
      overrides, members, threads, seed, device);
}

/// Physics of a recorded pyqg run.
inline qg2layer::Params params_of(const h5::Group& file) {
  qg2layer::Params p;
  p.grid = {static_cast<int>(file.attribute<std::int64_t>("nx")), file.attribute<double>("L")};
  p.beta = file.attribute<double>("beta");
  p.bottom_drag = file.attribute<double>("rek");
  p.deformation_radius = file.attribute<double>("rd");
  p.depth_ratio = file.attribute<double>("delta");
  p.upper_depth = file.attribute<double>("H1");
  p.mean_flow[0] = file.attribute<double>("U1");
  p.mean_flow[1] = file.attribute<double>("U2");
  p.dt = file.attribute<double>("dt");
  return p;
}

}  // namespace sns::test
