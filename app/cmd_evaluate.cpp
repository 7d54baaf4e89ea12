#include "app/commands.hpp"
#include "app/stage_commands.hpp"
#include "core/error.hpp"

#include <memory>

namespace sns {
namespace {

void run_evaluate(const ConfigArguments& arguments) {
  Runnable run(arguments, "evaluate");
  run.targets = Experiment::targets(run.graph, "evaluate");
  require_trained(run);
  run_stages(run);
  fmt::print("metrics in {}\n", run.experiment.folder().evaluation().string());
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
