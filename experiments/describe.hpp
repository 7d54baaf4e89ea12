#pragma once
// What an experiment will cost, without running it: for `sns check`.
#include "core/config.hpp"
#include "core/run_config.hpp"
#include "datagen/plan.hpp"
#include "experiments/config.hpp"
#include "experiments/oracle_config.hpp"
#include "experiments/training_memory.hpp"

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace sns {

/// What a file says of an experiment's networks.
struct ExperimentBlocks {
  std::vector<ModelSpec> models;
  std::optional<RolloutConfig> rollout;
  std::optional<OracleConfig> oracle;
  bool retrain = false;
};
/// Reads and checks the blocks models, rollout, evaluate, figure, oracle and video, as far as the file has
/// them, and `retrain`. ConfigError for an invalid one.
ExperimentBlocks read_experiment_blocks(const Config& config);

/// What one stage of `sns reproduce` takes.
struct StageCost {
  std::string stage;  ///< its name there: "dataset", "truth", "train/sns", "rollout/sns"
  double seconds = 0;
  double disk_bytes = 0;
  bool shared = true;  ///< by experiments of one run folder
};

struct ExperimentCost {
  std::vector<std::pair<std::string, std::string>> lines;  ///< (what, value), for a table
  std::vector<StageCost> stages;                           ///< those that run, where nothing is finished
  std::map<std::string, double> retrain_seconds;           ///< what retrain=true adds, by model
  std::string training_memory;  ///< of the training that takes most, in words; empty where there is none
  double training_bytes = 0;
  std::vector<std::string> doubts;  ///< trainings that do not fit
};

/// Reads these blocks: parameters and memory of each model, evaluations and disk space of each rollout, and
/// times estimated from evaluations of each network on the run's device, or from steps of the solver where one
/// is a method; levels that networks may predict beyond the least are not in them. Of each training that is to
/// come, passes of a few samples are made for `memory`. solver_speed: steps per second of one trajectory in a
/// batch of the data's solver, which decides the times of data set and truth.
/// ConfigError for an invalid block.
ExperimentCost describe_experiment(const Config& config, const RunConfig& run, const SolverInfo& solver,
                                   const DatagenPlan& data, double solver_speed, TrainingMemory& memory);
/// Time and disk space of stages: "about 41 min and 9.9 GB: data set 10 s, training 0 s, ...".
std::string total_text(const std::vector<StageCost>& stages);
/// "95 s", "12 min", "3.4 h", "2 days".
std::string human_time(double seconds);

}  // namespace sns
