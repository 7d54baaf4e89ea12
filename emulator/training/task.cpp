#include "emulator/training/task.hpp"

#include "core/error.hpp"
#include "emulator/training/gaussian_task.hpp"
#include "emulator/training/one_level_task.hpp"
#include "emulator/training/sns_task.hpp"

#include <c10/core/DeviceGuard.h>
#include <torch/utils.h>

#include <algorithm>

namespace sns {

void require_frames_of(const ModelConfig& config, const TrainingFrames& split,
                       const std::filesystem::path& folder) {
  require(split.channels() == config.field_channels && split.nx() == config.image && split.ny() == config.image,
          "the frames are of {} fields on {} x {} points, and the weights of {} for {} on {} x {}",
          split.channels(), split.nx(), split.ny(), folder.string(), config.field_channels, config.image,
          config.image);
}

torch::TensorOptions frame_options(const TrainingFrames& split) {
  const auto options = torch::TensorOptions().dtype(torch::kFloat32);
  if (split.device() < 0) return options;
  return options.device(torch::kCUDA, static_cast<torch::DeviceIndex>(split.device()));
}

namespace {

template <class Move>
Batch moved(const Batch& batch, const Move& move) {
  const auto defined = [&](const torch::Tensor& t) { return t.defined() ? move(t) : t; };
  return {defined(batch.frames), defined(batch.noise), defined(batch.levels), defined(batch.lags)};
}

}  // namespace

Batch Batch::staged_for(torch::Device device) const {
  if (!device.is_cuda()) return *this;
  const c10::DeviceGuard guard(device);  // threads begin with the first device
  return moved(*this, [](const torch::Tensor& t) { return t.is_cuda() ? t : t.pin_memory(); });
}

Batch Batch::to(torch::Device device) const {
  return moved(*this, [&](const torch::Tensor& t) { return t.to(device, /*non_blocking=*/device.is_cuda()); });
}

Metrics mean_loss(TrainingTask& task, std::int64_t samples, std::int64_t batch, torch::Device device,
                  const std::function<Batch(std::int64_t first, std::int64_t count)>& make) {
  const torch::NoGradGuard no_grad;
  Metrics means{{"loss", 0.0}};
  for (std::int64_t first = 0; first < samples; first += batch) {
    const std::int64_t count = std::min(batch, samples - first);
    const double weight = static_cast<double>(count) / static_cast<double>(samples);
    const BatchLoss loss = task.loss(make(first, count).to(device));
    means[0].second += weight * loss.total.item<double>();
    for (std::size_t i = 0; i < loss.reported.size(); ++i) {
      if (first == 0) means.emplace_back(loss.reported[i].first, 0.0);
      means[i + 1].second += weight * loss.reported[i].second.item<double>();
    }
  }
  return means;
}

std::uint64_t AttemptSampler::begin(int attempt) {
  constexpr std::uint64_t kStride = 0x9e3779b97f4a7c15ULL;  // golden ratio: no two attempts of near seeds meet
  const std::uint64_t seed = first_seed_ + kStride * static_cast<std::uint64_t>(attempt);
  if (attempt != attempt_) {
    sampler_ = EpochSampler(sampler_.size(), seed);
    attempt_ = attempt;
  }
  return seed;
}

std::unique_ptr<TrainingTask> make_task(Model& model, const TrainingConfig& config,
                                        const TrainingFrames& training, const TrainingFrames* validation,
                                        std::uint64_t seed) {
  if (auto* gaussian = dynamic_cast<GaussianEmulator*>(&model)) {
    return std::make_unique<GaussianTask>(*gaussian, config, training, validation, seed);
  }
  if (auto* sns = dynamic_cast<Sns*>(&model)) {
    return std::make_unique<SnsTask>(*sns, config, training, validation, seed);
  }
  if (auto* thermalizer = dynamic_cast<Thermalizer*>(&model)) {
    return std::make_unique<ThermalizerTask>(*thermalizer, config, training, validation, seed);
  }
  if (auto* acdm = dynamic_cast<Acdm*>(&model)) {
    return std::make_unique<AcdmTask>(*acdm, config, training, validation, seed);
  }
  fail<ConfigError>("models of kind '{}' cannot be trained", model.config().kind);
}

}  // namespace sns
