#pragma once
#include "core/config.hpp"
#include "emulator/training/trainer.hpp"

#include <optional>
#include <string>
#include <vector>

namespace sns {

/// The `oracle` block.
struct OracleConfig {
  std::string model;            ///< name of a model of kind sns
  std::string weights = "ema";  ///< ema | raw
  std::optional<int> level;     ///< that x_t is noised to; default: 0.9 of `levels`, rounded down
  int past_levels = 200;        ///< so many of `levels` for x_{t-1}, evenly spaced from 0 on, or all there are
  int examples = 5;             ///< fields are kept at so many of them, evenly spaced
  int trajectories = 5;
  int times = 4;   ///< pairs of each trajectory, evenly spaced
  int levels = 1;  ///< of the model, as far as its training goes; no key: the model's block tells
};
/// Reads the block. ConfigError unless it names a model of kind sns.
OracleConfig read_oracle(Section oracle, const std::vector<ModelSpec>& models);

}  // namespace sns
