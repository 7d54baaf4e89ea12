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
  const Config config = arguments.experiment.load();
  const Experiment experiment(config, arguments.experiment.command("rollout"));
  StageGraph graph;
  experiment.add_stages(graph);
  std::vector<std::string> targets;
  for (const std::string& method : arguments.methods) {
    const auto stages = Experiment::targets(graph, "rollout/" + method);
    targets.insert(targets.end(), stages.begin(), stages.end());
  }
  if (arguments.methods.empty()) targets = Experiment::targets(graph, "rollout");
  require_trained(experiment, graph, targets, arguments.experiment);
  run_stages(experiment, config, graph, targets, SideBySide{arguments.jobs, arguments.experiment});
  for (const std::string& target : targets) {
    const StageStatus status = graph.status(target);
    const std::string method = target.substr(target.find('/') + 1);
    fmt::print("{}: {} steps/s, {} of {} members failed, in {}\n", method, status.facts.at("steps_per_second"),
               status.facts.at("failed_members"), experiment.rollout().members,
               experiment.folder().rollout(method).string());
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
