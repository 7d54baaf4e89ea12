#pragma once
// What an experiment will cost, without running it: for `sns check`.
#include "core/config.hpp"
#include "core/run_config.hpp"
#include "experiments/config.hpp"
#include "experiments/oracle_config.hpp"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace sns {

/// Size of the frames that the networks will see.
struct FrameSize {
  int channels = 1;
  int points = 64;  ///< along one side
};

/// What a file says of an experiment's networks.
struct ExperimentBlocks {
  std::vector<ModelSpec> models;
  std::optional<RolloutConfig> rollout;
  std::optional<OracleConfig> oracle;
};
/// Reads and checks the blocks models, rollout, evaluate, figure, oracle and video, as far as the file has
/// them, and `retrain`. ConfigError for an invalid one.
ExperimentBlocks read_experiment_blocks(const Config& config);

/// Reads these blocks. Returns lines (what, value) for a table: parameters and memory of each model,
/// evaluations and disk space of each rollout, and times estimated from one evaluation of each network on this
/// machine's CPU. ConfigError for an invalid block.
std::vector<std::pair<std::string, std::string>> describe_experiment(const Config& config, const RunConfig& run,
                                                                     const FrameSize& frames);

}  // namespace sns
