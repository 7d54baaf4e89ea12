#pragma once
// Estimates that an SNS and a surrogate make together, measured on frames of the data; see CombinedEstimate.
#include "emulator/models/combined_estimate.hpp"
#include "emulator/models/gaussian.hpp"
#include "emulator/models/sns.hpp"
#include "emulator/training_frames.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace sns {

/// Samples that the combination at each pair of levels is measured on, where there are as many.
inline constexpr std::int64_t kCombinationSamples = 256;

/// File of the refiner's folder that holds the combination with these weights of a surrogate: its name has the
/// first 12 digits of their SHA-256, and raw_ before them where they are not averaged.
std::string combination_file(const std::filesystem::path& surrogate, Weights weights);

struct Combination {
  CombinedEstimate estimate;
  double surrogate_error;  ///< of its predictions on the same samples, root mean square, in the refiner's units
};

/// At all pairs of these levels (measured_levels), on `samples` samples of the split, or all if there are
/// fewer; the same ones for every pair of models. A refiner that was trained beside clean past frames alone is
/// measured beside them. The split is in the refiner's units. Error if there is no sample, or a value is
/// not finite; Stopped if a stop is asked for.
Combination measure_combination(Sns& refiner, GaussianEmulator& surrogate, const TrainingFrames& frames,
                                const std::vector<int>& levels, std::int64_t samples);

/// Of the weights of two folders. Error where the frames are not such as both networks are for; ConfigError
/// where the networks are for frames that are not as far apart.
Combination measure_combination(const std::filesystem::path& refiner, const std::filesystem::path& surrogate,
                                Weights weights, const TrainingFrames& frames, const std::vector<int>& levels,
                                std::int64_t samples, torch::Device device);

/// Writes combination_file() beside the refiner's weights (atomically), and its line of the folder's SHA256SUMS
/// where there is one. data_hash: of the data set that it was measured on (DatasetInfo::hash).
void save_combination(const std::filesystem::path& refiner, const std::filesystem::path& surrogate,
                      Weights weights, const CombinedEstimate& combination, const std::string& data_hash);

/// Error where the refiner's folder has none with this surrogate, or one of other weights of its own.
CombinedEstimate load_combination(const std::filesystem::path& refiner, const std::filesystem::path& surrogate,
                                  Weights weights);

/// Whether load_combination() finds one, and it was measured on this data set.
bool has_combination(const std::filesystem::path& refiner, const std::filesystem::path& surrogate,
                     Weights weights, const std::string& data_hash);

}  // namespace sns
