#include "app/stage_commands.hpp"

#include "core/error.hpp"
#include "core/files.hpp"
#include "core/log.hpp"

#include <algorithm>
#include <chrono>
#include <map>

namespace sns {

namespace fs = std::filesystem;

void print_plan(const std::vector<StageStatus>& plan) {
  std::size_t width = 5;
  for (const StageStatus& stage : plan) width = std::max(width, stage.name.size());
  for (const StageStatus& stage : plan) {
    const bool finished = stage.state == StageState::finished;
    const auto shipped = stage.facts.find("weights");
    std::string what =
        finished ? fmt::format("finished ({:.1f} s)", stage.seconds) : "will run: " + stage.reason;
    if (finished && shipped != stage.facts.end() && shipped->second == "shipped") what += ", shipped weights";
    fmt::print("{:<{}}  {}\n", stage.name, width, what);
  }
}

void run_stages(const Experiment& experiment, const Config& config, StageGraph& graph,
                const std::vector<std::string>& targets, const std::optional<SideBySide>& beside) {
  const fs::path root = experiment.folder().root;
  make_writable_folder(root);
  const FolderLock lock(root);
  make_writable_folder(experiment.folder().results);
  write_text(experiment.folder().config(), config.resolved_yaml());
  const auto plan = graph.plan(targets);
  const auto due = std::count_if(plan.begin(), plan.end(),
                                 [](const StageStatus& s) { return s.state != StageState::finished; });
  std::fflush(stdout);
  int number = 0;
  const auto announce = [&](const StageStatus& stage) {
    log::info("[{}/{}] {} ({})", ++number, due, stage.name, stage.reason);
  };
  const auto start = std::chrono::steady_clock::now();
  std::map<std::string, double> made;
  if (beside && beside->jobs > 1) made = make_side_by_side(*beside, experiment.run(), graph, targets, announce);
  graph.run(targets, announce, made);
  if (due == 0) {
    fmt::print("all {} stages were finished\n", plan.size());
    return;
  }
  double total = 0;
  std::size_t width = 5;
  for (const StageResult& result : graph.results()) width = std::max(width, result.name.size());
  fmt::print("wall-clock time\n");
  for (const StageResult& result : graph.results()) {
    total += result.seconds.value_or(0);
    const std::string outcome = result.seconds   ? fmt::format("{:8.1f} s", *result.seconds)
                                : result.skipped ? "could not be made"
                                                 : "finished before";
    fmt::print("  {:<{}}  {}\n", result.name, width, outcome);
  }
  fmt::print("  {:<{}}  {:8.1f} s\n", "total", width, total);
  if (beside && beside->jobs > 1)
    fmt::print("  {:<{}}  {:8.1f} s with {} jobs\n", "elapsed", width,
               std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(), beside->jobs);
}

void require_trained(const Experiment& experiment, const StageGraph& graph,
                     const std::vector<std::string>& targets, const ConfigArguments& arguments) {
  for (const StageStatus& stage : graph.plan(targets)) {
    if (stage.name.rfind("train/", 0) != 0 || stage.state == StageState::finished) continue;
    const std::string model = stage.name.substr(6);
    const ModelSpec& spec = find_model(experiment.models(), model);
    const bool made = fs::exists(experiment.folder().model(model) / "model.safetensors");
    const bool shipped = spec.weights.has_value() && !experiment.retrain();
    if (shipped || (made && stage.state != StageState::changed)) continue;  // a moment's work, or a mere check
    fail<ConfigError>("model '{}' {} ({}): run '{}' or '{}' first", model,
                      made ? "was trained with another configuration" : "is not trained", stage.reason,
                      arguments.command("train"), arguments.command("reproduce"));
  }
}

}  // namespace sns
