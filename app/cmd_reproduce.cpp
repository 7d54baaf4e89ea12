#include "app/collection.hpp"
#include "app/commands.hpp"
#include "app/stage_commands.hpp"
#include "app/stage_workers.hpp"
#include "core/error.hpp"
#include "core/log.hpp"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>

namespace sns {
namespace {

struct ReproduceArguments {
  ConfigArguments experiment;
  std::string until = "report";
  bool dry_run = false;
  int jobs = 1;
  std::string worker;  ///< a WorkerOrder, where this process works for another one
};

void print_results(const RunFolder& folder) {
  namespace fs = std::filesystem;
  if (fs::is_directory(folder.figures()))
    for (const auto& entry : fs::directory_iterator(folder.figures()))
      if (entry.path().extension() == ".png") fmt::print("figure   {}\n", fs::absolute(entry.path()).string());
  if (fs::exists(folder.video())) fmt::print("video    {}\n", fs::absolute(folder.video()).string());
  for (const fs::path& numbers : {folder.evaluation() / "metrics.csv", folder.oracle() / "oracle.json"})
    if (fs::exists(numbers)) fmt::print("numbers  {}\n", fs::absolute(numbers).string());
  if (fs::exists(folder.report())) fmt::print("report   {}\n", fs::absolute(folder.report()).string());
}

/// What could not be drawn in the last run of the graph, "figure and report"; empty where all was.
std::string undrawn(const StageGraph& graph) {
  std::string skipped;
  for (const StageResult& result : graph.results())
    if (result.skipped && !result.optional) skipped += (skipped.empty() ? "" : " and ") + result.name;
  return skipped;
}

/// Figures and the report need Python; all else that was asked for is there when they are not.
void require_drawn(const std::string& skipped, const std::filesystem::path& results) {
  require(
      skipped.empty(),
      "{} could not be drawn (see above), though the data are all there, in {}; what was drawn before is left "
      "as it was. Run the same command again when the cause is removed",
      skipped, results.string());
}

/// Reads an experiment and prints what there is to do. Its targets are none where it has no stage `how.until`.
std::unique_ptr<Runnable> read_and_plan(const ConfigArguments& arguments, const ReproduceArguments& how) {
  auto run = std::make_unique<Runnable>(arguments, "reproduce");
  run->experiment.require_figures();
  run->targets = Experiment::find_targets(run->graph, how.until);
  print_plan(run->graph.plan(run->targets));
  for (const ModelSpec& model : run->experiment.models())
    if (!run->experiment.uses(model) && how.until == "report")
      log::info("models.{0} is used by no method and is left alone ({1} --model {0} trains it)", model.name,
                arguments.command("train"));
  return run;
}

void reproduce_all(const Collection& collection, const ReproduceArguments& how) {
  CollectionInputs page{.output = collection.output, .title = collection.title, .results = {}};
  std::string skipped;
  std::vector<std::unique_ptr<Runnable>> runs;
  for (const ConfigArguments& file : collection.experiments) {
    fmt::print("{}{}\n", runs.empty() ? "" : "\n", file.file.string());
    runs.push_back(read_and_plan(file, how));  // mistakes of all of them are found before the first is made
    if (runs.back()->targets.empty()) fmt::print("  nothing to do: there is no stage '{}'\n", how.until);
  }
  if (std::all_of(runs.begin(), runs.end(), [](const auto& run) { return run->targets.empty(); }))
    Experiment::targets(runs.front()->graph, how.until);  // says what there is
  std::erase_if(runs, [](const auto& run) { return run->targets.empty(); });
  if (!how.dry_run && how.jobs == 1)
    for (const auto& run : runs) {
      fmt::print("\n{}\n", run->arguments.file.string());
      run_stages(*run);
    }
  if (!how.dry_run && how.jobs > 1) run_together(runs, how.jobs);
  for (const auto& run : runs) {
    if (const std::string missing = undrawn(run->graph); !missing.empty()) skipped = missing;
    page.results.push_back(run->experiment.folder().results);
  }
  if (how.dry_run || how.until != "report") return;
  require_drawn(skipped, "the run folders");
  require(write_collection(page), "the page of all experiments could not be written (see above)");
  fmt::print("\npage     {}\n", std::filesystem::absolute(collection.output / "report.html").string());
}

void run_reproduce(const ReproduceArguments& arguments) {
  if (!arguments.worker.empty()) {
    const WorkerOrder order = WorkerOrder::parse(arguments.worker);
    std::optional<Config> config;
    std::optional<Experiment> experiment;
    work(order, [&](StageGraph& graph) {
      config.emplace(arguments.experiment.load());
      experiment.emplace(*config, order.command);
      experiment->add_stages(graph);
    });
  }
  if (const auto collection = read_collection(arguments.experiment)) {
    reproduce_all(*collection, arguments);
    return;
  }
  const auto run = read_and_plan(arguments.experiment, arguments);
  run->targets = Experiment::targets(run->graph, arguments.until);
  if (arguments.dry_run) return;
  run_stages(*run, arguments.jobs);
  const RunFolder folder = run->experiment.folder();
  require_drawn(undrawn(run->graph), folder.results);
  if (arguments.until == "report") print_results(folder);
}

}  // namespace

void add_reproduce(CLI::App& app) {
  auto* verb = app.add_subcommand("reproduce", "run everything that an experiment's figures and report need");
  const auto arguments = std::make_shared<ReproduceArguments>();
  arguments->experiment.add_to(*verb);
  verb->add_option(
          "--until", arguments->until,
          "stop after this stage: dataset, truth, train, train/<model>, rollout, rollout/<method>, evaluate, "
          "oracle, figure, video, report")
      ->type_name("STAGE")
      ->capture_default_str();
  verb->add_flag("--dry-run", arguments->dry_run,
                 "print which stages are finished and which will run, and why");
  add_jobs(*verb, arguments->jobs);
  verb->add_option("--worker", arguments->worker)->group("");  // hidden: of processes that --jobs starts
  add_time_budget(*verb);
  verb->footer(
      "Examples:\n"
      "  sns reproduce yaml/kolmogorov/quickstart.yaml\n"
      "  sns reproduce yaml/kolmogorov/quickstart.yaml --scale smoke\n"
      "  sns reproduce yaml/kolmogorov/quickstart.yaml rollout.steps=2000 --dry-run\n"
      "  sns reproduce yaml/paper.yaml --scale smoke        every figure of the paper, and one page of them\n"
      "  sns reproduce yaml/paper.yaml --scale cpu --jobs 2   two stages at a time, for small networks\n"
      "Finished stages are not run again; a changed key reruns what depends on it and nothing else. A stopped "
      "or "
      "killed run continues where it was.");
  verb->callback([arguments] { run_reproduce(*arguments); });
}

}  // namespace sns
