#pragma once
// A trained model applied once to states in a file, in physical units.
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace sns {

struct PredictOptions {
  std::filesystem::path weights;  ///< weights folder
  std::string which = "ema";      ///< raw | ema
  std::string input;              ///< FILE.h5:/path of the array, float32 or float64
  std::string long_input;  ///< SNS: FILE.h5:/path of clean frames [B, x, y] or [x, y]; empty: the past frame
  int lag = 0;             ///< lagged SNS: steps from the long frame to the present one; 0 for other models
  std::filesystem::path output;           ///< HDF5 file
  bool overwrite = false;                 ///< replace a file that is there
  std::string path = "A";                 ///< SNS: route of the refinement
  std::string rule = "inclusive";         ///< SNS, thermalizer: where a sweep starts
  int level_floor = 0;                    ///< SNS: predicted levels below are raised to it
  int threshold = -1;                     ///< SNS: what the gate compares levels with
  std::string gate = "either";            ///< SNS: which pairs are refined
  std::vector<int> oracle;                ///< SNS: levels (s1, s2) of Tweedie's estimate; empty: refinement
  int start_level = 6;                    ///< thermalizer: states above it are denoised
  int stop_level = 4;                     ///< thermalizer: down to the step above it
  int noise_limit = 100;                  ///< thermalizer: states above it are given up
  std::string start = "noised_past";      ///< ACDM: what a state begins as
  std::string conditioning = "per_step";  ///< ACDM: noise of the condition
  std::string reverse_std = "posterior";  ///< all but the emulator: spread of the noise of a reverse step
  std::uint64_t seed = 0;                 ///< of the noise
  std::int64_t batch = 16;                ///< samples of one network evaluation
  std::string device = "auto";
  int threads = 1;
  std::string command;  ///< recorded in the file
};

struct PredictSummary {
  std::string kind;          ///< of the model
  std::int64_t samples = 0;  ///< states or pairs
};

/// Models of C > 1 fields take and give frames [C, x, y] where [x, y] stands below, fields in the model's
/// order. gaussian: states [B, x, y] (or one state [x, y]) -> /next [B, x, y], one frame interval later. sns:
/// pairs [B, 2, x, y] = (x_{t-1}, x_t) (or one pair [2, x, y]) -> /refined [B, 2, x, y]; /levels i32 [B, 2]
/// predicted for (past, present), /used_levels i32 [B, 2] (-1: left alone), /evaluations i64 [B]. sns with
/// `oracle`: pairs are noised to its levels, /noised [B, 2, x, y]; /estimate [B, 2, x, y] is Tweedie's of the
/// clean pair, /levels as above. thermalizer: states -> /refined [B, x, y] (NaN: given up) and the same three
/// arrays as sns (past: -1). acdm: states -> /next and /evaluations.
/// Root attributes name the weights (SHA-256), seed, command and software. Row b's noise depends on b and the
/// seed alone. Error: weights or input missing, damaged, of another shape, or not finite. ConfigError: the
/// output exists and overwrite is not set.
PredictSummary predict(const PredictOptions& options);

}  // namespace sns
