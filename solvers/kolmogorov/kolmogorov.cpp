#include "solvers/kolmogorov/kolmogorov.hpp"

#include "solvers/configuration.hpp"
#include "solvers/cuda_plugin.hpp"
#include "solvers/ensemble_setup.hpp"
#include "solvers/initial_file.hpp"
#include "solvers/kolmogorov/diagnostics.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace sns::kolmogorov {
namespace {

using spectral::Dealiasing;
using spectral::FftPlanning;
using spectral::Shells;
using spectral::StepperName;

void read_initial(Section section, const Params& params, InitialConfig& c) {
  section.maybe("kind", c.kind, one_of({"filtered_velocity", "rest", "laminar", "taylor_green", "file"}));
  section.maybe("max_velocity", c.max_velocity, positive);
  section.maybe("peak_wavenumber", c.peak_wavenumber, positive);
  section.maybe("iterations", c.iterations, at_least_one);
  section.maybe("wavenumber", c.wavenumber, at_least_one);
  read_initial_path(section, c.kind, c.kind == "file", c.path, c.resample);
  // Resolved configurations hold every key: its default counts as left out.
  const InitialConfig defaults;
  const bool random = c.kind == "filtered_velocity";
  check_use(section, c.kind, "max_velocity", c.max_velocity != defaults.max_velocity, random);
  check_use(section, c.kind, "peak_wavenumber", c.peak_wavenumber != defaults.peak_wavenumber, random);
  check_use(section, c.kind, "iterations", c.iterations != defaults.iterations, random);
  check_use(section, c.kind, "wavenumber", c.wavenumber != defaults.wavenumber, c.kind == "taylor_green");
  if (c.kind == "laminar" && params.viscosity == 0 && params.drag == 0)
    section.reject("kind", "laminar: there is no steady laminar flow with neither viscosity nor drag");
  if (c.wavenumber >= params.grid.n / 2) section.reject("wavenumber", "must be below half the grid points");
  if (c.kind == "file")
    c.states = states_in_file(section, params.grid, c);
  else if (c.kind != "filtered_velocity")
    c.states = 1;
}

const char* stepper_name(StepperName name) {
  switch (name) {
    case StepperName::cn_rk4:
      return "cn_rk4";
    case StepperName::cn_rk3:
      return "cn_rk3";
    case StepperName::cn_rk2:
      return "cn_rk2";
    case StepperName::imex_euler:
      return "imex_euler";
    case StepperName::imex_rk_sil3:
      break;
  }
  return "imex_rk_sil3";
}

/// Courant number of a uniform flow at which the stepper's explicit part begins to amplify a mode that the 2/3
/// rule keeps, three digits, but at most 1. Of steppers that amplify all modes a little, 1.
double default_courant(const Params& p) {
  const spectral::KeptModes kept = kept_modes(p.grid.n, p.dealiasing);
  // Such a flow turns the mode in the corner of the kept rectangle fastest, if it runs along its wavenumber.
  const double largest = std::hypot(std::max(kept.low - 1, kept.high), kept.columns - 1);
  const double limit = spectral::stable_turn(p.stepper) * p.grid.n / (2 * std::numbers::pi * largest);
  return limit > 0 ? std::min(1.0, std::floor(1000 * limit) / 1000) : 1;
}

SolverInfo describe(const Params& p, const std::string& backend) {
  const double k2_max = std::pow(p.grid.unit() * (p.grid.n / 2), 2);
  SolverInfo info;
  info.system = "kolmogorov";
  info.title = fmt::format("Kolmogorov flow, {0} x {0} grid, viscosity {1}", p.grid.n, p.viscosity);
  info.pde =
      "dw/dt + u dw/dx + v dw/dy = nu lap(w) - mu w - A k cos(k y), lap(psi) = -w, u = dpsi/dy, v = -dpsi/dx";
  info.precision = p.single_precision ? "float32" : "float64";
  info.backend = backend;
  info.fields = {{"vorticity", "1", "vorticity dv/dx - du/dy"}};
  info.axes = {{"x", grid_points(p.grid, kGridOffset), "1"}, {"y", grid_points(p.grid, kGridOffset), "1"}};
  info.parameters = {{"viscosity", p.viscosity},
                     {"drag", p.drag},
                     {"forcing_wavenumber", static_cast<double>(p.forcing_wavenumber)},
                     {"forcing_amplitude", p.forcing_amplitude},
                     {"grid_points", static_cast<double>(p.grid.n)},
                     {"domain_length", p.grid.length},
                     {"dealias_symmetric", p.dealiasing == Dealiasing::symmetric ? 1.0 : 0.0},
                     {"advection_basdevant", p.advection == Advection::basdevant ? 1.0 : 0.0},
                     {"largest_linear_rate", p.viscosity * k2_max + p.drag}};
  info.scalars = {{"viscosity", p.viscosity}};
  // The reference's Reynolds number is 1 / viscosity, whatever the forcing; inviscid flow has none.
  if (p.viscosity > 0) info.scalars.emplace_back("reynolds", 1 / p.viscosity);
  info.scalars.insert(info.scalars.end(), {{"forcing_wavenumber", static_cast<double>(p.forcing_wavenumber)},
                                           {"forcing_amplitude", p.forcing_amplitude},
                                           {"drag", p.drag}});
  info.dt = p.dt;
  info.time_units = "1";
  info.diagnostics = {{"energy", "1", "kinetic energy"},
                      {"enstrophy", "1", "enstrophy"},
                      {"palinstrophy", "1", "palinstrophy"},
                      {"injection", "1", "work of the forcing"},
                      {"enstrophy_injection", "1", "generation of enstrophy by the forcing"},
                      {"max_speed", "1", "largest speed"},
                      {"courant", "1", "Courant number of the largest speed"}};
  const std::vector<double> nothing(p.grid.modes(), 0.0);
  info.diagnostic_axes = {{"k", spectral::shell_wavenumbers(p.grid.n, p.grid.unit(), Shells::to_corners), "1"},
                          {"k_ring", spectral::ring_spectrum(nothing, p.grid.n, p.grid.unit()).k, "1"}};
  info.array_diagnostics = {
      {"energy_spectrum",
       "1",
       "kinetic energy in integer shells up to the corners; adds up to the energy",
       {"k"}},
      {"energy_rings",
       "1",
       "the SNS paper's spectrum: calc_ispec of |u_hat|^2 + |v_hat|^2, unnormalised transforms",
       {"k_ring"}}};
  return info;
}

}  // namespace

KolmogorovConfig read_config(Section& solver) {
  KolmogorovConfig config;
  Params& p = config.params;
  std::string precision = "float64";

  read_grid(solver.child("grid"), p.grid);
  solver.need("viscosity", p.viscosity, non_negative);
  solver.maybe("drag", p.drag, non_negative);
  choose(solver, "dealias", p.dealiasing,
         {{"jaxcfd", Dealiasing::jaxcfd}, {"symmetric", Dealiasing::symmetric}});

  Section forcing = solver.child("forcing");
  forcing.maybe("wavenumber", p.forcing_wavenumber, at_least_one);
  forcing.maybe("amplitude", p.forcing_amplitude, non_negative);
  const int columns = kept_modes(p.grid.n, p.dealiasing).columns;
  if (p.forcing_wavenumber >= columns)
    forcing.reject("wavenumber", fmt::format("{} is not resolved: {} points keep wavenumbers up to {}",
                                             p.forcing_wavenumber, p.grid.n, columns - 1));

  choose(solver, "advection", p.advection,
         {{"advective", Advection::advective}, {"basdevant", Advection::basdevant}});
  Section stepper = solver.child("stepper");
  choose(stepper, "name", p.stepper,
         {{"cn_rk4", StepperName::cn_rk4},
          {"cn_rk3", StepperName::cn_rk3},
          {"cn_rk2", StepperName::cn_rk2},
          {"imex_euler", StepperName::imex_euler},
          {"imex_rk_sil3", StepperName::imex_rk_sil3}});
  stepper.need("dt", p.dt, positive);
  choose(solver, "precision", p.single_precision, {{"float32", true}, {"float64", false}});
  choose(solver, "fft_planning", p.planning,
         {{"estimate", FftPlanning::estimate}, {"measure", FftPlanning::measure}});
  config.max_courant = default_courant(p);
  solver.maybe("max_courant", config.max_courant, positive);
  read_initial(solver.child("initial"), p, config.initial);
  return config;
}

std::unique_ptr<Solver> make_kolmogorov(const KolmogorovConfig& config, std::uint64_t seed, int members,
                                        int threads, const std::string& device) {
  const Params& p = config.params;
  spectral::EnsembleSetup setup =
      ensemble_setup(p, {members, threads, device}, config.max_courant, describe, stepper_name(p.stepper));
  setup.info.initial_states = config.initial.states;
  setup.initial = [p, initial = config.initial, seed](std::uint64_t trajectory, std::span<double> out) {
    std::vector<double> field(out.size(), 0.0);
    if (initial.kind == "filtered_velocity")
      field = curl(filtered_velocity(p.grid, initial, seed, trajectory), p.grid);
    else if (initial.kind == "laminar")
      field = laminar(p.grid, p.forcing_wavenumber, p.forcing_amplitude, p.viscosity, p.drag);
    else if (initial.kind == "taylor_green")
      field = taylor_green(p.grid, initial.wavenumber);
    else if (initial.kind == "file")
      field = from_file(p.grid, initial, trajectory);
    std::copy(field.begin(), field.end(), out.begin());
  };
  setup.array_diagnostics =
      [spectra = std::make_shared<KolmogorovSpectrum>(p.grid.n, p.grid.length)](std::span<const double> state) {
        std::vector<double> values = spectra->shells(state, Shells::to_corners).value;
        const std::vector<double> rings = spectra->paper(state).value;
        values.insert(values.end(), rings.begin(), rings.end());
        return values;
      };
  setup.diagnostics = [p, fields = std::make_shared<FieldDiagnostics>(p.grid)](std::span<const double> state) {
    const Integrals s = fields->integrals(state, p.forcing_wavenumber, p.forcing_amplitude);
    return std::vector<double>{s.energy,
                               s.enstrophy,
                               s.palinstrophy,
                               s.injection,
                               s.enstrophy_injection,
                               s.max_speed,
                               s.max_speed * p.dt / p.grid.spacing()};
  };
  return std::make_unique<spectral::EnsembleSolver>(std::move(setup));
}

}  // namespace sns::kolmogorov
