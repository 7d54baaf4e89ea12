#include "app/commands.hpp"
#include "app/stage_commands.hpp"
#include "core/error.hpp"

#include <filesystem>
#include <memory>

namespace sns {
namespace {

struct ReproduceArguments {
  ConfigArguments experiment;
  std::string until = "report";
  bool dry_run = false;
};

void print_results(const RunFolder& folder) {
  namespace fs = std::filesystem;
  if (fs::is_directory(folder.figures()))
    for (const auto& entry : fs::directory_iterator(folder.figures()))
      if (entry.path().extension() == ".png") fmt::print("figure   {}\n", fs::absolute(entry.path()).string());
  fmt::print("numbers  {}\n", fs::absolute(folder.evaluation() / "metrics.csv").string());
  if (fs::exists(folder.report())) fmt::print("report   {}\n", fs::absolute(folder.report()).string());
}

/// Figures and the report need Python; all else that was asked for is there when they are not.
void require_drawn(const StageGraph& graph, const RunFolder& folder) {
  std::string skipped;
  for (const StageResult& result : graph.results())
    if (result.skipped) skipped += (skipped.empty() ? "" : " and ") + result.name;
  require(
      skipped.empty(),
      "{} could not be drawn (see above), though the data are all there, in {}; what was drawn before is left "
      "as it was. Run the same command again when the cause is removed",
      skipped, folder.evaluation().string());
}

void run_reproduce(const ReproduceArguments& arguments) {
  const Config config = arguments.experiment.load();
  const Experiment experiment(config, arguments.experiment.command("reproduce"));
  if (experiment.rollout().methods.empty())
    fail<ConfigError>("{}: rollout.methods names no method to compare with the solver", config.file().string());
  StageGraph graph;
  experiment.add_stages(graph);
  const auto targets = Experiment::targets(graph, arguments.until);
  print_plan(graph.plan(targets));
  if (arguments.dry_run) return;
  run_stages(experiment, config, graph, targets);
  require_drawn(graph, experiment.folder());
  if (arguments.until == "report") print_results(experiment.folder());
}

}  // namespace

void add_reproduce(CLI::App& app) {
  auto* verb = app.add_subcommand("reproduce", "run everything that an experiment's figures and report need");
  const auto arguments = std::make_shared<ReproduceArguments>();
  arguments->experiment.add_to(*verb);
  verb->add_option(
          "--until", arguments->until,
          "stop after this stage: dataset, truth, train, train/<model>, rollout, rollout/<method>, evaluate, "
          "figure, report")
      ->type_name("STAGE")
      ->capture_default_str();
  verb->add_flag("--dry-run", arguments->dry_run,
                 "print which stages are finished and which will run, and why");
  add_time_budget(*verb);
  verb->footer(
      "Examples:\n"
      "  sns reproduce yaml/kolmogorov/quickstart.yaml\n"
      "  sns reproduce yaml/kolmogorov/quickstart.yaml --scale smoke\n"
      "  sns reproduce yaml/kolmogorov/quickstart.yaml rollout.steps=2000 --dry-run\n"
      "Finished stages are not run again; a changed key reruns what depends on it and nothing else. A stopped "
      "or "
      "killed run continues where it was.");
  verb->callback([arguments] { run_reproduce(*arguments); });
}

}  // namespace sns
