#pragma once
// The oracle trade-off of the SNS paper's Figure 3: how well the present frame can be estimated from a noisy
// past one and a very noisy present one, as the past frame gets noisier.
#include "emulator/models/sns.hpp"
#include "experiments/evaluate.hpp"
#include "experiments/oracle_config.hpp"

#include <filesystem>

namespace sns {

struct OracleInputs {
  /// Folder of solver trajectories that the model was not trained on, with a `test` split.
  std::filesystem::path frames;
  std::filesystem::path output;  ///< folder; created
  OracleConfig config;
  EvaluateConfig evaluate;     ///< bootstrap and confidence
  std::string weights_sha256;  ///< of the model's file; recorded
  std::uint64_t seed = 0;      ///< of the noise and the bootstrap
};

/// Pairs (x_{t-1}, x_t) of several trajectories and times are noised, x_t to config.level and x_{t-1} to each
/// of a range of levels, with the same noise at every level; the error is the mean square of Tweedie's estimate
/// of x_t less x_t, over points, fields and times, in units of the fields' standard deviations. Beside the pair
/// the network sees x_{t-2}, or the frame of its longest lag. Writes <output>/oracle.h5 and oracle.json with
/// cluster-bootstrap intervals over trajectories (undefined for a single one). Error: frames of another shape.
void run_oracle(Sns& model, const OracleInputs& inputs);

}  // namespace sns
