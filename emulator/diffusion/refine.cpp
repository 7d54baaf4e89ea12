#include "emulator/diffusion/refine.hpp"

#include "core/error.hpp"

#include <algorithm>

namespace sns {
namespace {

void check(const Schedule& schedule, const Layout& layout, const torch::Tensor& x,
           std::vector<Levels>& predicted) {
  require(static_cast<std::int64_t>(predicted.size()) == x.size(0), "{} pairs of levels for a batch of {}",
          predicted.size(), x.size(0));
  for (Levels& p : predicted) {
    if (layout.frames == 1) p.past = 0;
    require(p.past >= 0 && p.present >= 0 && std::max(p.past, p.present) < schedule.levels(),
            "levels ({}, {}) are outside 0..{}", p.past, p.present, schedule.levels() - 1);
  }
}

/// Whether each sample is refined; adjusts levels as the gate says.
std::vector<bool> select(std::vector<Levels>& predicted, const RefineOptions& options) {
  std::vector<bool> chosen;
  if (options.gate == Gate::either) {
    for (const Levels& p : predicted) chosen.push_back(std::max(p.past, p.present) > options.threshold);
    return chosen;
  }
  for (Levels& p : predicted) {
    if (p.present < p.past || p.present < options.threshold) p = {0, 0};
    chosen.push_back(p.present > options.threshold);
  }
  const bool any = std::find(chosen.begin(), chosen.end(), true) != chosen.end();
  if (options.rule == SweepRule::reference) chosen.assign(chosen.size(), any);
  return chosen;
}

}  // namespace

Refined refine(const Schedule& schedule, const Layout& layout, const Denoiser& denoiser, const torch::Tensor& x,
               std::vector<Levels> predicted, RefineOptions options, NoiseSource& noise) {
  check(schedule, layout, x, predicted);
  if (layout.frames == 1) options.path = Path::clean_past;
  const std::vector<bool> chosen = select(predicted, options);
  Refined result;
  result.used.assign(predicted.size(), Levels{-1, -1});
  std::vector<Levels> levels;
  for (std::size_t b = 0; b < predicted.size(); ++b) {
    if (!chosen[b]) continue;
    levels.push_back({std::max(predicted[b].past, options.level_floor),
                      std::max(predicted[b].present, options.level_floor)});
    result.used[b] = levels.back();
    if (layout.frames == 1) result.used[b].past = -1;
  }
  std::vector<Walk> planned =
      plan_walks(options.path, options.rule, levels, schedule.levels(), options.stop_level + 1);
  std::vector<Walk> walks(predicted.size());
  for (std::size_t b = 0, k = 0; b < walks.size(); ++b)
    if (chosen[b]) walks[b] = std::move(planned[k++]);
  Sampled sampled = follow(schedule, layout, denoiser, x, walks, options.reverse_std, noise);
  result.x = std::move(sampled.x);
  result.evaluations = std::move(sampled.evaluations);
  return result;
}

}  // namespace sns
