#include "app/commands.hpp"
#include "app/stage_commands.hpp"
#include "core/error.hpp"

#include <memory>

namespace sns {
namespace {

void run_evaluate(const ConfigArguments& arguments) {
  const Config config = arguments.load();
  const Experiment experiment(config, arguments.command("evaluate"));
  StageGraph graph;
  experiment.add_stages(graph);
  const std::vector<std::string> targets = Experiment::targets(graph, "evaluate");
  require_trained(experiment, graph, targets, arguments);
  run_stages(experiment, config, graph, targets);
  fmt::print("metrics in {}\n", experiment.folder().evaluation().string());
}

}  // namespace

void add_evaluate(CLI::App& app) {
  auto* verb =
      app.add_subcommand("evaluate", "compare rollouts with the solver: metrics with confidence intervals");
  const auto arguments = std::make_shared<ConfigArguments>();
  arguments->add_to(*verb);
  add_time_budget(*verb);
  verb->footer(
      "Examples:\n"
      "  sns evaluate yaml/kolmogorov/quickstart.yaml\n"
      "  sns evaluate yaml/kolmogorov/quickstart.yaml evaluate.window=100\n"
      "Results: <run.output>/evaluation/ {metrics.json, metrics.csv, curves.h5}. Rollouts that are missing are "
      "made.");
  verb->callback([arguments] { run_evaluate(*arguments); });
}

}  // namespace sns
