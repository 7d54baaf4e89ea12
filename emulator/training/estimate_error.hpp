#pragma once
// What denoisers get wrong in their estimates of noise, on frames of the data; see EstimateErrors.
#include "emulator/models/diffusion_model.hpp"
#include "emulator/training_frames.hpp"

#include <cstdint>
#include <filesystem>
#include <map>
#include <vector>

namespace sns {

/// File of a weights folder.
inline constexpr const char* kEstimateErrorFile = "estimate_error.safetensors";
/// Samples that the error at each pair of levels is measured on, where there are as many.
inline constexpr std::int64_t kEstimateErrorSamples = 128;

/// Whether the estimates of this kind of models are measured: of those that refine.
bool measures_estimates(const std::string& kind);

/// Levels at which errors are measured where a model acts at 0..highest: the clean frame's, and all of them or,
/// if there are more, eight, the closer the lower.
std::vector<int> measured_levels(int highest);

/// At all pairs of these levels, on `samples` samples of the split, or all if there are fewer; the same ones
/// for every model. A model that was trained beside clean past frames alone is measured beside them. Error if
/// there is no sample, or a value is not finite; ConfigError for a kind of model without errors; Stopped if a
/// stop is asked for.
EstimateErrors measure_estimate_errors(DiffusionModel& model, const TrainingFrames& frames,
                                       const std::vector<int>& levels, std::int64_t samples);

/// Of the averaged weights of a folder, and of the raw ones where it has them. Error where the frames are not
/// such as the network is for.
std::map<Weights, EstimateErrors> measure_estimate_errors(const std::filesystem::path& folder,
                                                          const TrainingFrames& frames,
                                                          const std::vector<int>& levels, std::int64_t samples,
                                                          torch::Device device);

/// Writes kEstimateErrorFile beside the weights that were measured (atomically), and its line of the folder's
/// SHA256SUMS where there is one.
void save_estimate_errors(const std::filesystem::path& folder,
                          const std::map<Weights, EstimateErrors>& measured);

/// Whether the folder holds the errors of all weights that it has, in a file that can be read.
bool has_estimate_errors(const std::filesystem::path& folder);

/// The errors of these weights, for DiffusionModel::use_errors. Error where the folder has none, or those of
/// other weights.
EstimateErrors load_estimate_errors(const std::filesystem::path& folder, Weights weights);

}  // namespace sns
