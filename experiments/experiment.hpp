#pragma once
// One YAML file as an experiment: data set, truth, trained models, rollouts, evaluation, figures and report, as
// a graph of stages in one run folder.
#include "core/run_config.hpp"
#include "datagen/plan.hpp"
#include "datagen/solver_source.hpp"
#include "experiments/config.hpp"
#include "experiments/evaluate.hpp"
#include "experiments/oracle_config.hpp"
#include "experiments/rollout.hpp"
#include "experiments/solver_stepper.hpp"
#include "experiments/stages.hpp"

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace sns {

/// Where things lie in a run folder.
struct RunFolder {
  std::filesystem::path root;
  std::filesystem::path
      results;  ///< of this experiment: the root, or a folder in it where several share the root
  std::filesystem::path dataset() const { return root / "dataset"; }
  std::filesystem::path truth() const { return root / "truth"; }
  std::filesystem::path model(const std::string& name) const { return root / "models" / name; }
  std::filesystem::path rollout(const std::string& method) const {
    return root / "rollouts" / (method + ".h5");
  }
  std::filesystem::path ensemble(const std::string& method) const {
    return root / "rollouts" / "ensembles" / (method + ".h5");
  }
  std::filesystem::path config() const { return results / "config.yaml"; }
  std::filesystem::path evaluation() const { return results / "evaluation"; }
  std::filesystem::path oracle() const { return results / "oracle"; }
  std::filesystem::path figures() const { return results / "figures"; }
  std::filesystem::path video() const { return results / "video" / "rollout.mp4"; }
  std::filesystem::path report() const { return results / "report.html"; }
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
  /// Whether a method or the oracle asks for it. Plain sns reproduce leaves others alone.
  bool uses(const ModelSpec& model) const;
  RunFolder folder() const {
    return {run_.output, figure_.folder ? run_.output / *figure_.folder : run_.output};
  }
  /// ConfigError if the data set has trajectories of the truth set.
  static void require_unseen_truth(const DatagenPlan& data);
  /// As sns::changed_flow; nothing where networks are trained anew.
  std::string changed_flow(const SolverInfo& of_file) const;
  /// ConfigError where there is nothing to draw, or a kind of figure lacks what it is drawn from.
  void require_figures() const;

  /// The stages dataset, truth, train/<model>, rollout/<method>, evaluate, oracle, figure, video, report, as
  /// far as the file asks for them; the report needs the models in use. Each refers to this object and to
  /// `graph`, which both must stay where they are. The data set is part of it only if some model is trained on
  /// it here; weights that are shipped rather than trained are checked at once (ConfigError where the file
  /// gives them other scales or another network). run.threads, run.device, run.name and run.output enter no
  /// hash.
  void add_stages(StageGraph& graph) const;
  /// Stages of `graph` that `name` stands for: itself, or all of "train" or "rollout". Empty if there is none.
  static std::vector<std::string> find_targets(const StageGraph& graph, const std::string& name);
  /// The same; ConfigError if there is none.
  static std::vector<std::string> targets(const StageGraph& graph, const std::string& name);

 private:
  DatagenPlan truth_plan() const;
  /// A data set as the text that its hash is made of.
  std::string data_text(DatagenPlan plan) const;
  bool shipped(const ModelSpec& model) const { return model.weights.has_value() && !retrain_; }
  /// Where the run keeps the weights it uses: what is trained here and what is taken from elsewhere never share
  /// a folder, so that neither overwrites the other.
  std::filesystem::path weights_folder(const ModelSpec& model) const;
  bool needs_dataset() const;
  /// The file of combined estimates that comes with the method's finished weights; none for other methods.
  std::optional<std::filesystem::path> finished_combination(const MethodConfig& method) const;

  void add_model(StageGraph& graph, const ModelSpec& model) const;
  /// Its rollout and, where the file asks for ensembles, its own.
  void add_rollout(StageGraph& graph, const MethodConfig& method) const;
  Stage rollout_stage(const MethodConfig& method, const StageGraph& graph) const;
  Stage ensemble_stage(const MethodConfig& method, const StageGraph& graph) const;
  void add_evaluation(StageGraph& graph) const;
  void add_oracle(StageGraph& graph) const;
  void add_figure(StageGraph& graph) const;
  void add_video(StageGraph& graph) const;
  void add_report(StageGraph& graph) const;

  StageFacts make_data(const DatagenPlan& plan, const std::filesystem::path& folder) const;
  StageFacts take_shipped_weights(const ModelSpec& model) const;
  StageFacts train(const ModelSpec& model) const;
  /// ensemble: of rollout.ensemble, in place of the rollout itself.
  StageFacts roll_out(const MethodConfig& method, const std::string& identity, bool ensemble) const;
  /// All of a rollout's job but its scales and what its networks add.
  RolloutJob rollout_job(const MethodConfig& method, const std::string& identity) const;
  /// Makes a job that of an ensemble: several members of each of its initial conditions, perturbed.
  void make_ensemble(RolloutJob& job, const MethodConfig& method) const;
  /// Steppers by method; what they are made of and their scales are written into the job.
  std::unique_ptr<RolloutStepper> make_networks(const MethodConfig& method, RolloutJob& job) const;
  /// Measures on the run's data set what the method's refiner and surrogate make together, where that is not
  /// beside the refiner's weights already.
  void measure_combined_estimates(const MethodConfig& method) const;
  std::unique_ptr<RolloutStepper> make_solver_stepper(const MethodConfig& method, RolloutJob& job) const;
  StageFacts evaluate() const;
  StageFacts ask_oracle() const;
  std::optional<StageFacts> film() const;
  /// The methods that the video shows.
  std::vector<std::string> filmed() const;
  std::optional<StageFacts> write_report(const StageGraph& graph) const;

  const Config& config_;
  std::string command_;
  RunConfig run_;
  SolverSource solver_;
  DatagenPlan data_plan_;
  std::vector<ModelSpec> models_;
  RolloutConfig rollout_;
  std::map<std::string, SolverMethod> solver_methods_;  ///< by name of the method
  EvaluateConfig evaluate_;
  std::string evaluate_text_;
  FigureConfig figure_;
  std::optional<OracleConfig> oracle_;
  std::string oracle_text_;
  VideoConfig video_;
  bool retrain_ = false;
};

}  // namespace sns
