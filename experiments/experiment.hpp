#pragma once
// One YAML file as an experiment: data set, truth, trained models, rollouts, evaluation, figures and report, as
// a graph of stages in one run folder.
#include "core/run_config.hpp"
#include "datagen/plan.hpp"
#include "datagen/solver_source.hpp"
#include "experiments/config.hpp"
#include "experiments/evaluate.hpp"
#include "experiments/stages.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace sns {

/// Where things lie in a run folder.
struct RunFolder {
  std::filesystem::path root;
  std::filesystem::path dataset() const { return root / "dataset"; }
  std::filesystem::path truth() const { return root / "truth"; }
  std::filesystem::path model(const std::string& name) const { return root / "models" / name; }
  std::filesystem::path rollout(const std::string& method) const {
    return root / "rollouts" / (method + ".h5");
  }
  std::filesystem::path evaluation() const { return root / "evaluation"; }
  std::filesystem::path figures() const { return root / "figures"; }
  std::filesystem::path report() const { return root / "report.html"; }
};

class Experiment {
 public:
  /// First trajectory id of the truth set: far from those of any training set.
  static constexpr std::uint64_t kFirstTruthTrajectory = 1000000;

  /// Reads every block of a file. ConfigError for a bad one or an unknown key. command: how the user started
  /// this, for reports. `config` must outlive this object.
  Experiment(const Config& config, std::string command);

  const RunConfig& run() const { return run_; }
  const RolloutConfig& rollout() const { return rollout_; }
  const std::vector<ModelSpec>& models() const { return models_; }
  bool retrain() const { return retrain_; }
  RunFolder folder() const { return {run_.output}; }

  /// The stages dataset, truth, train/<model>, rollout/<method>, evaluate, figure, report. Each refers to this
  /// object and to `graph`, which both must stay where they are. The data set is part of it only if some model
  /// is trained on it here; weights that are shipped rather than trained are checked at once (ConfigError where
  /// the file gives them other scales or another network). run.threads,
  /// run.device, run.name and run.output enter no hash.
  void add_stages(StageGraph& graph) const;
  /// Stages of `graph` that `name` stands for: itself, or all of "train" or "rollout". ConfigError otherwise.
  static std::vector<std::string> targets(const StageGraph& graph, const std::string& name);

 private:
  DatagenPlan truth_plan() const;
  /// A data set as the text that its hash is made of.
  std::string data_text(DatagenPlan plan) const;
  bool shipped(const ModelSpec& model) const { return model.weights.has_value() && !retrain_; }
  std::filesystem::path shipped_folder(const ModelSpec& model) const;
  /// SHA-256 of the shipped weights. Error if a file is damaged; ConfigError unless they are of this
  /// architecture and grid and, where they tell it, of this frame interval.
  std::string check_shipped(const ModelSpec& model) const;
  /// Where the run keeps the weights it uses: what is trained here and what is taken from elsewhere never share
  /// a folder, so that neither overwrites the other.
  std::filesystem::path weights_folder(const ModelSpec& model) const;
  bool needs_dataset() const;

  void add_model(StageGraph& graph, const ModelSpec& model) const;
  void add_rollout(StageGraph& graph, const MethodConfig& method) const;
  void add_judgement(StageGraph& graph) const;

  StageFacts make_data(const DatagenPlan& plan, const std::filesystem::path& folder) const;
  StageFacts take_shipped_weights(const ModelSpec& model) const;
  StageFacts train(const ModelSpec& model) const;
  StageFacts roll_out(const MethodConfig& method, const std::string& identity) const;
  StageFacts evaluate() const;
  std::optional<StageFacts> write_report(const StageGraph& graph) const;

  const Config& config_;
  std::string command_;
  RunConfig run_;
  SolverSource solver_;
  DatagenPlan data_plan_;
  std::vector<ModelSpec> models_;
  RolloutConfig rollout_;
  EvaluateConfig evaluate_;
  std::string evaluate_text_;
  FigureConfig figure_;
  bool retrain_ = false;
};

}  // namespace sns
