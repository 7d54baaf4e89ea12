#include "app/commands.hpp"
#include "app/config_arguments.hpp"
#include "core/error.hpp"
#include "core/run_config.hpp"
#include "datagen/simulate.hpp"

#include <memory>
#include <optional>

namespace sns {
namespace {

struct SimulateArguments {
  ConfigArguments config;
  SimulateOptions options;
  std::string initial;
  std::string resample = "none";
  std::optional<int> members;
  std::optional<std::int64_t> steps, every;
  bool full = false;
  std::string diagnostics;
};

/// The configuration with the options that stand for keys of the `simulate` block on top, so that the output's
/// configuration is that of the run.
Config with_options(const SimulateArguments& arguments) {
  ConfigArguments config = arguments.config;
  const auto add = [&](const char* key, const auto& value) {
    config.overrides.push_back(fmt::format("simulate.{}={}", key, value));
  };
  if (arguments.members) add("members", *arguments.members);
  if (arguments.steps) add("steps", *arguments.steps);
  if (arguments.every) add("every", *arguments.every);
  if (!arguments.diagnostics.empty()) add("diagnostics", arguments.diagnostics);
  return config.load();
}

/// The `simulate` block, and what only options say.
SimulatePlan plan_of(const SimulateArguments& arguments, Section section, const RunConfig& run,
                     const SolverInfo& info) {
  SimulatePlan plan = read_simulate_plan(section, run.seed);
  const bool members_given = section.has("members");
  plan.full = arguments.full;
  if (plan.steps > 0 && plan.every > plan.steps) {
    fail<ConfigError>("a frame every {} steps does not fit into {} steps; give --every", plan.every,
                      plan.steps);
  }
  if (!arguments.initial.empty()) {
    plan.initial = read_initial_states(arguments.initial, info, arguments.resample == "spectral");
    if (members_given && plan.members != plan.initial->members) {
      fail<ConfigError>("{} holds {} initial states, but {} members are asked for", arguments.initial,
                        plan.initial->members, plan.members);
    }
    plan.members = plan.initial->members;
  }
  return plan;
}

void run_simulate(const SimulateArguments& arguments) {
  const Config config = with_options(arguments);
  const RunConfig run = read_run(config);
  const SolverSource source(config, run);
  const SimulatePlan plan = plan_of(arguments, config.root().child("simulate"), run, source.info());
  SimulateOptions options = arguments.options;
  if (options.output.empty()) options.output = run.output / "simulate.h5";
  simulate(plan, source, config.resolved_yaml(), options);
  fmt::print("{}\n", options.output.string());
}

}  // namespace

void add_simulate(CLI::App& app) {
  CLI::App* verb = app.add_subcommand("simulate", "run a solver and write its frames and diagnostics");
  auto arguments = std::make_shared<SimulateArguments>();
  arguments->config.add_to(*verb);
  verb->add_option("-o,--output", arguments->options.output, "output file (default: simulate.h5 in run.output)")
      ->type_name("OUT.h5");
  CLI::Option* initial =
      verb->add_option(
              "--initial", arguments->initial,
              "initial states on the solver's grid: float32 or float64, (x, y), for two-layer flow (layer, y, "
              "x), with or without a member axis in front; /PATH@N or /PATH@last: a frame of an array with a "
              "time axis, such as a simulation's")
          ->check(not_empty())
          ->type_name("FILE.h5:/PATH");
  verb->add_option("--resample", arguments->resample,
                   "spectral: --initial may lie on another even grid of the same domain; its Fourier modes "
                   "become the solver's (default: none)")
      ->check(CLI::IsMember({"none", "spectral"}))
      ->needs(initial);
  verb->add_option("--members", arguments->members, "independent members")->check(at_least(1));
  verb->add_option("--steps", arguments->steps, "time steps")->check(at_least(0));
  verb->add_option("--every", arguments->every, "steps between frames")->check(at_least(1));
  verb->add_flag("--full", arguments->full, "frames on the solver's grid, in its precision");
  verb->add_option("--diagnostics", arguments->diagnostics,
                   "all: spectra, budgets and profiles beside the scalars (default: as in "
                   "simulate.diagnostics, scalars)")
      ->check(CLI::IsMember(diagnostics_kinds()));
  CLI::Option* resume = verb->add_flag("--resume", arguments->options.resume,
                                       "go on with an interrupted run, or lengthen a finished one");
  verb->add_flag("--overwrite", arguments->options.overwrite, "replace OUT.h5")->excludes(resume);
  verb->add_option("--checkpoint-seconds", arguments->options.checkpoint_seconds, "between checkpoints")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  add_time_budget(*verb);
  verb->footer(
      "OUT.h5 holds /<field> (member, time, x, y), /time, /diagnostics/<name> (member, time); frame 0 is the\n"
      "initial state. With --full, two-layer flow is one array /q (member, time, layer, y, x). \n"
      "--diagnostics all adds arrays, with their axes, units and meaning: spectra, for two-layer flow also the "
      "energy\n"
      "budget in shells, zonal-mean flow and jets. A run that is killed or stopped leaves OUT.h5.partial, from "
      "which\n"
      "--resume goes on bit for bit. Members that fail are NaN from then on and named in /provenance.\n"
      "Examples:\n"
      "  sns simulate yaml/kolmogorov/quickstart.yaml --steps 2000 --every 50 -o flow.h5\n"
      "  sns simulate yaml/kolmogorov/quickstart.yaml --members 4 --full -o flow.h5 solver.viscosity=2e-3\n"
      "  sns simulate yaml/kolmogorov/quickstart.yaml --initial states.h5:/vorticity -o flow.h5\n"
      "  sns simulate yaml/kolmogorov/quickstart.yaml --initial flow.h5:/vorticity@last --resample spectral -o "
      "viscous.h5 solver.viscosity=2e-2\n"
      "  sns simulate yaml/kolmogorov/quickstart.yaml --initial coarse.h5:/w --resample spectral -o flow.h5\n"
      "  sns simulate yaml/kolmogorov/quickstart.yaml --steps 4000 --every 50 -o flow.h5 --resume");
  verb->callback([arguments] { run_simulate(*arguments); });
}

}  // namespace sns
