#include "emulator/training/step_error.hpp"

#include "core/error.hpp"
#include "core/stop.hpp"
#include "emulator/dataset.hpp"
#include "emulator/training/measured_file.hpp"
#include "emulator/training/task.hpp"

#include <ATen/Functions.h>

#include <algorithm>

namespace sns {
namespace {

namespace fs = std::filesystem;

const MeasuredFile kMeasuredSteps{
    kStepErrorFile, "the error of its steps, which samples of a surrogate and unpredicted_scales need"};
/// Beside the error, by shell, of the same pairs.
constexpr const char *kChangePower = "change_power", *kFramePower = "frame_power";

/// Mean of covariances, each with the number of fields that it is of.
class Mean {
 public:
  void add(const torch::Tensor& fields) {
    const auto count = static_cast<double>(fields.size(0));
    const torch::Tensor sum = FieldCovariance::of(fields).spectrum() * count;
    sum_ = sum_.defined() ? sum_ + sum : sum;
    count_ += count;
  }
  FieldCovariance value() const { return FieldCovariance(sum_ / count_); }

 private:
  torch::Tensor sum_;
  double count_ = 0;
};

}  // namespace

StepError measure_step_error(GaussianEmulator& model, const TrainingFrames& frames, std::int64_t pairs) {
  constexpr std::int64_t kBatch = 32;
  const std::int64_t windows = frames.windows(2), count = std::min(windows, pairs);
  require(count > 0, "split {} has no two consecutive frames to measure a step's error on", frames.name());
  const Permutation order(static_cast<std::uint64_t>(windows), /*seed=*/0, /*epoch=*/0);
  const std::int64_t size = 2 * frames.frame_size();
  Mean error, change, frame, prediction;
  for (std::int64_t first = 0; first < count; first += kBatch) {
    throw_if_stopped("while measuring the error of a step");
    const std::int64_t batch = std::min(kBatch, count - first);
    torch::Tensor pair =
        at::empty({batch, 2, frames.channels(), frames.nx(), frames.ny()}, frame_options(frames));
    for (std::int64_t b = 0; b < batch; ++b)
      frames.read_window(static_cast<std::int64_t>(order(static_cast<std::uint64_t>(first + b))), 2,
                         {pair.data_ptr<float>() + b * size, static_cast<std::size_t>(size)});
    pair = pair.to(model.device());
    const torch::Tensor before = pair.select(1, 0), after = pair.select(1, 1);
    const torch::Tensor predicted = model.step(before);
    error.add(after - predicted);
    prediction.add(predicted);
    change.add(after - before);
    frame.add(after);
  }
  return {error.value(), change.value(), frame.value(), prediction.value(), count};
}

std::map<Weights, StepError> measure_step_errors(const fs::path& folder, const TrainingFrames& frames,
                                                 std::int64_t pairs, torch::Device device) {
  require_frames_of(load_model_config(folder / "config.yaml"), frames, folder);
  std::map<Weights, StepError> found;
  for (const Weights weights : {Weights::ema, Weights::raw}) {
    if (!fs::exists(folder / file_name(weights))) continue;
    const auto model = load_model_as<GaussianEmulator>(folder, weights, device);
    found.emplace(weights, measure_step_error(*model, frames, pairs));
  }
  require(!found.empty(), "{} holds no weights", folder.string());
  return found;
}

void save_step_errors(const fs::path& folder, const std::map<Weights, StepError>& measured) {
  std::map<Weights, torch::Tensor> spectra;
  for (const auto& [weights, step] : measured) spectra.emplace(weights, step.error.spectrum());
  NamedTensors of_frames;
  if (!measured.empty()) {
    const StepError& any = measured.begin()->second;  // the frames are the same
    of_frames = {{kChangePower, any.change.shell_power()}, {kFramePower, any.frame.shell_power()}};
  }
  kMeasuredSteps.save(folder, spectra, {}, of_frames);
}

bool has_step_errors(const fs::path& folder) {
  return kMeasuredSteps.complete(folder, {kChangePower, kFramePower});
}

namespace {

FieldCovariance checked_error(const fs::path& folder, const torch::Tensor& stored) {
  FieldCovariance covariance(stored);
  const ModelConfig config = load_model_config(folder / "config.yaml");
  require(covariance.points() == config.image && covariance.channels() == config.field_channels,
          "{} is of {} channels of {} x {} points, but the network's frames are of {} and {} x {}",
          (folder / kStepErrorFile).string(), covariance.channels(), covariance.points(), covariance.points(),
          config.field_channels, config.image, config.image);
  return covariance;
}

}  // namespace

FieldCovariance load_step_error(const fs::path& folder, Weights weights) {
  return checked_error(folder, kMeasuredSteps.load(folder, weights).tensor);
}

UnpredictedScales load_unpredicted_scales(const fs::path& folder, Weights weights) {
  const MeasuredFile::Content content = kMeasuredSteps.load(folder, weights);
  const FieldCovariance covariance = checked_error(folder, content.tensor);
  const torch::Tensor error = covariance.shell_power();
  const auto of_frames = [&](const char* name) {
    const auto found = content.others.find(name);
    require(found != content.others.end() && found->second.sizes() == error.sizes(),
            "{} does not say what power frames and their changes have, which unpredicted_scales needs (of an "
            "earlier version?); {}",
            (folder / kStepErrorFile).string(), kMeasuredSteps.advice(folder));
    return found->second.to(torch::kFloat64);
  };
  return {error, of_frames(kChangePower), of_frames(kFramePower), covariance.points()};
}

}  // namespace sns
