#include "emulator/training/gaussian_task.hpp"

#include "core/error.hpp"

#include <algorithm>
#include <cmath>

namespace sns {
namespace {

std::uint64_t window_count(const TrainingFrames& split, int length) {
  const auto count = split.windows(length + 1);
  require(count > 0,
          "split {} has no window of {} frames: its trajectories are too short for rollout.max_length {}",
          split.name(), length + 1, length);
  return static_cast<std::uint64_t>(count);
}

}  // namespace

GaussianTask::GaussianTask(GaussianEmulator& model, const TrainingConfig& config,
                           const TrainingFrames& training, const TrainingFrames* validation, std::uint64_t seed)
    : model_(model),
      config_(config),
      training_(training),
      validation_(validation),
      seed_(seed),
      sampler_(window_count(training, config.rollout.max_length), seed) {
  if (validation_ != nullptr) window_count(*validation_, 1);
}

Batch GaussianTask::make_batch(std::int64_t step, std::int64_t pass, int attempt) {
  if (attempt != attempt_) {
    sampler_ = EpochSampler(sampler_.size(), attempt_seed(seed_, attempt));
    attempt_ = attempt;
  }
  const auto seed = attempt_seed(seed_, attempt);
  const int length = rollout_length(config_.rollout, step);
  const std::int64_t frame = training_.frame_size();
  const std::vector<std::int64_t> image{training_.channels(), training_.nx(), training_.ny()};
  Batch batch;
  batch.frames = torch::empty({config_.batch, length + 1, image[0], image[1], image[2]});
  const bool noisy = length > 1 && config_.rollout.noise > 0;
  if (noisy) batch.noise = torch::empty({config_.batch, length - 1, image[0], image[1], image[2]});
  for (int b = 0; b < config_.batch; ++b) {
    const auto position = static_cast<std::uint64_t>(pass * config_.batch + b);
    const auto window = static_cast<std::int64_t>(sampler_(position));
    const auto [trajectory, first] = training_.locate(window, config_.rollout.max_length + 1);
    const auto size = static_cast<std::size_t>((length + 1) * frame);
    training_.read(trajectory, first, length + 1,
                   {batch.frames.data_ptr<float>() + b * (length + 1) * frame, size}, sampler_.epoch(position));
    if (!noisy) continue;
    RandomStream stream(seed, Purpose::emulator_noise, static_cast<std::uint64_t>(b),
                        static_cast<std::uint64_t>(pass));
    const std::span<float> noise(batch.noise.data_ptr<float>() + b * (length - 1) * frame,
                                 static_cast<std::size_t>((length - 1) * frame));
    stream.fill_normal(noise);
    for (auto& value : noise) value *= static_cast<float>(config_.rollout.noise);
  }
  return batch;
}

BatchLoss GaussianTask::loss(const Batch& batch) {
  const auto length = static_cast<int>(batch.frames.size(1)) - 1;
  const RmsPenalty penalty{config_.rollout.rms_penalty, config_.rollout.rms_limit};
  const auto loss = model_.loss(batch.frames, length, batch.noise, penalty);
  BatchLoss result{loss.total, {{"mse", loss.mse / length}}};
  if (penalty.weight > 0) result.reported.emplace_back("rms_penalty", loss.penalty / length);
  return result;
}

Metrics GaussianTask::validate() {
  if (validation_ == nullptr) return {};
  const torch::NoGradGuard no_grad;
  const auto windows = static_cast<std::uint64_t>(validation_->windows(2));
  const auto count = std::min<std::uint64_t>(windows, static_cast<std::uint64_t>(config_.validation_samples));
  const Permutation order(windows, /*seed=*/0, /*epoch=*/0);  // the same samples for every run on this data set
  const std::int64_t frame = validation_->frame_size();
  double error = 0, residual = 0;
  for (std::uint64_t first = 0; first < count; first += static_cast<std::uint64_t>(config_.batch)) {
    const auto size = std::min<std::uint64_t>(static_cast<std::uint64_t>(config_.batch), count - first);
    auto pairs = torch::empty(
        {static_cast<std::int64_t>(size), 2, validation_->channels(), validation_->nx(), validation_->ny()});
    for (std::uint64_t b = 0; b < size; ++b) {
      validation_->read_window(static_cast<std::int64_t>(order(first + b)), 2,
                               {pairs.data_ptr<float>() + static_cast<std::int64_t>(b) * 2 * frame,
                                static_cast<std::size_t>(2 * frame)});
    }
    pairs = pairs.to(model_.device());
    const auto past = pairs.select(1, 0), target = pairs.select(1, 1) - past;
    error += (model_.residual(past) - target).square().sum(torch::kFloat64).item<double>();
    residual += target.square().sum(torch::kFloat64).item<double>();
  }
  const double values = static_cast<double>(count) * static_cast<double>(frame);
  return {{"loss", error / values},
          {"one_step_rms", std::sqrt(error / values)},
          {"residual_rms", std::sqrt(residual / values)},
          {"ratio", std::sqrt(error / residual)}};
}

}  // namespace sns
