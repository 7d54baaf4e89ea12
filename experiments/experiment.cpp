#include "experiments/experiment.hpp"

#include "core/error.hpp"
#include "core/files.hpp"
#include "core/log.hpp"
#include "datagen/generate.hpp"
#include "datagen/manifest.hpp"
#include "datagen/reader.hpp"
#include "emulator/training/checkpoint.hpp"
#include "emulator/training/trainer.hpp"
#include "emulator/training/unused_keys.hpp"
#include "experiments/shipped_weights.hpp"
#include "experiments/solver_stream.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

namespace sns {

namespace {

namespace fs = std::filesystem;

/// Raised when the loss of a validation is another one: `select: best` then chooses other weights.
constexpr int kValidationVersion = 2;

/// "a; b" as lines, so that what changed can be named.
std::string as_lines(std::string text) {
  for (std::size_t at = 0; (at = text.find("; ", at)) != std::string::npos;) text.replace(at, 2, "\n");
  return text;
}

}  // namespace

Experiment::Experiment(const Config& config, std::string command)
    : config_(config), command_(std::move(command)), run_(read_run(config)), solver_(config, run_) {
  Section root = config.root();
  data_plan_ = read_datagen_plan(root.child("datagen"), run_.name, run_.seed);
  require_divisible(solver_.info(), data_plan_.coarsen);
  require_initial_states(solver_.info(), data_plan_);
  root.maybe("retrain", retrain_);
  models_ = read_models(config);
  require_same_force(models_, solver_.info());
  rollout_ = read_rollout(root.child("rollout"), models_, root.child("solver"));
  for (const MethodConfig& method : rollout_.methods)
    if (method.solver)
      solver_methods_.emplace(method.name, read_solver_method(method, run_, solver_.info(), data_plan_));
  if (rollout_.ensemble)
    solver_methods_.emplace(rollout_.ensemble->reference.name,
                            read_solver_method(rollout_.ensemble->reference, run_, solver_.info(), data_plan_));
  require_initial_states(solver_.info(), truth_plan());
  Section evaluate = root.child("evaluate");
  read(evaluate, evaluate_);
  evaluate_text_ = evaluate.resolved_yaml();
  Section figure = root.child("figure");
  read(figure, figure_);
  if (auto oracle = root.maybe_child("oracle")) {
    oracle_ = read_oracle(*oracle, models_);
    oracle_text_ = oracle->resolved_yaml();
  }
  Section video = root.child("video");
  read(video, video_);
  require_shown(figure, figure_, video, video_, rollout_.steps, rollout_.members, method_names(rollout_));
  require_unseen_truth(data_plan_);
  config.finish({"simulate"});
  for (const auto& [name, keys] : model_keys_without_effect(config)) log::warn("models.{}: {}", name, keys);
  for (const MethodConfig& method : rollout_.methods)
    for (const std::string& doubt : {method.without_effect, method.beyond_training, method.hardly_refines})
      if (!doubt.empty()) log::warn("rollout.methods.{}: {}", method.name, doubt);
}

void Experiment::require_unseen_truth(const DatagenPlan& data) {
  const auto end = data.first_trajectory + static_cast<std::uint64_t>(data.trajectories());
  if (end > kFirstTruthTrajectory)
    fail<ConfigError>(
        "datagen: its trajectories end at {}, and those that methods are compared with begin at {}: training "
        "would see them; ask for fewer",
        end - 1, kFirstTruthTrajectory);
}

std::string Experiment::changed_flow(const SolverInfo& of_file) const {
  return retrain_ ? std::string() : sns::changed_flow(models_, solver_.info(), of_file);
}

DatagenPlan Experiment::truth_plan() const {
  DatagenPlan plan = data_plan_;
  plan.name = "truth";
  plan.first_trajectory = kFirstTruthTrajectory;
  plan.frames = rollout_.steps + 1;
  plan.samples_per_trajectory = 1;
  plan.decorrelation_steps = 0;
  plan.splits = {{"test", rollout_.initial_conditions() + rollout_.floor_members}};
  return plan;
}

std::string Experiment::data_text(DatagenPlan plan) const {
  // How the frames are labelled, packed and cut into files changes none of them.
  plan.name = plan.licence = "any";
  plan.deflate = DatagenPlan{}.deflate;
  plan.trajectories_per_file = DatagenPlan{}.trajectories_per_file;
  SolverInfo info = solver_.info();
  info.backend = "any";
  return identity_yaml(plan, info, solver_.yaml());
}

bool Experiment::uses(const ModelSpec& model) const {
  return (oracle_ && oracle_->model == model.name) ||
         std::any_of(rollout_.methods.begin(), rollout_.methods.end(), [&](const MethodConfig& method) {
           return method.emulator == model.name || method.diffusion_model() == model.name;
         });
}

bool Experiment::needs_dataset() const {
  return trains_on_dataset(models_, retrain_);
}

std::optional<fs::path> Experiment::finished_combination(const MethodConfig& method) const {
  if (retrain_) return std::nullopt;
  return shipped_combination(method, models_, config_.file());
}

void Experiment::add_stages(StageGraph& graph) const {
  const RunFolder at = folder();
  if (!retrain_) require_shipped_weights(models_, rollout_.methods, oracle_, config_.file());
  for (const ModelSpec& model : models_)
    if (uses(model)) require_trainable(model, data_plan_, retrain_);
  require_measurable(models_, rollout_.methods, data_plan_, retrain_, config_.file());
  if (needs_dataset())
    graph.add({.name = "dataset",
               .record = at.dataset() / "stage.json",
               .outputs = {at.dataset() / "MANIFEST.jsonl"},
               .leftovers = {at.dataset()},
               .resumable = [at] { return has_partial_data(at.dataset()); },
               .gap = [at] { return missing_data(at.dataset()); },
               .inputs = {{"data", data_text(data_plan_)}},
               .built_from = {},
               .after = {},
               .own_process = true,
               .run = [this] { return make_data(data_plan_, folder().dataset()); }});
  graph.add({.name = "truth",
             .record = at.truth() / "stage.json",
             .outputs = {at.truth() / "MANIFEST.jsonl"},
             .leftovers = {at.truth()},
             .resumable = [at] { return has_partial_data(at.truth()); },
             .gap = [at] { return missing_data(at.truth()); },
             .inputs = {{"data", data_text(truth_plan())}},
             .built_from = {},
             .after = {},
             .own_process = true,
             .run = [this] { return make_data(truth_plan(), folder().truth()); }});
  for (const ModelSpec& model : models_) add_model(graph, model);
  for (const MethodConfig& method : rollout_.methods) add_rollout(graph, method);
  if (rollout_.ensemble) graph.add(ensemble_stage(rollout_.ensemble->reference, graph));
  if (!rollout_.methods.empty()) add_evaluation(graph);
  if (oracle_) add_oracle(graph);
  if (rollout_.methods.empty() && !oracle_) return;
  add_figure(graph);
  if (draws(figure_, "video")) add_video(graph);
  add_report(graph);
}

void Experiment::add_model(StageGraph& graph, const ModelSpec& model) const {
  const fs::path at = weights_folder(model);
  Stage stage;
  stage.name = "train/" + model.name;
  stage.own_process = true;
  stage.record = at / "stage.json";
  stage.outputs = {at / file_name(Weights::ema), at / "config.yaml"};
  stage.leftovers = {at};
  stage.resumable = [at] { return trained_steps(at) > 0; };
  if (shipped(model)) {
    const fs::path from = shipped_folder(model, config_.file());
    if (fs::exists(from / file_name(Weights::raw))) stage.outputs.push_back(at / file_name(Weights::raw));
    stage.inputs = {{"model", to_yaml(model.model)},
                    {"weights", check_shipped(model, solver_.info(), data_plan_, from)}};
    stage.unmade = "takes shipped weights";
    stage.run = [this, &model] { return take_shipped_weights(model); };
  } else {
    stage.outputs.push_back(at / file_name(Weights::raw));
    for (const MethodConfig& method : rollout_.methods)
      if (const auto needed = needed_measurement(method, model)) {
        stage.outputs.push_back(at / needed->file);
        // One of an earlier version may lack what this method needs; a finished training measures it anew.
        stage.gap = [at, check = needed->check,
                     weights = parse_weights(method.weights)]() -> std::optional<std::string> {
          try {
            check(at, weights);
          } catch (const Error& error) {
            return error.what();
          }
          return std::nullopt;
        };
        break;
      }
    std::string training = as_lines(training_identity(model.training, run_.seed));
    training += fmt::format("\ntotal steps {}\nselect {}", model.training.steps, model.training.select);
    if (model.training.select == "best")
      training +=
          fmt::format("\nvalidate_every {}\nvalidation_samples {}\nvalidation version {}",
                      model.training.validate_every, model.training.validation_samples, kValidationVersion);
    stage.inputs = {{"model", to_yaml(model.model)}, {"training", training}};
    if (model.training.data == "stream") {
      stage.inputs.emplace_back("data", data_text(stream_plan(data_plan_, model.training.stream)));
      if (model.training.stream.spinup_steps)
        stage.inputs.emplace_back("validation",
                                  data_text(stream_validation_plan(data_plan_, model.training.stream)));
    } else {
      stage.built_from = {"dataset"};
    }
    stage.run = [this, &model] { return train(model); };
  }
  graph.add(std::move(stage));
}

Stage Experiment::rollout_stage(const MethodConfig& method, const StageGraph& graph) const {
  const fs::path file = folder().rollout(method.name);
  // Of the truth, a rollout needs the first frames of its members only: a longer truth, or more floor members,
  // changes nothing here.
  DatagenPlan initial = truth_plan();
  initial.frames = 1;
  initial.splits = {{"test", rollout_.initial_conditions()}};
  Stage stage;
  stage.name = "rollout/" + method.name;
  stage.own_process = true;
  stage.record = file.parent_path() / (method.name + ".stage.json");
  stage.outputs = {file};
  stage.leftovers = {file};
  stage.inputs = {
      {"initial conditions", data_text(initial)},
      {"method", method.text},
      {"rollout", fmt::format("steps: {}\nlimit: {:.17g}\ndeterministic: {}\nprecision: {}", rollout_.steps,
                              rollout_.limit, rollout_.deterministic, method.precision_in(rollout_))}};
  if (!rollout_.chosen.empty())
    stage.inputs.emplace_back("members", fmt::format("{}", fmt::join(rollout_.chosen, ", ")));
  if (rollout_.channels_last) stage.inputs.emplace_back("order", "channels last");
  if (rollout_.graphs) stage.inputs.emplace_back("graphs", "of padded batches");
  for (const auto* model : {&method.emulator, &method.diffusion_model()})
    if (*model) stage.built_from.push_back("train/" + **model);
  for (const auto* name : {&method.emulator, &method.refiner}) {
    if (!*name) continue;
    const ModelSpec& model = find_model(models_, **name);
    const auto needed = needed_measurement(method, model);
    if (needed && shipped(model))  // trained weights have the file from their training
      stage.inputs.emplace_back(needed->what,
                                sha256_file(shipped_folder(model, config_.file()) / needed->file));
  }
  if (const auto combination = finished_combination(method))
    stage.inputs.emplace_back("combined estimates", sha256_file(*combination));
  else if (method.combines())
    stage.built_from.emplace_back("dataset");
  stage.after = {"truth"};
  stage.run = [this, &method, &graph, name = stage.name] { return roll_out(method, graph.hash(name), false); };
  return stage;
}

Stage Experiment::ensemble_stage(const MethodConfig& method, const StageGraph& graph) const {
  const EnsembleConfig& ensemble = *rollout_.ensemble;
  const fs::path file = folder().ensemble(method.name);
  Stage stage = rollout_stage(method, graph);
  stage.name = "ensemble/" + method.name;
  stage.record = file.parent_path() / (method.name + ".stage.json");
  stage.outputs = stage.leftovers = {file};
  stage.inputs.emplace_back("ensemble", fmt::format("members: {}\nperturbation: {:.17g}\nsteps: {}",
                                                    ensemble.members, ensemble.perturbation, ensemble.steps));
  stage.run = [this, &method, &graph, name = stage.name] { return roll_out(method, graph.hash(name), true); };
  return stage;
}

void Experiment::add_rollout(StageGraph& graph, const MethodConfig& method) const {
  graph.add(rollout_stage(method, graph));
  if (rollout_.ensemble) graph.add(ensemble_stage(method, graph));
}

std::vector<std::string> Experiment::find_targets(const StageGraph& graph, const std::string& name) {
  std::vector<std::string> out;
  for (const std::string& stage : graph.names())
    if (stage == name || stage.rfind(name + "/", 0) == 0) out.push_back(stage);
  return out;
}

std::vector<std::string> Experiment::targets(const StageGraph& graph, const std::string& name) {
  std::vector<std::string> out = find_targets(graph, name);
  if (out.empty() && (name == "train" || name == "rollout"))
    fail<ConfigError>("there is nothing to {}: {} has no entries", name,
                      name == "train" ? "models" : "rollout.methods");
  if (out.empty()) {
    std::string known;
    for (const std::string& stage : graph.names()) known += (known.empty() ? "" : ", ") + stage;
    fail<ConfigError>("there is no stage '{}' (have: {}; train and rollout stand for all of them)", name,
                      known);
  }
  return out;
}

StageFacts Experiment::make_data(const DatagenPlan& plan, const fs::path& folder) const {
  GenerateOptions options;
  options.threads = run_.threads;
  // One that `sns datagen` or another experiment in this run folder has begun goes on under their name.
  const GenerateReport report =
      generate_dataset(packed_as_in(folder, plan, solver_.info(), solver_.yaml()), solver_, folder, options);
  require(report.complete, "{} is not complete: another process makes {} of its files", folder.string(),
          report.elsewhere);
  return {{"failed_trajectories", std::to_string(report.failed)}};
}

StageFacts Experiment::train(const ModelSpec& model) const {
  const bool drawn_from =
      std::any_of(rollout_.methods.begin(), rollout_.methods.end(),
                  [&](const MethodConfig& method) { return needed_measurement(method, model).has_value(); });
  const TrainOptions options{true, command_, config_.resolved_yaml(), {}, drawn_from};
  const fs::path target = folder().model(model.name);
  const TrainResult result =
      model.training.data == "stream"
          ? train_model(model, solver_stream(solver_, data_plan_, model.training.stream), target, run_, options)
          : train_model(model, folder().dataset(), target, run_, options);
  return {{"weights", "trained"},
          {"parameters", std::to_string(result.parameters)},
          {"training_seconds", fmt::format("{:.1f}", result.wall_seconds)}};
}

}  // namespace sns
