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
      sampler_(window_count(training, config.rollout.max_length), seed) {
  if (validation_ != nullptr) window_count(*validation_, config_.rollout.max_length);
}

Batch GaussianTask::make_batch(std::int64_t step, std::int64_t pass, int attempt) {
  const std::uint64_t seed = sampler_.begin(attempt);
  const int length = rollout_length(config_.rollout, step);
  const std::int64_t frame = training_.frame_size();
  const std::vector<std::int64_t> image{training_.channels(), training_.nx(), training_.ny()};
  Batch batch;
  batch.frames =
      torch::empty({config_.batch, length + 1, image[0], image[1], image[2]}, frame_options(training_));
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
  const auto loss = model_.loss(batch.frames, length, batch.noise, options());
  BatchLoss result{loss.total, {{"mse", loss.mse / length}}};
  if (options().whitening > 0) result.reported.emplace_back("whitened", loss.error / length);
  if (options().penalty.weight > 0) result.reported.emplace_back("rms_penalty", loss.penalty / length);
  return result;
}

Metrics GaussianTask::validate() {
  if (validation_ == nullptr) return {};
  const torch::NoGradGuard no_grad;
  const int length = config_.rollout.max_length;
  const std::uint64_t windows = window_count(*validation_, length);
  const auto count = std::min<std::uint64_t>(windows, static_cast<std::uint64_t>(config_.validation_samples));
  const Permutation order(windows, /*seed=*/0, /*epoch=*/0);  // the same samples for every run on this data set
  const std::int64_t size = (length + 1) * validation_->frame_size();
  double total = 0, mse = 0, whitened = 0, excess = 0;
  double one_step = 0, residual = 0;  // mean squares
  for (std::uint64_t first = 0; first < count; first += static_cast<std::uint64_t>(config_.batch)) {
    const auto samples = static_cast<std::int64_t>(
        std::min<std::uint64_t>(static_cast<std::uint64_t>(config_.batch), count - first));
    auto frames =
        torch::empty({samples, length + 1, validation_->channels(), validation_->nx(), validation_->ny()},
                     frame_options(*validation_));
    for (std::int64_t b = 0; b < samples; ++b)
      validation_->read_window(static_cast<std::int64_t>(order(first + static_cast<std::uint64_t>(b))),
                               length + 1,
                               {frames.data_ptr<float>() + b * size, static_cast<std::size_t>(size)});
    frames = frames.to(model_.device());
    const GaussianLoss loss = model_.loss(frames, length, {}, options());
    const double weight = static_cast<double>(samples) / static_cast<double>(count);
    total += weight * loss.total.item<double>();
    mse += weight * loss.mse.item<double>() / length;
    whitened += weight * loss.error.item<double>() / length;
    excess += weight * loss.penalty.item<double>() / length;
    one_step += weight * loss.one_step.item<double>();
    residual += weight * (frames.select(1, 1) - frames.select(1, 0)).square().mean().item<double>();
  }
  Metrics metrics{{"loss", total}, {"mse", mse}};
  if (options().whitening > 0) metrics.emplace_back("whitened", whitened);
  if (options().penalty.weight > 0) metrics.emplace_back("rms_penalty", excess);
  metrics.emplace_back("one_step_rms", std::sqrt(one_step));
  metrics.emplace_back("residual_rms", std::sqrt(residual));
  metrics.emplace_back("ratio", std::sqrt(one_step / residual));
  return metrics;
}

}  // namespace sns
