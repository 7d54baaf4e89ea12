#include "emulator/diffusion/sampling_options.hpp"

#include "core/error.hpp"

#include <algorithm>
#include <cmath>

namespace sns {

const std::vector<std::string>& reverse_std_names() {
  static const std::vector<std::string> names = {"posterior", "sqrt_beta", "measured"};
  return names;
}

ReverseStd parse_reverse_std(const std::string& name) {
  return static_cast<ReverseStd>(position_of("reverse_std", name, reverse_std_names()));
}

const std::vector<std::string>& estimate_names() {
  static const std::vector<std::string> names = {"network", "combined"};
  return names;
}

Estimate parse_estimate(const std::string& name) {
  return static_cast<Estimate>(position_of("estimate", name, estimate_names()));
}

const std::vector<std::string>& classify_names() {
  static const std::vector<std::string> names = {"as_given", "noised"};
  return names;
}

Classify parse_classify(const std::string& name) {
  return static_cast<Classify>(position_of("classify", name, classify_names()));
}

const std::vector<std::string>& gate_names() {
  static const std::vector<std::string> names = {"either", "present"};
  return names;
}

Gate parse_gate(const std::string& name) {
  return static_cast<Gate>(position_of("gate", name, gate_names()));
}

const std::vector<std::string>& conditioning_names() {
  static const std::vector<std::string> names = {"per_step", "single"};
  return names;
}

Conditioning parse_conditioning(const std::string& name) {
  return static_cast<Conditioning>(position_of("conditioning", name, conditioning_names()));
}

void set_generation_defaults(SamplingWords& words) {
  words.path = "fixed_past";
  words.start = "pure_noise";
}

namespace {

/// Other rules step a frame from a level below the one whose noise it has.
std::string why_not_by_level(const char* name, const SamplingWords& words) {
  if (parse_rule(words.rule) == SweepRule::inclusive) return "";
  return fmt::format(
      "{} takes the noise of the level that it steps from: give rule: inclusive, under which that is the one "
      "that a frame has",
      name);
}

}  // namespace

std::string why_not_measured(const SamplingWords& words, bool generates) {
  if (parse_reverse_std(words.reverse_std) != ReverseStd::measured) return "";
  if (generates) return "measured is for refiners: nobody measures the errors of a generator's estimates";
  if (parse_path(words.path).steps_together())
    return fmt::format(
        "measured is for paths that step one frame at a time: along path {} both step, and what their errors "
        "share is not measured",
        words.path);
  return why_not_by_level("measured", words);
}

std::string why_not_combined(const SamplingWords& words) {
  if (parse_estimate(words.estimate) != Estimate::combined) return "";
  const Path path = parse_path(words.path);
  if (!(path == Path::fixed_past || path == Path::clean_past))
    return fmt::format(
        "combined is for paths that denoise the present frame alone (fixed_past, clean_past): path {} denoises "
        "the past one, too, which the surrogate does not predict",
        words.path);
  if (parse_reverse_std(words.reverse_std) != ReverseStd::posterior)
    return "combined draws for what the combination gets wrong: leave reverse_std out";
  return why_not_by_level("combined", words);
}

namespace {

ReverseStd drawable_std(const SamplingWords& words, bool generates) {
  if (const std::string why = why_not_measured(words, generates); !why.empty())
    fail<ConfigError>("reverse_std: {}", why);
  return parse_reverse_std(words.reverse_std);
}

}  // namespace

RefineOptions sns_refinement(const SamplingWords& words) {
  std::optional<Levels> fixed;
  if (words.fixed_levels.size() == 2) fixed = Levels{words.fixed_levels[0], words.fixed_levels[1]};
  if (const std::string why = why_not_combined(words); !why.empty()) fail<ConfigError>("estimate: {}", why);
  const Estimate estimate = parse_estimate(words.estimate);
  return {.path = parse_path(words.path),
          .rule = parse_rule(words.rule),
          .level_floor = words.level_floor,
          .fixed_levels = fixed,
          .threshold = words.threshold,
          .gate = parse_gate(words.gate),
          .classify = parse_classify(words.classify),
          .stop_level = -1,
          .reverse_std = drawable_std(words, /*generates=*/false),
          .estimate = estimate};
}

namespace {

/// The level whose noise is nearest, as a ratio, to that of `level` in the reference code's schedule.
int as_noisy_as(int level, const Schedule& schedule) {
  static const Schedule reference = Schedule::cosine(1000);
  const double wanted = std::log(reference.noise_std(level));
  int nearest = 0;
  const auto distance = [&](int s) { return std::abs(std::log(schedule.noise_std(s)) - wanted); };
  for (int s = 1; s < schedule.levels(); ++s)
    if (distance(s) < distance(nearest)) nearest = s;
  return nearest;
}

}  // namespace

ThermalizerLevels thermalizer_levels(const SamplingWords& words, const Schedule& schedule) {
  ThermalizerLevels levels;
  levels.start = words.start_level ? *words.start_level : as_noisy_as(6, schedule);
  const bool below = parse_rule(words.rule) == SweepRule::reference && levels.start >= 0;
  levels.stop =
      words.stop_level ? *words.stop_level : std::min(as_noisy_as(4, schedule), levels.start - (below ? 1 : 0));
  levels.limit = words.noise_limit ? *words.noise_limit
                                   : std::clamp(levels.start * 100 / 6, std::max(1, as_noisy_as(100, schedule)),
                                                std::max(1, schedule.levels() - 1));
  return levels;
}

RefineOptions thermalizer_refinement(const SamplingWords& words, const ThermalizerLevels& levels) {
  return {.path = Path::clean_past,
          .rule = parse_rule(words.rule),
          .level_floor = 0,
          .fixed_levels = std::nullopt,
          .threshold = levels.start,
          .gate = Gate::either,
          .classify = parse_classify(words.classify),
          .stop_level = levels.stop,
          .reverse_std = drawable_std(words, /*generates=*/false),
          .estimate = Estimate::network};
}

AcdmOptions acdm_generation(const SamplingWords& words) {
  return {.start = parse_start(words.start),
          .conditioning = parse_conditioning(words.conditioning),
          .reverse_std = drawable_std(words, /*generates=*/true)};
}

GenerationOptions sns_generation(const SamplingWords& words) {
  if (!std::isfinite(words.clip) || words.clip < 0)
    fail<ConfigError>("clip: {} is no number of standard deviations; 0: no limit", words.clip);
  return {.path = parse_path(words.path),
          .start = parse_start(words.start),
          .clip = words.clip,
          .reverse_std = drawable_std(words, /*generates=*/true)};
}

}  // namespace sns
