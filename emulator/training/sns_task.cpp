#include "emulator/training/sns_task.hpp"

#include <algorithm>

namespace sns {
namespace {

// Two uses of Purpose::batch_order: the permutation of an epoch has step 0, the choice of `long` frames this
// one.
constexpr std::uint64_t kLongFrameChoice = 1;

}  // namespace

SnsTask::SnsTask(Sns& model, const TrainingConfig& config, const TrainingFrames& training,
                 const TrainingFrames* validation, std::uint64_t seed)
    : model_(model),
      config_(config),
      training_(training),
      triples_(training, model.longest_lag()),
      sampler_(triples_.windows(), seed) {
  if (validation != nullptr) validation_triples_.emplace(*validation, model.longest_lag());
}

Batch SnsTask::make_batch(std::int64_t, std::int64_t pass, int attempt) {
  const std::uint64_t seed = sampler_.begin(attempt);
  const auto frame = training_.frame_size();
  const auto key = static_cast<std::uint64_t>(pass);
  auto batch = triples_.empty_batch(config_.batch);
  for (int b = 0; b < config_.batch; ++b) {
    const auto position = static_cast<std::uint64_t>(pass * config_.batch + b),
               row = static_cast<std::uint64_t>(b);
    RandomStream choice(seed, Purpose::batch_order, position, kLongFrameChoice);
    triples_.read(static_cast<std::int64_t>(sampler_(position)), sampler_.epoch(position), choice, batch, b);
    RandomStream level(seed, Purpose::diffusion_level, row, key);
    for (int f = 0; f < 2; ++f) {
      batch.levels.data_ptr<std::int64_t>()[2 * b + f] =
          f == 0 && past_is_clean(b) ? Levels::kClean
                                     : sample_level(config_.levels, model_.schedule().levels(), level);
    }
    RandomStream noise(seed, Purpose::diffusion_noise, row, key);
    noise.fill_normal(
        std::span<float>(batch.noise.data_ptr<float>() + b * 2 * frame, static_cast<std::size_t>(2 * frame)));
  }
  return batch;
}

BatchLoss SnsTask::loss(const Batch& batch) {
  const auto loss = model_.loss(batch.frames, batch.levels, batch.noise, config_.cross_entropy_weight,
                                batch.lags, config_.levels.past != "noised");
  BatchLoss result{loss.total, {{"mse", loss.mse}}};
  if (loss.ce_past.defined()) result.reported.emplace_back("ce_past", loss.ce_past);
  result.reported.emplace_back("ce_present", loss.ce_present);
  return result;
}

Batch SnsTask::validation_batch(std::int64_t first, std::int64_t count, ValidationLevels which) const {
  const int levels = model_.schedule().levels();
  const auto bands = level_bands(highest_level(config_.levels, levels));
  const auto windows = validation_triples_->windows(), all = static_cast<std::uint64_t>(bands.size());
  const Permutation order(windows, /*seed=*/0, /*epoch=*/0);  // the same samples for every run on this data set
  const auto frame = training_.frame_size();
  auto batch = validation_triples_->empty_batch(count);
  for (std::int64_t b = 0; b < count; ++b) {
    const auto sample = static_cast<std::uint64_t>(first + b);
    RandomStream stream(/*seed=*/0, Purpose::validation, sample, static_cast<std::uint64_t>(which));
    validation_triples_->read(static_cast<std::int64_t>(order(sample % windows)), 0, stream, batch, b);
    // Every pair of bands in turn: past fastest, present next.
    const std::uint64_t band[2] = {sample % all, sample / all % all};
    for (int f = 0; f < 2; ++f) {
      std::int64_t& level = batch.levels.data_ptr<std::int64_t>()[2 * b + f];
      if (f == 0 &&
          (config_.levels.past == "clean" || (which == ValidationLevels::trained && past_is_clean(b))))
        level = Levels::kClean;
      else if (which == ValidationLevels::trained)
        level = sample_level(config_.levels, levels, stream);
      else
        level = bands[band[f]].draw(stream);
    }
    stream.fill_normal(
        std::span<float>(batch.noise.data_ptr<float>() + b * 2 * frame, static_cast<std::size_t>(2 * frame)));
  }
  return batch;
}

Metrics SnsTask::validate() {
  if (!validation_triples_) return {};
  const torch::NoGradGuard no_grad;
  const std::int64_t samples = config_.validation_samples;
  Metrics metrics = mean_loss(*this, samples, config_.batch, model_.device(), [this](auto first, auto count) {
    return validation_batch(first, count, ValidationLevels::trained);
  });
  metrics.emplace_back(kBlindCrossEntropy, level_entropy(config_.levels, model_.schedule().levels()));
  const int highest = highest_level(config_.levels, model_.schedule().levels());
  BandErrors past(highest, "past_"), present(highest, "present_"),
      beside_clean(highest, "present_beside_clean_");
  for (std::int64_t first = 0; first < samples; first += config_.batch) {
    const Batch batch = validation_batch(first, std::min<std::int64_t>(config_.batch, samples - first),
                                         ValidationLevels::spread)
                            .to(model_.device());
    add_band_errors(batch, config_.levels.past == "clean" ? nullptr : &past, present);
    if (config_.levels.past == "mixed") add_band_errors(batch, nullptr, beside_clean);
  }
  for (const BandErrors* errors : {&past, &present, &beside_clean}) errors->report(metrics);
  return metrics;
}

void SnsTask::add_band_errors(const Batch& batch, BandErrors* past, BandErrors& present) {
  const auto c = batch.frames.size(1) / 3;
  const auto noised = [&](std::int64_t f) {
    return add_noise(model_.schedule(), batch.frames.narrow(1, (1 + f) * c, c), batch.levels.select(1, f),
                     batch.noise.narrow(1, f * c, c));
  };
  const auto input = torch::cat(
      {batch.frames.narrow(1, 0, c), past == nullptr ? batch.frames.narrow(1, c, c) : noised(0), noised(1)}, 1);
  const SnsOutput out = model_.estimate(input, batch.levels.clamp_min(0), batch.lags);
  const auto difference = out.noise - batch.noise;
  if (past != nullptr) past->add(batch.levels.select(1, 0), difference.narrow(1, 0, c), out.logits.past);
  present.add(batch.levels.select(1, 1), difference.narrow(1, c, c), out.logits.present);
}

}  // namespace sns
