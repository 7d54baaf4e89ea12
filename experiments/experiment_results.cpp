// The stages of an experiment that judge and show what networks have made.
#include "core/error.hpp"
#include "core/files.hpp"
#include "core/hdf5.hpp"
#include "datagen/reader.hpp"
#include "experiments/experiment.hpp"
#include "experiments/rollout_file.hpp"
#include "experiments/shipped_weights.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <set>

namespace sns {

void Experiment::require_figures() const {
  require_drawable(figure_, method_names(rollout_), oracle_.has_value(), config_.file());
}

void Experiment::add_evaluation(StageGraph& graph) const {
  const RunFolder at = folder();
  std::vector<std::string> judged = {"truth"};
  std::string order;
  for (const MethodConfig& method : rollout_.methods) {
    judged.push_back("rollout/" + method.name);
    if (rollout_.ensemble) judged.push_back("ensemble/" + method.name);
    order += method.name + "\n";
  }
  if (rollout_.ensemble) judged.push_back("ensemble/" + rollout_.ensemble->reference.name);
  const std::string steps =
      figure_.steps ? fmt::format("{}", fmt::join(*figure_.steps, ", ")) : std::string("evenly spaced");
  graph.add({.name = "evaluate",
             .version = 14,  // 14: curves over the run are means over blocks
             .record = at.evaluation() / "stage.json",
             .outputs = {at.evaluation() / "metrics.json", at.evaluation() / "metrics.csv",
                         at.evaluation() / "curves.h5"},
             .leftovers = {at.evaluation()},
             .inputs = {{"evaluate", evaluate_text_},
                        {"figure", fmt::format("columns: {}\nsteps: {}\nmember: {}", figure_.columns, steps,
                                               figure_.member)},
                        {"order of methods", order},
                        {"seed", std::to_string(run_.seed)}},
             .built_from = judged,
             .after = {},
             .own_process = true,
             .run = [this] { return evaluate(); }});
}

void Experiment::add_oracle(StageGraph& graph) const {
  const RunFolder at = folder();
  graph.add({.name = "oracle",
             .record = at.oracle() / "stage.json",
             .outputs = {at.oracle() / "oracle.h5", at.oracle() / "oracle.json"},
             .leftovers = {at.oracle()},
             .inputs = {{"oracle", oracle_text_ + fmt::format("levels: {}\n", oracle_->levels)},
                        {"evaluate", fmt::format("bootstrap: {}\nconfidence: {:.17g}", evaluate_.bootstrap,
                                                 evaluate_.confidence)},
                        {"seed", std::to_string(run_.seed)}},
             .built_from = {"truth", "train/" + oracle_->model},
             .after = {},
             .own_process = true,
             .run = [this] { return ask_oracle(); }});
}

void Experiment::add_figure(StageGraph& graph) const {
  const RunFolder at = folder();
  std::vector<std::string> fields, from;
  for (const FieldInfo& field : solver_.info().fields) fields.push_back(field.name);
  if (graph.contains("evaluate")) from.emplace_back("evaluate");
  if (draws(figure_, "oracle") && graph.contains("oracle")) from.emplace_back("oracle");
  auto files = figure_files(at.figures(), figure_, fields);
  if (files.empty()) return;
  graph.add({.name = "figure",
             .version = 2,  // 2: intervals that do not hold their value, or have no end
             .record = at.figures() / "stage.json",
             .outputs = std::move(files),
             .leftovers = {at.figures()},
             .inputs = {{"figure", fmt::format("kinds: {}\ncolor_limit: {:.17g}\nband: {}\ndpi: {}\npdf: {}",
                                               fmt::join(figure_.kinds, ", "), figure_.color_limit,
                                               figure_.band, figure_.dpi, figure_.pdf)}},
             .built_from = from,
             .after = {},
             .run = [this]() -> std::optional<StageFacts> {
               if (!draw_figures(folder().results, figure_)) return std::nullopt;
               return StageFacts{};
             }});
}

void Experiment::add_video(StageGraph& graph) const {
  std::vector<std::string> shown = {"truth"};
  std::string methods;
  for (const std::string& method : filmed()) {
    shown.push_back("rollout/" + method);
    methods += method + "\n";
  }
  const std::filesystem::path file = folder().video();
  graph.add({.name = "video",
             .record = file.parent_path() / "stage.json",
             .outputs = {file},
             .leftovers = {file.parent_path()},
             .inputs = {{"video",
                         fmt::format("seconds: {:.17g}\nfps: {}\nsteps: {}\ncolor_limit: {:.17g}\nmember: {}",
                                     video_.seconds, video_.fps, video_.steps.value_or(0), figure_.color_limit,
                                     figure_.member)},
                        {"order of methods", methods}},
             .built_from = shown,
             .after = {},
             .optional = true,
             .run = [this] { return film(); }});
}

void Experiment::add_report(StageGraph& graph) const {
  std::vector<std::string> reported;
  for (const char* stage : {"evaluate", "figure", "video"})
    if (graph.contains(stage)) reported.emplace_back(stage);
  for (const ModelSpec& model : models_)
    if (uses(model)) reported.push_back("train/" + model.name);
  graph.add(
      {.name = "report",
       .version = 2,  // 2: units of differences, precision of rollouts
       .record = folder().results / "report.stage.json",
       .outputs = {folder().report()},
       .leftovers = {folder().report()},
       .inputs = {{"title", run_.name}},  // all else that it shows is in the hashes of what it is built from
       .built_from = reported,
       .after = {},
       .run = [this, &graph] { return write_report(graph); }});
}

namespace {

/// Threads that all of these rollouts have had, but for those with several numbers; `otherwise` where they
/// differ. The solver they are compared with is to be timed with as many.
int threads_of(const std::vector<EvaluateMethod>& rollouts, int otherwise) {
  std::set<int> threads;
  for (const EvaluateMethod& method : rollouts)
    if (const auto file = h5::File::open_read(method.file); file.has_attribute("threads"))
      if (const int count = file.attribute<int>("threads"); count != kMixedThreads) threads.insert(count);
  return threads.size() == 1 ? *threads.begin() : otherwise;
}

}  // namespace

StageFacts Experiment::evaluate() const {
  EvaluateInputs inputs;
  inputs.truth = folder().truth();
  for (const MethodConfig& method : rollout_.methods)
    inputs.methods.push_back(
        {method.name, folder().rollout(method.name),
         rollout_.ensemble ? std::optional(folder().ensemble(method.name)) : std::nullopt});
  if (rollout_.ensemble) inputs.solver_ensemble = folder().ensemble(rollout_.ensemble->reference.name);
  inputs.output = folder().evaluation();
  inputs.config = evaluate_;
  inputs.figure = figure_;
  inputs.seed = run_.seed;
  inputs.threads = run_.threads;
  Section solver = config_.root().child("solver");
  // The truth's trajectories have initial states that the solver can start from.
  inputs.solver_cost =
      measure_solver_cost(solver, {.seed = run_.seed,
                                   .trajectories = DatasetReader(folder().truth(), "test").trajectories(),
                                   .steps_per_frame = data_plan_.steps_per_frame,
                                   .members = rollout_.members,
                                   .threads = threads_of(inputs.methods, run_.threads),
                                   .device = run_.device});
  evaluate_rollouts(inputs);
  return {};
}

std::vector<std::string> Experiment::filmed() const {
  if (video_.methods) return *video_.methods;
  std::vector<std::string> all;
  for (const MethodConfig& method : rollout_.methods) all.push_back(method.name);
  return all;
}

std::optional<StageFacts> Experiment::film() const {
  const SolverInfo& info = solver_.info();
  VideoInputs inputs{.truth = folder().truth(),
                     .rollouts = {},
                     .fields = {},
                     .first_axis = info.axes.front().name,
                     .time_units = info.time_units,
                     .output = folder().video(),
                     .config = video_,
                     .figure = figure_};
  for (const FieldInfo& field : info.fields) inputs.fields.push_back(field.name);
  for (const std::string& method : filmed()) inputs.rollouts.emplace_back(method, folder().rollout(method));
  if (!draw_video(inputs)) return std::nullopt;
  return StageFacts{};
}

/// What whoever shipped weights wants readers of a report to know, plain text beside them.
constexpr const char* kWeightsNote = "note.txt";

std::optional<StageFacts> Experiment::write_report(const StageGraph& graph) const {
  ReportInputs inputs;
  inputs.run = folder().root;
  inputs.results = folder().results;
  inputs.title = run_.name;
  inputs.figure = figure_;
  inputs.evaluated = graph.contains("evaluate");
  inputs.oracle = graph.contains("oracle") && draws(figure_, "oracle");
  for (const ModelSpec& model : models_) {
    if (!uses(model)) continue;
    ReportModel entry;
    entry.name = model.name;
    entry.kind = model.model.kind;
    entry.shipped = shipped(model);
    if (entry.shipped) {
      const std::filesystem::path from = shipped_folder(model, config_.file());
      entry.weights = from.string();
      if (std::filesystem::exists(from / kWeightsNote))
        inputs.notes.push_back(fmt::format("Weights of {}: {}", model.name, read_text(from / kWeightsNote)));
      entry.retrain_command = command_ + " retrain=true";
    }
    inputs.models.push_back(std::move(entry));
  }
  for (const StageResult& result : graph.results()) inputs.stages.emplace_back(result.name, result.seconds);
  if (!sns::write_report(inputs)) return std::nullopt;
  return StageFacts{};
}

}  // namespace sns
