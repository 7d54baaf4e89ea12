#include "app/stage_commands.hpp"

#include "core/error.hpp"
#include "core/files.hpp"
#include "core/live_line.hpp"
#include "core/log.hpp"
#include "emulator/training/checkpoint.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <set>
#include <utility>

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

namespace {

/// Announces stages as they begin, counted among all that are due.
class Announcements {
 public:
  explicit Announcements(const std::vector<ExperimentStages>& experiments) {
    std::set<fs::path> due;
    for (const ExperimentStages& experiment : experiments)
      for (const StageStatus& status : experiment.graph.plan(experiment.targets))
        if (status.state != StageState::finished) due.insert(experiment.record(status.name));
    due_ = due.size();
  }
  std::size_t due() const { return due_; }
  void begins(const ExperimentStages& experiment, const StageStatus& status) {
    const detail::LineLabel label(experiment.label);
    log::info("[{}/{}] {} ({})", ++number_, due_, status.name, status.reason);
  }

 private:
  std::size_t due_ = 0, number_ = 0;
};

std::unique_ptr<FolderLock> take_folder(const fs::path& root) {
  make_writable_folder(root);
  return std::make_unique<FolderLock>(root);
}

void write_configuration(const Runnable& run) {
  make_writable_folder(run.experiment.folder().results);
  write_text(run.experiment.folder().config(), run.config.resolved_yaml());
}

ExperimentStages stages_of(Runnable& run, std::string label = {}) {
  return {run.arguments, run.experiment.run(), run.graph, run.targets, std::move(label)};
}

/// The names of the experiments' files, with their folders' where one is not enough.
std::vector<std::string> labels_of(const std::vector<std::unique_ptr<Runnable>>& runs) {
  std::map<std::string, int> stems;
  for (const auto& run : runs) ++stems[run->arguments.file.stem().string()];
  std::vector<std::string> labels;
  for (const auto& run : runs) {
    const fs::path& file = run->arguments.file;
    labels.push_back(stems[file.stem().string()] == 1 ? file.stem().string()
                                                      : (file.parent_path().filename() / file.stem()).string());
  }
  return labels;
}

/// Makes what is left of the stages and prints the wall-clock time of each; made: seconds of those that were
/// made before, side by side.
void make_rest(const ExperimentStages& stages, Announcements& announcements,
               const std::map<std::string, double>& made) {
  stages.graph.run(
      stages.targets, [&](const StageStatus& status) { announcements.begins(stages, status); }, made);
  const std::vector<StageResult>& results = stages.graph.results();
  detail::clear_live_line();  // of stages that go on: what follows goes to stdout
  if (!stages.label.empty()) fmt::print("\n{}\n", stages.arguments.file.string());
  if (std::none_of(results.begin(), results.end(),
                   [](const StageResult& r) { return r.seconds.has_value() || r.skipped; })) {
    fmt::print("all {} stages were finished\n", results.size());
    return;
  }
  double total = 0;
  std::size_t width = 7;
  for (const StageResult& result : results) width = std::max(width, result.name.size());
  fmt::print("wall-clock time\n");
  for (const StageResult& result : results) {
    total += result.seconds.value_or(0);
    const std::string outcome = result.seconds   ? fmt::format("{:8.1f} s", *result.seconds)
                                : result.skipped ? "could not be made"
                                                 : "finished before";
    fmt::print("  {:<{}}  {}\n", result.name, width, outcome);
  }
  fmt::print("  {:<{}}  {:8.1f} s\n", "total", width, total);
}

class Elapsed {
 public:
  void print(int jobs, const char* indent = "") const {
    fmt::print("{}elapsed  {:.1f} s with {} jobs\n", indent,
               std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(), jobs);
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace

Runnable::Runnable(ConfigArguments typed, const std::string& verb)
    : arguments(std::move(typed)), config(arguments.load()), experiment(config, arguments.command(verb)) {
  experiment.add_stages(graph);
  if (const auto of_file = flow_of_file(arguments))
    if (const std::string changed = experiment.changed_flow(*of_file); !changed.empty())
      log::warn("{}", changed);
}

void run_stages(Runnable& run, int jobs) {
  const auto lock = take_folder(run.experiment.folder().root);
  write_configuration(run);
  const std::vector<ExperimentStages> stages = {stages_of(run)};
  Announcements announcements(stages);
  std::fflush(stdout);
  if (jobs == 1 || announcements.due() == 0) return make_rest(stages.front(), announcements, {});
  const Elapsed elapsed;
  make_side_by_side(
      jobs, stages,
      {[&](std::size_t, const StageStatus& status) { announcements.begins(stages.front(), status); },
       [&](std::size_t, const auto& made) { make_rest(stages.front(), announcements, made); }});
  elapsed.print(jobs, "  ");
}

void run_together(const std::vector<std::unique_ptr<Runnable>>& runs, int jobs) {
  const std::vector<std::string> labels = labels_of(runs);
  std::vector<ExperimentStages> stages;
  for (std::size_t i = 0; i < runs.size(); ++i) stages.push_back(stages_of(*runs[i], labels[i]));
  const Elapsed elapsed;
  if (const auto reason = conflict(stages)) {
    log::info("{} would replace each other's files: one experiment after the other", *reason);
    for (const auto& run : runs) {
      fmt::print("\n{}\n", run->arguments.file.string());
      run_stages(*run, jobs);
    }
    return;
  }
  std::map<fs::path, std::unique_ptr<FolderLock>> locks;
  for (const auto& run : runs) {
    const fs::path root = fs::weakly_canonical(fs::absolute(run->experiment.folder().root));
    if (!locks.contains(root)) locks.emplace(root, take_folder(root));
  }
  Announcements announcements(stages);
  std::fflush(stdout);
  std::set<std::size_t> begun;
  const auto begin = [&](std::size_t i) {
    if (begun.insert(i).second) write_configuration(*runs[i]);
  };
  make_side_by_side(jobs, stages,
                    {[&](std::size_t i, const StageStatus& status) {
                       begin(i);
                       announcements.begins(stages[i], status);
                     },
                     [&](std::size_t i, const auto& made) {
                       begin(i);
                       make_rest(stages[i], announcements, made);
                       std::fflush(stdout);
                     }});
  fmt::print("\n");
  elapsed.print(jobs);
}

void require_trained(const Runnable& run) {
  const Experiment& experiment = run.experiment;
  for (const StageStatus& stage : run.graph.plan(run.targets)) {
    if (stage.name.rfind("train/", 0) != 0 || stage.state == StageState::finished) continue;
    const std::string model = stage.name.substr(6);
    const ModelSpec& spec = find_model(experiment.models(), model);
    const fs::path folder = experiment.folder().model(model);
    const bool made = fs::exists(folder / "model.safetensors"), changed = stage.state == StageState::changed,
               // to go on with a training is no moment's work
        through = made && trained_steps(folder) >= spec.training.steps;
    const bool shipped = spec.weights.has_value() && !experiment.retrain();
    if (shipped || (through && !changed)) continue;  // a moment's work, or a mere check
    fail<ConfigError>("model '{}' {} ({}): run '{}' or '{}' first", model,
                      !made     ? "is not trained"
                      : changed ? "was trained with another configuration"
                                : "is not trained to the end",
                      stage.reason, run.arguments.command("train"), run.arguments.command("reproduce"));
  }
}

}  // namespace sns
