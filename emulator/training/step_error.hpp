#pragma once
// What a surrogate gets wrong in one step: e = x_t - (x_{t-1} + Psi(x_{t-1})), as a Gaussian field. With it the
// surrogate is the distribution that it is named after: the network's mean, and the covariance of its error.
#include "emulator/models/field_covariance.hpp"
#include "emulator/models/gaussian.hpp"
#include "emulator/models/unpredicted_scales.hpp"
#include "emulator/training_frames.hpp"

#include <filesystem>
#include <map>

namespace sns {

/// File of a weights folder.
inline constexpr const char* kStepErrorFile = "step_error.safetensors";
/// Pairs of frames that it is measured on, where there are as many.
inline constexpr std::int64_t kStepErrorPairs = 2048;

/// Covariances in normalised units.
struct StepError {
  FieldCovariance error;
  FieldCovariance change;  ///< of x_t - x_{t-1}, what there is to predict
  FieldCovariance frame;   ///< of x_t
  /// Of what the network predicts. Where that is the mean of what can follow, this and the error's are the
  /// frame's.
  FieldCovariance prediction;
  std::int64_t pairs;
};

/// Over `pairs` pairs of consecutive frames, or all if there are fewer, spread over all trajectories; the same
/// ones for every model. Error if there is none, or a value is not finite.
StepError measure_step_error(GaussianEmulator& model, const TrainingFrames& frames, std::int64_t pairs);

/// Of the averaged weights of a folder, and of the raw ones where it has them. Error where the frames are not
/// such as the network is for.
std::map<Weights, StepError> measure_step_errors(const std::filesystem::path& folder,
                                                 const TrainingFrames& frames, std::int64_t pairs,
                                                 torch::Device device);

/// Writes kStepErrorFile beside the weights that were measured (atomically), and its line of the folder's
/// SHA256SUMS where there is one.
void save_step_errors(const std::filesystem::path& folder, const std::map<Weights, StepError>& measured);

/// Whether the folder holds the error of all weights that it has, in a file of this version that can be read.
bool has_step_errors(const std::filesystem::path& folder);

/// The error's covariance of these weights. Error where the folder has none, or one of other weights.
FieldCovariance load_step_error(const std::filesystem::path& folder, Weights weights);

/// The scales that these weights do not predict. Error as above, and where the file is of a version that did
/// not keep what frames and their changes have.
UnpredictedScales load_unpredicted_scales(const std::filesystem::path& folder, Weights weights);

}  // namespace sns
