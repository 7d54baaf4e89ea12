#include "emulator/diffusion/refine.hpp"

#include "core/error.hpp"

#include <algorithm>

namespace sns {
namespace {

void check(const RefineOptions& options, int levels) {
  const auto within = [&](const char* name, int value, int lowest) {
    if (value < lowest || value >= levels)
      fail<ConfigError>("the {} is {}; it must be in {}..{}", name, value, lowest, levels - 1);
  };
  within("level floor", options.level_floor, 0);
  if (options.fixed_levels)
    for (const int level : {options.fixed_levels->past, options.fixed_levels->present})
      within("fixed level", level, 0);
  within("threshold", options.threshold, Levels::kClean);
  within("stop level", options.stop_level, Levels::kClean);
  if (options.stop_level > options.threshold)
    fail<ConfigError>(
        "the stop level, {}, lies above the level that refinement starts from, {}: frames between the two "
        "would "
        "stay noised",
        options.stop_level, options.threshold);
}

bool left_alone(const Levels& predicted) {
  return predicted.present == Levels::kClean;
}

void check(const std::vector<Levels>& predicted, const Path& path, int levels) {
  for (const Levels& p : predicted) {
    const int lowest_past = !path.noises_past() || left_alone(p) ? Levels::kClean : 0;
    require(p.past >= lowest_past && p.present >= Levels::kClean && std::max(p.past, p.present) < levels,
            "levels ({}, {}) are outside 0..{}", p.past, p.present, levels - 1);
  }
}

/// Whether each sample is refined; adjusts levels as the gate says.
std::vector<bool> select(std::vector<Levels>& predicted, const RefineOptions& options) {
  std::vector<bool> chosen;
  for (Levels& p : predicted) {
    if (options.gate == Gate::present && !left_alone(p) &&
        (p.present < p.past || p.present < options.threshold))
      p = {std::min(p.past, 0), 0};  // a clean past frame stays clean
    const int level = options.gate == Gate::present ? p.present : std::max(p.past, p.present);
    chosen.push_back(!left_alone(p) && level > options.threshold);
  }
  const bool any = std::find(chosen.begin(), chosen.end(), true) != chosen.end();
  if (any && options.gate == Gate::present && options.rule == SweepRule::reference)
    for (std::size_t b = 0; b < chosen.size(); ++b) chosen[b] = !left_alone(predicted[b]);
  return chosen;
}

}  // namespace

std::vector<Levels> heeded(std::vector<Levels> predicted, const Path& path) {
  if (!path.noises_past())
    for (Levels& p : predicted) p.past = Levels::kClean;
  return predicted;
}

Refined refine(const Schedule& schedule, const Layout& layout, const Denoiser& denoiser, const torch::Tensor& x,
               std::vector<Levels> predicted, RefineOptions options, NoiseSource& noise,
               const ReverseNoise* reverse_noise) {
  require(static_cast<std::int64_t>(predicted.size()) == x.size(0), "{} pairs of levels for a batch of {}",
          predicted.size(), x.size(0));
  check(options, schedule.levels());
  if (layout.frames == 1) options.path = Path::clean_past;
  const bool past_stays = !options.path.noises_past();
  if (options.fixed_levels)
    for (Levels& levels : predicted)
      if (!left_alone(levels)) levels = *options.fixed_levels;
  predicted = heeded(std::move(predicted), options.path);
  check(predicted, options.path, schedule.levels());
  const std::vector<bool> chosen = select(predicted, options);
  Refined result;
  result.used.assign(predicted.size(), Levels{Levels::kClean, Levels::kClean});
  std::vector<Levels> levels;
  for (std::size_t b = 0; b < predicted.size(); ++b) {
    if (!chosen[b]) continue;
    levels.push_back({past_stays ? Levels::kClean : std::max(predicted[b].past, options.level_floor),
                      std::max(predicted[b].present, options.level_floor)});
    result.used[b] = levels.back();
  }
  std::vector<Walk> planned =
      plan_walks(options.path, options.rule, levels, schedule.levels(), options.stop_level + 1);
  std::vector<Walk> walks(predicted.size());
  for (std::size_t b = 0, k = 0; b < walks.size(); ++b)
    if (chosen[b]) walks[b] = std::move(planned[k++]);
  Sampled sampled = follow(schedule, layout, denoiser, x, walks, options.reverse_std, noise, reverse_noise);
  result.x = std::move(sampled.x);
  result.evaluations = std::move(sampled.evaluations);
  return result;
}

}  // namespace sns
