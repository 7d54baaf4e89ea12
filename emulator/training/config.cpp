#include "emulator/training/config.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace sns {

const std::vector<std::string>& precision_names() {
  static const std::vector<std::string> names = {"float32", "tf32", "bfloat16"};
  return names;
}

TrainingConfig reference_training(const std::string& kind) {
  TrainingConfig config;
  if (kind == "sns") {
    config.steps = 500000;
    config.batch = 64;
    config.schedule.size = 600000;
    config.schedule.gamma = 0.9;
    config.clip_norm = 1.0;
    config.ema = 0.999;
  }
  if (kind == "thermalizer") {
    config.steps = 350000;
    config.batch = 64;
    config.learning_rate = 2.0e-5;
    config.cross_entropy_weight = 1.0;
  }
  if (kind == "acdm") {
    config.steps = 500000;
    config.batch = 64;
    config.learning_rate = 2.0e-4;
    config.clip_norm = 1.0;
  }
  return config;
}

namespace {

void read_learning_rate(Section section, LearningRateConfig& config) {
  section.maybe("name", config.name, one_of({"constant", "step", "cosine"}));
  if (config.name == "step") {
    section.maybe("size", config.size, positive);
    section.maybe("gamma", config.gamma, positive);
  }
  section.maybe("warmup", config.warmup, non_negative);
}

void read_levels(Section section, LevelConfig& config, const std::string& kind, int levels) {
  section.maybe("sampling", config.sampling, one_of({"uniform", "low", "but_last"}));
  if (kind == "sns") section.maybe("past", config.past, one_of({"noised", "clean", "mixed"}));
  if (config.sampling != "low") return;
  config.max_level = std::min(config.max_level, levels - 1);
  section.maybe("max_level", config.max_level, non_negative);
  section.maybe<double>("log_fraction", config.log_fraction, between(0, 1));
  if (config.max_level >= levels) {
    section.reject("max_level", fmt::format("{} must be below the number of diffusion levels, {}",
                                            config.max_level, levels));
  }
}

void read_rollout(Section section, RolloutTrainingConfig& config) {
  section.maybe("max_length", config.max_length, positive);
  section.maybe("steps_per_length", config.steps_per_length, positive);
  section.maybe("noise", config.noise, non_negative);
  section.maybe("rms_penalty", config.rms_penalty, non_negative);
  section.maybe("rms_limit", config.rms_limit, positive);
  section.maybe<double>("whitening", config.whitening, between(0, 1));
}

/// Beyond these a number is a slip of the pen; their products fit into 64 bits.
constexpr double kMostMembers = 1e5, kMostFrames = 1e6, kMostRounds = 1e4;

void read_stream(Section section, StreamConfig& config) {
  section.maybe("members", config.members, between(1, kMostMembers));
  section.maybe("frames", config.frames, between(2, kMostFrames));
  section.maybe("queue", config.queue, between(1, kMostRounds));
  section.maybe("validation_members", config.validation_members, between(0, kMostMembers));
  section.maybe("spinup_steps", config.spinup_steps, non_negative);
  section.maybe("decorrelation_steps", config.decorrelation_steps, non_negative);
}

void check_positive(const Section& section, const char* key, const std::optional<double>& value) {
  if (value && *value <= 0)
    section.reject(key, fmt::format("{} must be positive, or null for no clipping", *value));
}

}  // namespace

void read(Section& section, TrainingConfig& config, const std::string& kind, int levels) {
  section.maybe("steps", config.steps, positive);
  section.maybe("batch", config.batch, positive);
  section.maybe("accumulate", config.accumulate, positive);
  section.maybe("learning_rate", config.learning_rate, positive);
  section.maybe("weight_decay", config.weight_decay, non_negative);
  read_learning_rate(section.child("schedule"), config.schedule);
  section.maybe("clip_norm", config.clip_norm);
  section.maybe("clip_value", config.clip_value);
  check_positive(section, "clip_norm", config.clip_norm);
  check_positive(section, "clip_value", config.clip_value);
  section.maybe<double>("ema", config.ema, [](double decay) {
    return decay >= 0 && decay < 1 ? "" : "must be at least 0 and below 1, at which weights would never move";
  });
  if (kind == "gaussian") read_rollout(section.child("rollout"), config.rollout);
  if (kind == "sns" || kind == "thermalizer")
    section.maybe("cross_entropy_weight", config.cross_entropy_weight, non_negative);
  if (levels > 0) read_levels(section.child("levels"), config.levels, kind, levels);
  if (config.levels.past == "mixed" && config.batch % 2 != 0)
    section.reject("batch", "levels.past: mixed wants an even number of samples, as many of either kind");
  section.maybe("data", config.data, one_of({"dataset", "stream"}));
  if (config.data == "stream") read_stream(section.child("stream"), config.stream);
  section.maybe("precision", config.precision, one_of(precision_names()));
  section.maybe("channels_last", config.channels_last);
  if (config.precision == "bfloat16")
    section.maybe<double>("bf16_fraction", config.bf16_fraction, between(0, 1));
  section.maybe("validate_every", config.validate_every, positive);
  section.maybe("validation_samples", config.validation_samples, positive);
  section.maybe("checkpoint_every", config.checkpoint_every, positive);
  section.maybe("keep_checkpoints", config.keep_checkpoints, positive);
  section.maybe("recover_after", config.recover_after, positive);
  section.maybe("log_every", config.log_every, positive);
  section.maybe("select", config.select, one_of({"last", "best"}));
  section.maybe("memory_budget_gib", config.memory_budget_gib, non_negative);
  section.maybe("seed", config.seed);
}

double learning_rate(const TrainingConfig& config, std::int64_t step) {
  const auto& schedule = config.schedule;
  if (step < schedule.warmup) {
    return config.learning_rate * static_cast<double>(step + 1) / static_cast<double>(schedule.warmup + 1);
  }
  if (schedule.name == "step") {
    return config.learning_rate * std::pow(schedule.gamma, static_cast<double>(step / schedule.size));
  }
  if (schedule.name == "cosine") {
    const auto length = static_cast<double>(std::max<std::int64_t>(1, config.steps - schedule.warmup));
    const double progress = std::min(1.0, static_cast<double>(step - schedule.warmup) / length);
    return config.learning_rate * 0.5 * (1 + std::cos(std::numbers::pi * progress));
  }
  return config.learning_rate;
}

int rollout_length(const RolloutTrainingConfig& config, std::int64_t step) {
  return static_cast<int>(std::min<std::int64_t>(config.max_length, 1 + step / config.steps_per_length));
}

int highest_level(const LevelConfig& config, int levels) {
  if (config.sampling == "low") return config.max_level;
  return levels - (config.sampling == "but_last" ? 2 : 1);
}

std::int64_t sample_level(const LevelConfig& config, int levels, RandomStream& stream) {
  const int count = highest_level(config, levels) + 1;
  if (config.sampling != "low")
    return static_cast<std::int64_t>(stream.below(static_cast<std::uint64_t>(count)));
  if (stream.uniform() < config.log_fraction) {
    // floor(exp(u log(count + 1))) - 1 for u in [0, 1): every level 0..count-1, with weight log((s+2)/(s+1)).
    const double draw = std::exp(stream.uniform() * std::log(count + 1.0));
    return std::min<std::int64_t>(static_cast<std::int64_t>(draw) - 1, count - 1);
  }
  return static_cast<std::int64_t>(stream.below(static_cast<std::uint64_t>(count)));
}

double level_entropy(const LevelConfig& config, int levels) {
  const int count = highest_level(config, levels) + 1;
  const double log_fraction = config.sampling == "low" ? config.log_fraction : 0.0;
  double entropy = 0;
  for (int s = 0; s < count; ++s) {
    const double p =
        (1 - log_fraction) / count + log_fraction * std::log((s + 2.0) / (s + 1.0)) / std::log(count + 1.0);
    entropy -= p * std::log(p);
  }
  return entropy;
}

std::string training_identity(const TrainingConfig& c, std::uint64_t run_seed) {
  const auto optional = [](const std::optional<double>& v) {
    return v ? fmt::format("{:.17g}", *v) : std::string("-");
  };
  // The end of the run matters only where something is spread over its whole length.
  const bool end_matters = c.schedule.name == "cosine" || c.precision == "bfloat16";
  // What came later is named only where it is used, so that older runs keep their identity.
  std::string later;
  if (c.levels.past != "noised") later += "; past " + c.levels.past;
  if (c.recover_after != TrainingConfig().recover_after) later += fmt::format("; recover {}", c.recover_after);
  if (c.channels_last) later += "; channels last";
  if (c.rollout.whitening > 0) later += fmt::format("; whitening {:.17g}", c.rollout.whitening);
  if (c.data == "stream")
    later += fmt::format("; stream {} {} {}", c.stream.members, c.stream.frames, c.stream.validation_members);
  return fmt::format(
      "steps {}; batch {}; accumulate {}; lr {:.17g}; wd {:.17g}; schedule {} {} {:.17g} {}; clip {} {}; ema "
      "{:.17g}; "
      "rollout {} {} {:.17g}; rms {:.17g} {:.17g}; ce {:.17g}; levels {} {} {:.17g}; precision {} {:.17g}; "
      "seed {}{}",
      end_matters ? c.steps : 0, c.batch, c.accumulate, c.learning_rate, c.weight_decay, c.schedule.name,
      c.schedule.size, c.schedule.gamma, c.schedule.warmup, optional(c.clip_norm), optional(c.clip_value),
      c.ema, c.rollout.max_length, c.rollout.steps_per_length, c.rollout.noise, c.rollout.rms_penalty,
      c.rollout.rms_limit, c.cross_entropy_weight, c.levels.sampling, c.levels.max_level, c.levels.log_fraction,
      c.precision, c.bf16_fraction, c.seed.value_or(run_seed), later);
}

}  // namespace sns
