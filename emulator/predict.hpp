#pragma once
// A trained model applied once to states in a file, in physical units.
#include "emulator/diffusion/sampling_options.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace sns {

struct PredictOptions {
  std::filesystem::path weights;  ///< weights folder
  std::string which = "ema";      ///< raw | ema
  std::string input;       ///< FILE.h5:/path of the array, float32 or float64, or one path for each field
  std::string long_input;  ///< SNS: the same of clean frames [B, x, y] or [x, y]; empty: the past frame
  int lag = 0;             ///< lagged SNS: steps from the long frame to the present one; 0 for other models
  std::filesystem::path output;  ///< HDF5 file
  bool overwrite = false;        ///< replace a file that is there
  SamplingWords sampling;
  bool sampled = false;             ///< gaussian: with noise like the error of its step (kStepErrorFile)
  std::filesystem::path surrogate;  ///< SNS: weights folder of the surrogate for Estimate::combined; or empty
  bool generate = false;            ///< SNS: the next state from noise, rather than a refined pair
  std::vector<int> oracle;          ///< SNS: levels (s1, s2) of Tweedie's estimate; empty: refinement
  std::uint64_t seed = 0;           ///< of the noise
  std::int64_t batch = 16;          ///< samples of one network evaluation
  std::string device = "auto";
  int threads = 1;
  std::string command;  ///< recorded in the file
  std::vector<std::string>
      given;  ///< options that were typed, "--rule"; those of another kind of model are refused
};

struct PredictSummary {
  std::string kind;          ///< of the model
  std::string made;          ///< "next states", "refined pairs", ...
  std::int64_t samples = 0;  ///< states or pairs
};

/// Models of C > 1 fields take and give frames [C, x, y] where [x, y] stands below, fields in the model's
/// order. gaussian: states [B, x, y] (or one state [x, y]) -> /next [B, x, y], one frame interval later. sns:
/// pairs [B, 2, x, y] = (x_{t-1}, x_t) (or one pair [2, x, y]) -> /refined [B, 2, x, y]; /levels i32 [B, 2]
/// predicted for (past, present) as sampling.classify shows them, /used_levels i32 [B, 2] (-1: left alone),
/// /evaluations i64 [B]. sns with `oracle`: pairs are noised to its levels, /noised [B, 2, x, y]; /estimate [B,
/// 2, x, y] is Tweedie's of the clean pair, /levels as above. sns with `generate`: states -> /next,
/// /evaluations and, but for path clean_past, /levels (present: -1). thermalizer: states -> /refined [B, x, y]
/// (NaN: given up) and the same three arrays as sns (past: -1). acdm: states -> /next and /evaluations. With
/// `surrogate` the walk of an SNS follows what its estimates and that surrogate's prediction for the past frame
/// make together. Root attributes name the weights (SHA-256), seed, command, software, and every option that
/// had a part in the result. Row b's noise depends on b and the seed alone. Error: weights or input missing,
/// damaged, of another shape, or not finite. ConfigError: the output exists and overwrite is not set, or is a
/// file that is read; options that do not fit the model.
PredictSummary predict(const PredictOptions& options);

}  // namespace sns
