#include "emulator/training/combination.hpp"

#include "core/error.hpp"
#include "core/files.hpp"
#include "core/log.hpp"
#include "core/stop.hpp"
#include "emulator/dataset.hpp"
#include "emulator/half_spectrum.hpp"
#include "emulator/models/shell_covariance.hpp"
#include "emulator/training/measured_file.hpp"
#include "emulator/training/sns_triples.hpp"

#include <ATen/Functions.h>
#include <c10/core/GradMode.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <sstream>

namespace sns {
namespace {

namespace fs = std::filesystem;

/// Keys of the file's metadata.
constexpr const char* kCombinedLevelsKey = "levels";
constexpr const char* kSurrogateKey = "surrogate_sha256";
constexpr const char* kDataKey = "data_hash";

MeasuredFile measured_file(const fs::path& surrogate, Weights weights) {
  return {.name = combination_file(surrogate, weights),
          .what = fmt::format("what its estimates and those of the surrogate {} make together, which estimate "
                              "combined needs",
                              surrogate.string()),
          .beside = fmt::format(" --surrogate {}", surrogate.string())};
}

/// A frame as a network sees it, and the noise in it.
struct Noised {
  torch::Tensor frame, noise;
};
/// level kClean: as it is. The noise is a function of sample and draw.
Noised noised(const torch::Tensor& frame, const Schedule& schedule, int level, std::int64_t first,
              std::uint64_t draw) {
  torch::Tensor noise = at::empty(frame.sizes(), torch::kFloat32);
  const std::int64_t size = noise.numel() / noise.size(0);
  for (std::int64_t b = 0; b < noise.size(0); ++b)
    RandomStream(/*seed=*/0, Purpose::validation, static_cast<std::uint64_t>(first + b), draw)
        .fill_normal(std::span<float>(noise.data_ptr<float>() + b * size, static_cast<std::size_t>(size)));
  noise = noise.to(frame.device());
  if (level == Levels::kClean) return {frame, noise};
  return {schedule.signal(level) * frame + schedule.noise_std(level) * noise, noise};
}

}  // namespace

std::string combination_file(const fs::path& surrogate, Weights weights) {
  return fmt::format("combined_{}{}.safetensors", weights == Weights::raw ? "raw_" : "",
                     sha256_file(surrogate / file_name(weights)).substr(0, 12));
}

Combination measure_combination(Sns& refiner, GaussianEmulator& surrogate, const TrainingFrames& frames,
                                const std::vector<int>& levels, std::int64_t samples) {
  constexpr std::int64_t kBatch = 32;
  const c10::AutoGradMode no_grad(false);
  const SnsTriples triples(frames, refiner.longest_lag());
  const Permutation order(triples.windows(), /*seed=*/0, /*epoch=*/0);
  samples = std::min(samples, static_cast<std::int64_t>(triples.windows()));
  require(samples > 0, "split {} has no frames to measure combined estimates on", frames.name());
  // Three numbers for each field and shell, the smallest of which have one and four independent modes.
  if (samples < 32 * frames.channels())
    log::warn(
        "combined estimates are measured on {} samples of split {}: they are those of these frames rather "
        "than of the flow",
        samples, frames.name());
  const Schedule& schedule = refiner.schedule();
  const std::int64_t c = frames.channels(), shells = half_spectrum(frames.nx(), torch::kFloat64).shells;
  const torch::Tensor to_surrogate = refiner.scale() / surrogate.scale();
  const auto count = std::ssize(levels);
  const std::int64_t pasts = refiner.config().trained_past == "clean" ? 1 : count;
  torch::Tensor moments = at::zeros({pasts, count, shells, 4 * c, 4 * c}, torch::kFloat64);
  torch::Tensor power = at::zeros({shells, c, c}, torch::kFloat64);
  double squares = 0;
  for (std::int64_t first = 0; first < samples; first += kBatch) {
    const std::int64_t rows = std::min(kBatch, samples - first);
    Batch batch = triples.empty_batch(rows);
    for (std::int64_t b = 0; b < rows; ++b) {
      RandomStream choice(/*seed=*/0, Purpose::validation, static_cast<std::uint64_t>(first + b), /*step=*/0);
      triples.read(static_cast<std::int64_t>(order(static_cast<std::uint64_t>(first + b))), 0, choice, batch,
                   b);
    }
    batch = batch.to(refiner.device());
    const torch::Tensor past = batch.frames.narrow(1, c, c), present = batch.frames.narrow(1, 2 * c, c);
    const torch::Tensor prediction = surrogate.step(past * to_surrogate) / to_surrogate;
    const double share = static_cast<double>(rows) / static_cast<double>(samples);
    power += share * shell_covariance(present);
    squares += share * (prediction - present).square().mean().item<double>();
    for (std::int64_t i = 0; i < pasts; ++i)
      for (std::int64_t j = 1; j < count; ++j) {
        throw_if_stopped("while measuring combined estimates");
        const int past_level = levels[static_cast<std::size_t>(i)], level = levels[static_cast<std::size_t>(j)];
        const auto draw = static_cast<std::uint64_t>(1 + 2 * (i * count + j));  // 0 chooses long frames
        const Noised now = noised(present, schedule, level, first, draw),
                     before = noised(past, schedule, past_level, first, draw + 1);
        const torch::Tensor standing =
            at::tensor({std::max(past_level, 0), level}, torch::kInt64).to(refiner.device()).expand({rows, 2});
        const torch::Tensor eps = refiner.noise_estimate(
            at::cat({batch.frames.narrow(1, 0, c), before.frame, now.frame}, 1), standing, batch.lags);
        moments[i][j] +=
            share * shell_covariance(at::cat({eps.narrow(1, c, c), now.frame, prediction, now.noise}, 1));
      }
  }
  torch::Tensor table = at::zeros({count, count, shells, c, 4 * c}, torch::kFloat64);
  for (std::int64_t i = 0; i < count; ++i)
    for (std::int64_t j = 1; j < count; ++j) {
      const int level = levels[static_cast<std::size_t>(j)];
      torch::Tensor here = table[i][j];
      here.copy_(best_combination(moments[std::min(i, pasts - 1)][j], schedule, level));
      torch::Tensor error = here.narrow(2, 3 * c, c);
      error.copy_(limited_by_filter(error, power, schedule, level));
    }
  return {CombinedEstimate(schedule, levels, table, frames.nx()), std::sqrt(squares)};
}

Combination measure_combination(const fs::path& refiner, const fs::path& surrogate, Weights weights,
                                const TrainingFrames& frames, const std::vector<int>& levels,
                                std::int64_t samples, torch::Device device) {
  const ModelConfig ours = load_model_config(refiner / "config.yaml"),
                    theirs = load_model_config(surrogate / "config.yaml");
  require_frames_of(ours, frames, refiner);
  require_frames_of(theirs, frames, surrogate);
  if (ours.frame_interval > 0 && theirs.frame_interval > 0 &&
      std::abs(ours.frame_interval - theirs.frame_interval) > 1e-9 * ours.frame_interval)
    fail<ConfigError>("{} is for frames {:g} time units apart, and {} for {:g}: they have nothing to combine",
                      refiner.string(), ours.frame_interval, surrogate.string(), theirs.frame_interval);
  const auto model = load_model_as<Sns>(refiner, weights, device);
  const auto emulator = load_model_as<GaussianEmulator>(surrogate, weights, device);
  return measure_combination(*model, *emulator, frames, levels, samples);
}

void save_combination(const fs::path& refiner, const fs::path& surrogate, Weights weights,
                      const CombinedEstimate& combination, const std::string& data_hash) {
  measured_file(surrogate, weights)
      .save(refiner, {{weights, combination.table()}},
            {{kCombinedLevelsKey, fmt::format("{}", fmt::join(combination.levels(), " "))},
             {kSurrogateKey, sha256_file(surrogate / file_name(weights))},
             {kDataKey, data_hash}});
}

CombinedEstimate load_combination(const fs::path& refiner, const fs::path& surrogate, Weights weights) {
  const MeasuredFile file = measured_file(surrogate, weights);
  const MeasuredFile::Content stored = file.load(refiner, weights);
  const ModelConfig config = load_model_config(refiner / "config.yaml");
  try {
    const auto of = stored.facts.find(kSurrogateKey);
    require(of != stored.facts.end() && of->second == sha256_file(surrogate / file_name(weights)),
            "it is of another surrogate than {}", surrogate.string());
    std::vector<int> levels;
    if (const auto text = stored.facts.find(kCombinedLevelsKey); text != stored.facts.end()) {
      std::istringstream numbers(text->second);
      for (int level; numbers >> level;) levels.push_back(level);
    }
    CombinedEstimate combination(make_schedule(config.diffusion), levels, stored.tensor, config.image);
    require(combination.fields() == config.field_channels,
            "it is of {} fields, and the network's frames have {}", combination.fields(),
            config.field_channels);
    return combination;
  } catch (const Error& error) {
    fail<Error>("{}: {}", (refiner / file.name).string(), error.what());
  }
}

bool has_combination(const fs::path& refiner, const fs::path& surrogate, Weights weights,
                     const std::string& data_hash) {
  try {
    load_combination(refiner, surrogate, weights);
    const auto facts = measured_file(surrogate, weights).load(refiner, weights).facts;
    const auto of = facts.find(kDataKey);
    return of != facts.end() && of->second == data_hash;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace sns
