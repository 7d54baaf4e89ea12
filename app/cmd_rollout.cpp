#include "app/commands.hpp"
#include "app/stage_commands.hpp"
#include "core/error.hpp"

#include <memory>

namespace sns {
namespace {

struct RolloutArguments {
  ConfigArguments experiment;
  std::vector<std::string> methods;
  int jobs = 1;
};

void run_rollout_verb(const RolloutArguments& arguments) {
  Runnable run(arguments.experiment, "rollout");
  for (const std::string& method : arguments.methods) {
    const auto stages = Experiment::targets(run.graph, "rollout/" + method);
    run.targets.insert(run.targets.end(), stages.begin(), stages.end());
  }
  if (arguments.methods.empty()) run.targets = Experiment::targets(run.graph, "rollout");
  require_trained(run);
  run_stages(run, arguments.jobs);
  for (const std::string& target : run.targets) {
    const StageStatus status = run.graph.status(target);
    const std::string method = target.substr(target.find('/') + 1);
    fmt::print("{}: {} steps/s, {} of {} members failed, in {}\n", method, status.facts.at("steps_per_second"),
               status.facts.at("failed_members"), run.experiment.rollout().members,
               run.experiment.folder().rollout(method).string());
  }
}

}  // namespace

void add_rollout(CLI::App& app) {
  auto* verb =
      app.add_subcommand("rollout", "roll trained surrogates out, alone or refined, beside the solver");
  const auto arguments = std::make_shared<RolloutArguments>();
  arguments->experiment.add_to(*verb);
  verb->add_option("--method", arguments->methods,
                   "only this entry of rollout.methods (may be given several times)")
      ->type_name("NAME")
      ->expected(1)
      ->take_all()
      ->allow_extra_args(false);  // what follows may be an override
  add_jobs(*verb, arguments->jobs);
  add_time_budget(*verb);
  verb->footer(
      "Examples:\n"
      "  sns rollout yaml/kolmogorov/quickstart.yaml\n"
      "  sns rollout yaml/kolmogorov/quickstart.yaml --method sns rollout.steps=5000\n"
      "Results: <run.output>/rollouts/<method>.h5. The solver's runs from the same initial conditions, in "
      "<run.output>/truth, are made if they are missing. A stopped or killed run continues bit for bit.");
  verb->callback([arguments] { run_rollout_verb(*arguments); });
}

}  // namespace sns
