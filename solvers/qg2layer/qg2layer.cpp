#include "solvers/qg2layer/qg2layer.hpp"

#include "solvers/configuration.hpp"
#include "solvers/cuda_plugin.hpp"
#include "solvers/ensemble_setup.hpp"
#include "solvers/qg2layer/courant.hpp"
#include "solvers/qg2layer/file_diagnostics.hpp"

#include <algorithm>
#include <cmath>

namespace sns::qg2layer {
namespace {

using spectral::FftPlanning;

constexpr const char* kPde =
    "dq1/dt + J(psi1, q1) + U1 dq1/dx + Q1 dpsi1/dx = ssd, dq2/dt + J(psi2, q2) + U2 dq2/dx + Q2 dpsi2/dx = "
    "-bottom_drag lap(psi2) + ssd, q1 = lap(psi1) + F1 (psi2 - psi1), q2 = lap(psi2) + F2 (psi1 - psi2), "
    "u = -dpsi/dy, v = dpsi/dx; ssd: exponential filter of the state, once per step";

std::string stepper_text(const Params& p) {
  if (p.stepper == StepperName::rk4) return "rk4";
  return p.startup == Startup::euler ? "ab3 (Euler start)" : "ab3 (Runge-Kutta start)";
}

SolverInfo describe(const Params& p, const std::string& backend) {
  SolverInfo info;
  info.system = "qg2layer";
  info.title = fmt::format("Two-layer quasi-geostrophic flow, {0} x {0} grid, {1}", p.grid.n, stepper_text(p));
  info.pde = kPde;
  info.precision = p.single_precision ? "float32" : "float64";
  info.backend = backend;
  info.fields = {{"q_upper", "s^-1", "potential vorticity anomaly of the upper layer"},
                 {"q_lower", "s^-1", "potential vorticity anomaly of the lower layer"}};
  info.stacked = {{"q", "s^-1", "potential vorticity anomaly"}, "layer"};
  info.axes = {{"y", grid_points(p.grid, kGridOffset), "m"}, {"x", grid_points(p.grid, kGridOffset), "m"}};
  info.parameters = {{"beta", p.beta},
                     {"bottom_drag", p.bottom_drag},
                     {"deformation_radius", p.deformation_radius},
                     {"depth_ratio", p.depth_ratio},
                     {"upper_depth", p.upper_depth},
                     {"mean_flow_upper", p.mean_flow[0]},
                     {"mean_flow_lower", p.mean_flow[1]},
                     {"filter_cutoff", p.filter.cutoff},
                     {"filter_strength", p.filter.strength},
                     {"grid_points", static_cast<double>(p.grid.n)},
                     {"domain_length", p.grid.length},
                     {"F1", p.stretching(0)},
                     {"F2", p.stretching(1)},
                     {"Q1", p.pv_gradient(0)},
                     {"Q2", p.pv_gradient(1)}};
  info.scalars = {
      {"beta", p.beta},       {"rek", p.bottom_drag}, {"delta", p.depth_ratio}, {"rd", p.deformation_radius},
      {"U1", p.mean_flow[0]}, {"U2", p.mean_flow[1]}, {"L", p.grid.length}};
  info.dt = p.dt;
  info.time_units = "s";
  info.diagnostics = scalar_diagnostics();
  info.array_diagnostics = array_diagnostics();
  info.diagnostic_axes = diagnostic_axes(p);
  return info;
}

void read_stepper(Section section, Params& p) {
  choose(section, "name", p.stepper, {{"ab3", StepperName::ab3}, {"rk4", StepperName::rk4}});
  section.need("dt", p.dt, positive);
  if (p.stepper == StepperName::ab3)
    choose(section, "startup", p.startup, {{"euler", Startup::euler}, {"runge_kutta", Startup::runge_kutta}});
}

}  // namespace

Qg2LayerConfig read_config(Section& solver) {
  Qg2LayerConfig config;
  Params& p = config.params;
  read_grid(solver.child("grid"), p.grid);
  solver.need("beta", p.beta, non_negative);
  solver.need("bottom_drag", p.bottom_drag, non_negative);
  solver.need("deformation_radius", p.deformation_radius, positive);
  solver.need("depth_ratio", p.depth_ratio, positive);
  solver.maybe("upper_depth", p.upper_depth, positive);
  std::vector<double> mean_flow;
  solver.need("mean_flow", mean_flow);
  if (mean_flow.size() != 2)
    solver.reject("mean_flow",
                  fmt::format("holds {} values; the velocities of the upper and the lower layer are "
                              "needed, as [0.025, 0.0]",
                              mean_flow.size()));
  std::copy(mean_flow.begin(), mean_flow.end(), p.mean_flow);
  Section filter = solver.child("filter");
  filter.maybe("cutoff", p.filter.cutoff, positive);
  filter.maybe("strength", p.filter.strength, non_negative);
  read_stepper(solver.child("stepper"), p);
  choose(solver, "precision", p.single_precision, {{"float32", true}, {"float64", false}});
  choose(solver, "fft_planning", p.planning,
         {{"estimate", FftPlanning::estimate}, {"measure", FftPlanning::measure}});
  config.max_courant = std::floor(1000 * stable_courant(p)) / 1000;
  solver.maybe("max_courant", config.max_courant, positive);
  config.initial = read_initial(solver.child("initial"), p);
  return config;
}

std::unique_ptr<Solver> make_qg2layer(const Qg2LayerConfig& config, std::uint64_t seed, int members,
                                      int threads, const std::string& device) {
  const Params& p = config.params;
  spectral::EnsembleSetup setup =
      ensemble_setup(p, {members, threads, device}, config.max_courant, describe, stepper_text(p));
  setup.info.initial_states = config.initial.states;
  setup.initial = [p, initial = config.initial, seed](std::uint64_t trajectory, std::span<double> out) {
    initial_state(p, initial, seed, trajectory, out);
  };
  const auto fields = std::make_shared<FieldDiagnostics>(p);
  setup.diagnostics = [fields](std::span<const double> state) { return scalar_values(*fields, state); };
  setup.array_diagnostics = [fields](std::span<const double> state) { return array_values(*fields, state); };
  return std::make_unique<spectral::EnsembleSolver>(std::move(setup));
}

}  // namespace sns::qg2layer
