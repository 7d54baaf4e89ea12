#include "emulator/training/estimate_error.hpp"

#include "core/error.hpp"
#include "core/stop.hpp"
#include "emulator/dataset.hpp"
#include "emulator/half_spectrum.hpp"
#include "emulator/models/shell_covariance.hpp"
#include "emulator/models/sns.hpp"
#include "emulator/models/thermalizer.hpp"
#include "emulator/training/measured_file.hpp"
#include "emulator/training/sns_triples.hpp"

#include <ATen/Functions.h>
#include <c10/core/GradMode.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <sstream>
#include <utility>

namespace sns {
namespace {

namespace fs = std::filesystem;

const MeasuredFile kMeasuredEstimates{kEstimateErrorFile,
                                      "the errors of its estimates, which reverse_std measured draws from"};
/// Key of the file's metadata.
constexpr const char* kLevelsKey = "levels";

/// Clean samples [B, K, n, n] whose last F frames can be noised, and the lags of a lagged model.
struct Samples {
  torch::Tensor x, lags;
};

/// A refiner, and the samples of a split that it is measured on.
class Subject {
 public:
  virtual ~Subject() = default;
  virtual std::int64_t count() const = 0;
  virtual std::int64_t frames() const = 0;  ///< F
  virtual Samples read(std::int64_t first, std::int64_t count) const = 0;
  /// eps [B, F * C, n, n] of samples whose frames are noised to levels [B, F].
  virtual torch::Tensor estimate(const Samples& noised, const torch::Tensor& levels) = 0;
};

class SnsSubject : public Subject {
 public:
  SnsSubject(Sns& model, const TrainingFrames& split)
      : model_(model),
        triples_(split, model.longest_lag()),
        order_(triples_.windows(), /*seed=*/0, /*epoch=*/0) {}
  std::int64_t count() const override { return static_cast<std::int64_t>(triples_.windows()); }
  std::int64_t frames() const override { return 2; }
  Samples read(std::int64_t first, std::int64_t count) const override {
    Batch batch = triples_.empty_batch(count);
    for (std::int64_t b = 0; b < count; ++b) {
      const auto sample = static_cast<std::uint64_t>(first + b);
      RandomStream choice(/*seed=*/0, Purpose::validation, sample, /*step=*/0);
      triples_.read(static_cast<std::int64_t>(order_(sample)), 0, choice, batch, b);
    }
    return {batch.frames.to(model_.device()),
            batch.lags.defined() ? batch.lags.to(model_.device()) : batch.lags};
  }
  torch::Tensor estimate(const Samples& noised, const torch::Tensor& levels) override {
    return model_.noise_estimate(noised.x, levels, noised.lags);
  }

 private:
  Sns& model_;
  SnsTriples triples_;
  Permutation order_;
};

class ThermalizerSubject : public Subject {
 public:
  ThermalizerSubject(Thermalizer& model, const TrainingFrames& split)
      : model_(model),
        split_(split),
        order_(static_cast<std::uint64_t>(split.windows(1)), /*seed=*/0, /*epoch=*/0) {}
  std::int64_t count() const override { return split_.windows(1); }
  std::int64_t frames() const override { return 1; }
  Samples read(std::int64_t first, std::int64_t count) const override {
    const std::int64_t size = split_.frame_size();
    const torch::Tensor x =
        at::empty({count, split_.channels(), split_.nx(), split_.ny()}, frame_options(split_));
    for (std::int64_t b = 0; b < count; ++b)
      split_.read_window(static_cast<std::int64_t>(order_(static_cast<std::uint64_t>(first + b))), 1,
                         {x.data_ptr<float>() + b * size, static_cast<std::size_t>(size)});
    return {x.to(model_.device()), {}};
  }
  torch::Tensor estimate(const Samples& noised, const torch::Tensor& levels) override {
    return model_.noise_estimate(noised.x, levels.select(1, 0));
  }

 private:
  Thermalizer& model_;
  const TrainingFrames& split_;
  Permutation order_;
};

std::unique_ptr<Subject> subject_of(DiffusionModel& model, const TrainingFrames& split) {
  if (auto* const refiner = dynamic_cast<Sns*>(&model)) return std::make_unique<SnsSubject>(*refiner, split);
  if (auto* const refiner = dynamic_cast<Thermalizer*>(&model))
    return std::make_unique<ThermalizerSubject>(*refiner, split);
  fail<ConfigError>("the errors of estimates are those of refiners (sns, thermalizer), not of kind {}",
                    model.config().kind);
}

/// What a refiner errs by on samples first.. of its split, which stand at levels of their frames (the last F of
/// past and present); noise is a function of sample and `draw`.
torch::Tensor errors_at(Subject& subject, const Schedule& schedule, const Samples& clean, std::int64_t channels,
                        const Levels& pair, std::int64_t first, std::uint64_t draw) {
  const std::int64_t batch = clean.x.size(0), frames = subject.frames(), n = clean.x.size(3),
                     size = frames * channels * n * n;
  torch::Tensor noise = at::empty({batch, frames, channels, n, n});
  for (std::int64_t b = 0; b < batch; ++b)
    RandomStream(/*seed=*/0, Purpose::validation, static_cast<std::uint64_t>(first + b), draw)
        .fill_normal(std::span<float>(noise.data_ptr<float>() + b * size, static_cast<std::size_t>(size)));
  noise = noise.to(clean.x.device());
  const auto rows = at::TensorOptions().dtype(torch::kInt64).device(clean.x.device());
  std::vector<torch::Tensor> input{clean.x.narrow(1, 0, clean.x.size(1) - frames * channels)}, levels;
  for (std::int64_t f = 0; f < frames; ++f) {
    const int level = f + 1 == frames ? pair.present : pair.past;
    const torch::Tensor frame = clean.x.narrow(1, clean.x.size(1) - (frames - f) * channels, channels);
    levels.push_back(at::full({batch}, std::max(level, 0), rows));
    input.push_back(level == Levels::kClean ? frame
                                            : add_noise(schedule, frame, levels.back(), noise.select(1, f)));
  }
  return subject.estimate({at::cat(input, 1), clean.lags}, at::stack(levels, 1))
             .unflatten(1, {frames, channels}) -
         noise;
}

}  // namespace

bool measures_estimates(const std::string& kind) {
  return kind == "sns" || kind == "thermalizer";
}

std::vector<int> measured_levels(int highest) {
  constexpr int kMost = 8;
  const int count = std::min(highest + 1, kMost);
  std::vector<int> levels{Levels::kClean};
  for (int i = 0; i < count; ++i) {
    const double part = count > 1 ? static_cast<double>(i) / (count - 1) : 0;
    levels.push_back(std::max(levels.back() + 1, static_cast<int>(std::lround(part * part * highest))));
  }
  return levels;
}

EstimateErrors measure_estimate_errors(DiffusionModel& model, const TrainingFrames& frames,
                                       const std::vector<int>& levels, std::int64_t samples) {
  constexpr std::int64_t kBatch = 32;
  const c10::AutoGradMode no_grad(false);
  const auto subject = subject_of(model, frames);
  samples = std::min(samples, subject->count());
  require(samples > 0, "split {} has no frames to measure the error of estimates on", frames.name());
  const Schedule& schedule = model.schedule();
  const std::int64_t channels = frames.channels(), noised = subject->frames();
  // Of one frame, or of a past frame that stays clean, there are errors of the present one alone.
  const bool present_alone = noised == 1 || model.config().trained_past == "clean";
  const auto count = std::ssize(levels);
  const std::int64_t shells = half_spectrum(frames.nx(), torch::kFloat64).shells;
  torch::Tensor table = at::zeros({count, count, 2, shells, channels, channels}, torch::kFloat64),
                power = at::zeros({shells, channels, channels}, torch::kFloat64);
  const auto for_each_pair = [&](const auto& act) {
    for (std::int64_t i = 0; i < (present_alone ? 1 : count); ++i)
      for (std::int64_t j = 0; j < count; ++j)
        if (i > 0 || j > 0)
          act(i, j, Levels{levels[static_cast<std::size_t>(i)], levels[static_cast<std::size_t>(j)]});
  };
  for (std::int64_t first = 0; first < samples; first += kBatch) {
    const Samples clean = subject->read(first, std::min(kBatch, samples - first));
    const double share = static_cast<double>(clean.x.size(0)) / static_cast<double>(samples);
    power += share * shell_covariance(clean.x.narrow(1, clean.x.size(1) - channels, channels));
    for_each_pair([&](std::int64_t i, std::int64_t j, const Levels& pair) {
      throw_if_stopped("while measuring what estimates get wrong");
      const auto draw = static_cast<std::uint64_t>(1 + i * count + j);  // 0 chooses long frames
      const torch::Tensor errors = errors_at(*subject, schedule, clean, channels, pair, first, draw);
      if (pair.past != Levels::kClean) table[i][j][0] += share * shell_covariance(errors.select(1, 0));
      if (pair.present != Levels::kClean)
        table[i][j][1] += share * shell_covariance(errors.select(1, noised - 1));
    });
  }
  for_each_pair([&](std::int64_t i, std::int64_t j, const Levels& pair) {
    if (pair.past != Levels::kClean)
      table[i][j][0] = limited_by_filter(table[i][j][0], power, schedule, pair.past);
    if (pair.present != Levels::kClean)
      table[i][j][1] = limited_by_filter(table[i][j][1], power, schedule, pair.present);
  });
  if (present_alone) table = table.narrow(0, 0, 1).expand_as(table).contiguous();
  return EstimateErrors(schedule, levels, table, frames.nx());
}

std::map<Weights, EstimateErrors> measure_estimate_errors(const fs::path& folder, const TrainingFrames& frames,
                                                          const std::vector<int>& levels, std::int64_t samples,
                                                          torch::Device device) {
  require_frames_of(load_model_config(folder / "config.yaml"), frames, folder);
  std::map<Weights, EstimateErrors> found;
  for (const Weights weights : {Weights::ema, Weights::raw}) {
    if (!fs::exists(folder / file_name(weights))) continue;
    const auto model = load_model_as<DiffusionModel>(folder, weights, device);
    found.emplace(weights, measure_estimate_errors(*model, frames, levels, samples));
  }
  require(!found.empty(), "{} holds no weights", folder.string());
  return found;
}

void save_estimate_errors(const fs::path& folder, const std::map<Weights, EstimateErrors>& measured) {
  std::map<Weights, torch::Tensor> tables;
  for (const auto& [weights, errors] : measured) tables.emplace(weights, errors.table());
  kMeasuredEstimates.save(folder, tables,
                          {{kLevelsKey, fmt::format("{}", fmt::join(measured.begin()->second.levels(), " "))}});
}

bool has_estimate_errors(const fs::path& folder) {
  return kMeasuredEstimates.complete(folder);
}

EstimateErrors load_estimate_errors(const fs::path& folder, Weights weights) {
  const MeasuredFile::Content stored = kMeasuredEstimates.load(folder, weights);
  const ModelConfig config = load_model_config(folder / "config.yaml");
  std::vector<int> levels;
  if (const auto text = stored.facts.find(kLevelsKey); text != stored.facts.end()) {
    std::istringstream numbers(text->second);
    for (int level; numbers >> level;) levels.push_back(level);
  }
  try {
    EstimateErrors errors(make_schedule(config.diffusion), levels, stored.tensor, config.image);
    require(errors.channels() == config.field_channels,
            "they are of {} fields, and the network's frames have {}", errors.channels(),
            config.field_channels);
    return errors;
  } catch (const Error& error) {
    fail<Error>("{}: {}", (folder / kEstimateErrorFile).string(), error.what());
  }
}

}  // namespace sns
