#pragma once
// The `rollout` block: which models are rolled out, how, and for how long.
#include "core/config.hpp"
#include "emulator/diffusion/traversal.hpp"
#include "emulator/training/trainer.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sns {

/// One entry of `rollout.methods`: a surrogate, alone or refined.
struct MethodConfig {
  std::string name;
  std::string emulator;                ///< name of a model of kind gaussian
  std::optional<std::string> refiner;  ///< name of a model of kind sns
  Path path = Path::A;
  SweepRule rule = SweepRule::inclusive;
  int level_floor = 0;          ///< predicted levels below are raised to it
  int threshold = -1;           ///< trajectories with neither level above it are not refined
  std::string weights = "ema";  ///< ema | raw
  std::int64_t start = 1;       ///< first step that is refined
  double noise = 0;             ///< std of white noise added to the surrogate's step, normalised units
  std::string text;             ///< resolved block
};

/// The `rollout` block.
struct RolloutConfig {
  std::int64_t steps = 1000;
  int members = 8;
  int floor_members = 8;  ///< further solver runs, for truth against truth
  double limit = 50;      ///< standard deviations beyond which a member has failed
  std::vector<MethodConfig> methods;
};

/// Reads `rollout` and checks that its methods name models of the right kind. Names of methods are the user's.
RolloutConfig read_rollout(Section rollout, const std::vector<ModelSpec>& models);

}  // namespace sns
