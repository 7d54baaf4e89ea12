#include "emulator/training/one_level_task.hpp"

#include "core/error.hpp"
#include "emulator/training/band_errors.hpp"

#include <algorithm>

namespace sns {

OneLevelTask::OneLevelTask(DiffusionModel& model, std::int64_t frames, const TrainingConfig& config,
                           const TrainingFrames& training, const TrainingFrames* validation, std::uint64_t seed)
    : config_(config),
      model_(model),
      frames_(frames),
      training_(training),
      validation_(validation),
      sampler_(window_count(training), seed) {
  if (validation_ != nullptr) window_count(*validation_);
}

std::uint64_t OneLevelTask::window_count(const TrainingFrames& split) const {
  const auto count = split.windows(frames_);
  require(count > 0, "split {} has no {} consecutive frames", split.name(), frames_);
  return static_cast<std::uint64_t>(count);
}

Batch OneLevelTask::empty_batch(const TrainingFrames& split, std::int64_t size) const {
  const std::vector<std::int64_t> shape{size, frames_ * split.channels(), split.nx(), split.ny()};
  return {
      torch::empty(shape, frame_options(split)), torch::empty(shape), torch::empty({size}, torch::kInt64), {}};
}

Batch OneLevelTask::make_batch(std::int64_t, std::int64_t pass, int attempt) {
  const std::uint64_t seed = sampler_.begin(attempt);
  const auto key = static_cast<std::uint64_t>(pass);
  const auto size = static_cast<std::size_t>(frames_ * training_.frame_size());
  Batch batch = empty_batch(training_, config_.batch);
  for (int b = 0; b < config_.batch; ++b) {
    const auto row = static_cast<std::uint64_t>(b);
    const auto offset = row * size;
    const auto position = static_cast<std::uint64_t>(pass * config_.batch + b);
    training_.read_window(static_cast<std::int64_t>(sampler_(position)), frames_,
                          {batch.frames.data_ptr<float>() + offset, size}, sampler_.epoch(position));
    RandomStream level(seed, Purpose::diffusion_level, row, key);
    batch.levels.data_ptr<std::int64_t>()[b] = sample_level(config_.levels, model_.schedule().levels(), level);
    RandomStream(seed, Purpose::diffusion_noise, row, key)
        .fill_normal(std::span<float>(batch.noise.data_ptr<float>() + offset, size));
  }
  return batch;
}

Batch OneLevelTask::validation_batch(std::int64_t first, std::int64_t count, ValidationLevels which) const {
  const int levels = model_.schedule().levels();
  const auto bands = level_bands(highest_level(config_.levels, levels));
  const auto windows = window_count(*validation_);
  const Permutation order(windows, /*seed=*/0, /*epoch=*/0);  // the same samples for every run on this data set
  const auto size = static_cast<std::size_t>(frames_ * validation_->frame_size());
  Batch batch = empty_batch(*validation_, count);
  for (std::int64_t b = 0; b < count; ++b) {
    const auto sample = static_cast<std::uint64_t>(first + b);
    const auto offset = static_cast<std::size_t>(b) * size;
    validation_->read_window(static_cast<std::int64_t>(order(sample % windows)), frames_,
                             {batch.frames.data_ptr<float>() + offset, size});
    RandomStream stream(/*seed=*/0, Purpose::validation, sample, static_cast<std::uint64_t>(which));
    batch.levels.data_ptr<std::int64_t>()[b] = which == ValidationLevels::trained
                                                   ? sample_level(config_.levels, levels, stream)
                                                   : bands[sample % bands.size()].draw(stream);
    stream.fill_normal(std::span<float>(batch.noise.data_ptr<float>() + offset, size));
  }
  return batch;
}

Metrics OneLevelTask::validate() {
  if (validation_ == nullptr) return {};
  const torch::NoGradGuard no_grad;
  const std::int64_t samples = config_.validation_samples;
  Metrics metrics = mean_loss(*this, samples, config_.batch, model_.device(), [this](auto first, auto count) {
    return validation_batch(first, count, ValidationLevels::trained);
  });
  if (has_metric(metrics, "ce"))
    metrics.emplace_back(kBlindCrossEntropy, level_entropy(config_.levels, model_.schedule().levels()));
  BandErrors errors(highest_level(config_.levels, model_.schedule().levels()));
  for (std::int64_t first = 0; first < samples; first += config_.batch) {
    const auto batch = validation_batch(first, std::min<std::int64_t>(config_.batch, samples - first),
                                        ValidationLevels::spread)
                           .to(model_.device());
    const auto [noise, logits] =
        estimate(add_noise(model_.schedule(), batch.frames, batch.levels, batch.noise), batch.levels);
    errors.add(batch.levels, noise - batch.noise.narrow(1, batch.noise.size(1) - noise.size(1), noise.size(1)),
               logits);
  }
  errors.report(metrics);
  return metrics;
}

ThermalizerTask::ThermalizerTask(Thermalizer& model, const TrainingConfig& config,
                                 const TrainingFrames& training, const TrainingFrames* validation,
                                 std::uint64_t seed)
    : OneLevelTask(model, 1, config, training, validation, seed), thermalizer_(model) {}

BatchLoss ThermalizerTask::loss(const Batch& batch) {
  const auto loss = thermalizer_.loss(batch.frames, batch.levels, batch.noise, config_.cross_entropy_weight);
  return {loss.total, {{"mse", loss.mse}, {"ce", loss.ce}}};
}

OneLevelTask::Estimate ThermalizerTask::estimate(const torch::Tensor& noised, const torch::Tensor& levels) {
  const ThermalizerOutput out = thermalizer_.estimate(noised, levels);
  return {out.noise, out.logits};
}

AcdmTask::AcdmTask(Acdm& model, const TrainingConfig& config, const TrainingFrames& training,
                   const TrainingFrames* validation, std::uint64_t seed)
    : OneLevelTask(model, 2, config, training, validation, seed), acdm_(model) {}

BatchLoss AcdmTask::loss(const Batch& batch) {
  const auto loss = acdm_.loss(batch.frames, batch.levels, batch.noise);
  return {loss.total, {{"mse", loss.mse}}};
}

OneLevelTask::Estimate AcdmTask::estimate(const torch::Tensor& noised, const torch::Tensor& levels) {
  return {acdm_.noise_estimate(noised, levels), {}};
}

}  // namespace sns
