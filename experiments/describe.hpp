#pragma once
// What an experiment will cost, without running it: for `sns check`.
#include "core/config.hpp"
#include "core/run_config.hpp"
#include "datagen/plan.hpp"
#include "experiments/config.hpp"
#include "experiments/oracle_config.hpp"

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

/// Reads these blocks. Returns lines (what, value) for a table: parameters and memory of each model,
/// evaluations and disk space of each rollout, and times estimated from evaluations of each network on the
/// run's device, or from steps of the solver where one is a method. solver_speed: steps per second of one
/// trajectory in a batch of the data's solver, which decides the truth's time. ConfigError for an invalid
/// block.
std::vector<std::pair<std::string, std::string>> describe_experiment(const Config& config, const RunConfig& run,
                                                                     const SolverInfo& solver,
                                                                     const DatagenPlan& data,
                                                                     double solver_speed);

}  // namespace sns
