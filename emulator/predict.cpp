#include "emulator/predict.hpp"

#include "core/build_info.hpp"
#include "core/error.hpp"
#include "core/files.hpp"
#include "core/hdf5.hpp"
#include "core/log.hpp"
#include "core/stop.hpp"
#include "emulator/device.hpp"
#include "emulator/models/acdm.hpp"
#include "emulator/models/gaussian.hpp"
#include "emulator/models/sns.hpp"
#include "emulator/models/step_noise.hpp"
#include "emulator/models/thermalizer.hpp"
#include "emulator/predict_arrays.hpp"
#include "emulator/runtime.hpp"
#include "emulator/training/combination.hpp"
#include "emulator/training/estimate_error.hpp"
#include "emulator/training/step_error.hpp"

#include <c10/core/InferenceMode.h>

#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <numeric>

namespace sns {
namespace {

/// Calls item(first, count) for one batch after the other.
template <class Item>
void for_batches(const PredictOptions& options, std::int64_t items, const Item& item) {
  for (std::int64_t first = 0; first < items; first += options.batch) {
    if (stop_requested())
      fail<Stopped>("predict stopped after {} of {} items; nothing was written", first, items);
    item(first, std::min(options.batch, items - first));
  }
}

/// first..first+count-1
template <class Integer>
std::vector<Integer> rows(std::int64_t first, std::int64_t count) {
  std::vector<Integer> numbers(static_cast<std::size_t>(count));
  std::iota(numbers.begin(), numbers.end(), static_cast<Integer>(first));
  return numbers;
}

/// Noise of these rows.
PhiloxNoise noise_of(const PredictOptions& options, std::int64_t first, std::int64_t count) {
  return PhiloxNoise(options.seed, rows<std::uint64_t>(first, count), 0);
}

/// An i64 for each item: denoiser evaluations.
h5::Dataset make_evaluations(h5::File& out, std::int64_t items) {
  return out.create<std::int64_t>("evaluations", {static_cast<std::uint64_t>(items)});
}
void write_evaluations(h5::Dataset& array, std::int64_t first, const std::vector<std::int64_t>& evaluations) {
  write_rows<std::int64_t>(array, first, {evaluations.size()}, evaluations);
}
/// An i32 pair for each item: levels of past and present frame.
h5::Dataset make_levels(h5::File& out, const char* name, std::int64_t items) {
  return out.create<std::int32_t>(name, {static_cast<std::uint64_t>(items), 2});
}

/// What a refinement says of each item beside the refined frames.
class RefinementArrays {
 public:
  RefinementArrays(h5::File& out, std::int64_t items)
      : levels_(make_levels(out, "levels", items)),
        used_(make_levels(out, "used_levels", items)),
        evaluations_(make_evaluations(out, items)) {}
  void write(std::int64_t first, const std::vector<Levels>& predicted, const Refined& refined) {
    write_levels(levels_, first, predicted);
    write_levels(used_, first, refined.used);
    write_evaluations(evaluations_, first, refined.evaluations);
  }

 private:
  h5::Dataset levels_, used_, evaluations_;
};

std::int64_t predict_next(GaussianEmulator& model, const PredictOptions& options, h5::File& out) {
  const h5::Shape frame = frame_shape(model);
  const InputArray input(options.input, model, 1, "states");
  StepNoise noise{.seed = options.seed, .purpose = Purpose::predicted_step};
  if (options.sampled) {
    noise.error.emplace(load_step_error(options.weights, parse_weights(options.which)));
    out.set_attribute("seed", options.seed);
    out.set_attribute("step_error_sha256", sha256_file(options.weights / kStepErrorFile));
  }
  auto next = out.create<float>("next", rows_of(input.count(), frame));
  for_batches(options, input.count(), [&](std::int64_t first, std::int64_t count) {
    const torch::Tensor predicted = model.step(input.read(first, count));
    write_rows(next, first, rows_of(count, frame),
               noise.add(predicted, rows<std::int64_t>(first, count), 0) * model.scale());
  });
  return input.count();
}

void warn_of_untrained_level(const Model& model, int level) {
  if (const auto highest = model.config().trained_max_level; highest && level > *highest)
    log::warn("level {} of a model that was trained on levels up to {}: little can be expected", level,
              *highest);
}

std::int64_t predict_generated(Acdm& model, const PredictOptions& options, h5::File& out) {
  const h5::Shape frame = frame_shape(model);
  const InputArray input(options.input, model, 1, "states");
  const AcdmOptions how = acdm_generation(options.sampling);
  // Its reference never draws the last level.
  warn_of_untrained_level(model, model.schedule().levels() - 2);
  out.set_attribute("start", options.sampling.start);
  out.set_attribute("conditioning", options.sampling.conditioning);
  auto next = out.create<float>("next", rows_of(input.count(), frame));
  auto evaluations = make_evaluations(out, input.count());
  for_batches(options, input.count(), [&](std::int64_t first, std::int64_t count) {
    PhiloxNoise noise = noise_of(options, first, count);
    const Sampled made = model.next(input.read(first, count), how, noise);
    write_rows(next, first, rows_of(count, frame), made.x * model.scale());
    write_evaluations(evaluations, first, made.evaluations);
  });
  return input.count();
}

std::int64_t predict_thermalized(Thermalizer& model, const PredictOptions& options, h5::File& out) {
  const h5::Shape frame = frame_shape(model);
  const InputArray input(options.input, model, 1, "states");
  const ThermalizerLevels levels = thermalizer_levels(options.sampling, model.schedule());
  const RefineOptions how = thermalizer_refinement(options.sampling, levels);
  const int highest = model.config().trained_max_level.value_or(model.schedule().levels() - 1);
  if (levels.limit >= highest)
    log::warn(
        "noise limit {} of a model that was trained on levels up to {}: it names none above, so that no state "
        "is given up",
        levels.limit, highest);
  out.set_attribute("rule", options.sampling.rule);
  out.set_attribute("classify", options.sampling.classify);
  out.set_attribute("start_level", levels.start);
  out.set_attribute("stop_level", levels.stop);
  out.set_attribute("noise_limit", levels.limit);
  auto refined = out.create<float>("refined", rows_of(input.count(), frame));
  RefinementArrays record(out, input.count());
  for_batches(options, input.count(), [&](std::int64_t first, std::int64_t count) {
    PhiloxNoise noise = noise_of(options, first, count);
    Thermalized made = model.thermalize(input.read(first, count), how, levels.limit, noise);
    for (const GivenUp& state : made.given_up) {
      made.refined.x[state.row].fill_(std::numeric_limits<float>::quiet_NaN());
      log::warn("state {}: {}", first + state.row, state.why);
    }
    write_rows(refined, first, rows_of(count, frame), made.refined.x * model.scale());
    record.write(first, made.predicted, made.refined);
  });
  return input.count();
}

/// Pairs or, for a generation, past states of a file, with the long frames that SNS wants beside them.
class SnsInput {
 public:
  SnsInput(const Sns& model, const PredictOptions& options, std::int64_t frames)
      : model_(model), frames_(options.input, model, frames, frames == 2 ? "pairs (x_{t-1}, x_t)" : "states") {
    if (model.longest_lag() > 0 && (options.long_input.empty() || options.lag < 1))
      fail<ConfigError>(
          "the model wants an earlier frame of the same trajectory: give it (--long) and the steps from "
          "it to the present frame (--lag 1 to {})",
          model.longest_lag());
    if (options.long_input.empty()) return;
    long_ = std::make_unique<InputArray>(options.long_input, model, 1, "frames");
    require(long_->count() == count() || long_->count() == 1,
            "{} has {} frames for {} items; give one for all, or one for each", options.long_input,
            long_->count(), count());
  }
  std::int64_t count() const { return frames_.count(); }

  /// (long, past, present) or (long, past) of items first..first+count-1, normalised [count, 3C or 2C, n, n].
  torch::Tensor read(std::int64_t first, std::int64_t count) const {
    const auto frames = frames_.read(first, count);
    const torch::Tensor past = frames.narrow(1, 0, model_.config().field_channels);
    torch::Tensor beside = past;
    if (long_ && long_->count() == 1)
      beside = long_->read(0, 1).expand_as(past);
    else if (long_)
      beside = long_->read(first, count);
    return torch::cat({beside, frames}, 1);
  }

 private:
  const Sns& model_;
  InputArray frames_;
  std::unique_ptr<InputArray> long_;
};

/// The pairs of a batch (long, past, present), physical.
torch::Tensor physical_pairs(const Sns& model, const torch::Tensor& x) {
  const std::int64_t channels = model.config().field_channels;
  return x.narrow(1, x.size(1) - 2 * channels, 2 * channels) * model.scale(2);
}

std::vector<int> lags_of(const PredictOptions& options) {
  return std::vector<int>(options.lag > 0 ? 1 : 0, options.lag);
}

/// The other way round it is an error, of the model's.
void warn_of_clean_past(const Sns& model, const Path& path) {
  if (!path.noises_past() && model.config().trained_past == "noised")
    log::warn("path {} with a model that was trained beside noised past frames: little can be expected",
              path.text());
}

/// The surrogate whose predictions an SNS's estimates are combined with.
class Companion {
 public:
  /// Gives the model what was measured of the two.
  Companion(Sns& model, const PredictOptions& options, h5::File& out)
      : model_(model),
        surrogate_(
            load_model_as<GaussianEmulator>(options.surrogate, parse_weights(options.which), model.device())) {
    const Weights weights = parse_weights(options.which);
    model.use_combination(
        std::make_shared<CombinedEstimate>(load_combination(options.weights, options.surrogate, weights)));
    out.set_attribute("estimate", options.sampling.estimate);
    out.set_attribute("surrogate", options.surrogate.string());
    out.set_attribute("surrogate_sha256", sha256_file(options.surrogate / file_name(weights)));
    out.set_attribute("combined_estimate_sha256",
                      sha256_file(options.weights / combination_file(options.surrogate, weights)));
  }
  /// For the past frames of x (long, past, present), in the model's units, as x.
  torch::Tensor prediction(const torch::Tensor& x) const {
    const std::int64_t channels = model_.config().field_channels;
    const torch::Tensor past = x.narrow(1, channels, channels) * model_.scale() / surrogate_->scale();
    return surrogate_->step(past) * surrogate_->scale() / model_.scale();
  }

 private:
  const Sns& model_;
  std::unique_ptr<GaussianEmulator> surrogate_;
};

std::int64_t predict_refined(Sns& model, const PredictOptions& options, h5::File& out) {
  const SnsInput input(model, options, 2);
  std::optional<Companion> companion;
  if (!options.surrogate.empty()) companion.emplace(model, options, out);
  if (!options.sampling.fixed_levels.empty() &&
      (options.sampling.level_floor > 0 || options.sampling.threshold >= 0 ||
       options.sampling.gate != "either"))
    fail<ConfigError>(
        "--fixed-levels: a level floor, a threshold or a gate would change them or leave pairs alone: give one "
        "of them");
  const RefineOptions how = sns_refinement(options.sampling);
  warn_of_clean_past(model, how.path);
  warn_of_untrained_level(model, how.fixed_levels ? std::max(how.fixed_levels->past, how.fixed_levels->present)
                                                  : options.sampling.level_floor);
  out.set_attribute("path", options.sampling.path);
  out.set_attribute("rule", options.sampling.rule);
  out.set_attribute("level_floor", options.sampling.level_floor);
  if (how.fixed_levels) {
    if (how.path.noises_past()) out.set_attribute("fixed_past_level", how.fixed_levels->past);
    out.set_attribute("fixed_present_level", how.fixed_levels->present);
  }
  out.set_attribute("threshold", options.sampling.threshold);
  out.set_attribute("gate", options.sampling.gate);
  out.set_attribute("classify", options.sampling.classify);
  const h5::Shape pair = frame_shape(model, 2);
  auto refined = out.create<float>("refined", rows_of(input.count(), pair));
  RefinementArrays record(out, input.count());
  for_batches(options, input.count(), [&](std::int64_t first, std::int64_t count) {
    const torch::Tensor x = input.read(first, count);
    PhiloxNoise noise = noise_of(options, first, count);
    const auto predicted = model.predicted_levels(x, how, noise, lags_of(options));
    const Refined result = model.refine(x, predicted, how, noise, lags_of(options),
                                        companion ? companion->prediction(x) : torch::Tensor());
    write_rows(refined, first, rows_of(count, pair), physical_pairs(model, result.x));
    record.write(first, predicted, result);
  });
  return input.count();
}

std::int64_t predict_generated(Sns& model, const PredictOptions& options, h5::File& out) {
  const SnsInput input(model, options, 1);
  const GenerationOptions how = sns_generation(options.sampling);
  warn_of_clean_past(model, how.path);
  warn_of_untrained_level(model, model.schedule().levels() - 1);
  out.set_attribute("path", options.sampling.path);
  out.set_attribute("start", options.sampling.start);
  out.set_attribute("clip", options.sampling.clip);
  const h5::Shape frame = frame_shape(model);
  const std::int64_t channels = model.config().field_channels;
  auto next = out.create<float>("next", rows_of(input.count(), frame));
  std::optional<h5::Dataset> predicted;
  if (how.path.noises_past()) predicted = make_levels(out, "levels", input.count());
  auto evaluations = make_evaluations(out, input.count());
  for_batches(options, input.count(), [&](std::int64_t first, std::int64_t count) {
    const torch::Tensor x = input.read(first, count);
    PhiloxNoise noise = noise_of(options, first, count);
    const Generated made =
        model.generate(x.narrow(1, 0, channels), x.narrow(1, channels, channels), how, noise, lags_of(options));
    write_rows(next, first, rows_of(count, frame), made.x.narrow(1, 2 * channels, channels) * model.scale());
    if (predicted) write_levels(*predicted, first, made.predicted);
    write_evaluations(evaluations, first, made.evaluations);
  });
  return input.count();
}

std::int64_t predict_oracle(Sns& model, const PredictOptions& options, h5::File& out) {
  const SnsInput input(model, options, 2);
  const int levels = model.schedule().levels();
  for (const int s : options.oracle)
    if (options.oracle.size() != 2 || s < 0 || s >= levels)
      fail<ConfigError>("the oracle takes two levels, each 0 to {}", levels - 1);
  const Levels at{options.oracle[0], options.oracle[1]};
  warn_of_untrained_level(model, std::max(at.past, at.present));
  out.set_attribute("oracle_past_level", at.past);
  out.set_attribute("oracle_present_level", at.present);
  const h5::Shape pair = frame_shape(model, 2), rows = rows_of(input.count(), pair);
  auto noised = out.create<float>("noised", rows), estimate = out.create<float>("estimate", rows);
  auto predicted = make_levels(out, "levels", input.count());
  for_batches(options, input.count(), [&](std::int64_t first, std::int64_t count) {
    PhiloxNoise noise = noise_of(options, first, count);
    const torch::Tensor x = model.noised(input.read(first, count), at, noise);
    const torch::Tensor pairs_at = torch::tensor({at.past, at.present}, torch::kInt64).expand({count, 2});
    write_rows(noised, first, rows_of(count, pair), physical_pairs(model, x));
    write_rows(estimate, first, rows_of(count, pair),
               physical_pairs(model, model.clean_estimate(x, pairs_at.to(model.device()), lags_of(options))));
    write_levels(predicted, first, model.levels(x, lags_of(options)));
  });
  return input.count();
}

/// Options that say something to this use of this kind of model, beside those that all have.
std::vector<std::string> options_of(const std::string& kind, const PredictOptions& options) {
  if (kind == "acdm") return {"--start", "--conditioning", "--reverse-std"};
  if (kind == "thermalizer")
    return {"--rule", "--classify", "--start-level", "--stop-level", "--noise-limit", "--reverse-std"};
  if (kind == "gaussian") return {"--sampled"};
  if (options.generate)
    return {"--generate", "--long", "--lag", "--path", "--start", "--clip", "--reverse-std"};
  if (!options.oracle.empty()) return {"--oracle", "--long", "--lag"};
  return {"--long",         "--lag",       "--path", "--rule",     "--surrogate",  "--level-floor",
          "--fixed-levels", "--threshold", "--gate", "--classify", "--reverse-std"};
}

void refuse_foreign_options(const std::string& kind, const PredictOptions& options) {
  const auto known = options_of(kind, options);
  for (const std::string& name : options.given)
    if (std::find(known.begin(), known.end(), name) == known.end())
      fail<ConfigError>("{} says nothing to {} (it takes {})", name,
                        options.generate          ? "a generation"
                        : !options.oracle.empty() ? "the oracle"
                                                  : fmt::format("a model of kind {}", kind),
                        known.empty() ? "no options of its own" : fmt::format("{}", fmt::join(known, ", ")));
}

/// The output must not take the place of what is read: arrays of `fields` fields.
void refuse_own_input(const PredictOptions& options, int fields) {
  if (!std::filesystem::exists(options.output)) return;
  for (const std::string& given : {options.input, options.long_input}) {
    if (given.empty()) continue;
    for (const std::string& address : array_addresses(given, fields)) {
      const auto file = h5::split_address(address).first;
      if (std::filesystem::exists(file) && std::filesystem::equivalent(file, options.output))
        fail<ConfigError>("{} is read: the output needs a file of its own", options.output.string());
    }
  }
}

/// What all predictions have in common.
void describe(h5::File& out, const PredictOptions& options, const Model& model) {
  out.set_attribute("kind", model.config().kind);
  out.set_attribute("weights", options.weights.string());
  out.set_attribute("weights_sha256", sha256_file(options.weights / file_name(parse_weights(options.which))));
  out.set_attribute("weights_kind", options.which);
  out.set_attribute("input", options.input);
  const bool sns = model.config().kind == "sns";
  if (sns && !options.long_input.empty()) out.set_attribute("long", options.long_input);
  if (sns && options.lag > 0) out.set_attribute("lag", options.lag);
  if (model.config().kind != "gaussian") {
    out.set_attribute("seed", options.seed);
    if (options.surrogate.empty() && options.oracle.empty())
      out.set_attribute("reverse_std", options.sampling.reverse_std);
  }
  out.set_attribute("batch", options.batch);
  out.set_attribute("device", model.device().str());
  out.set_attribute("threads", options.threads);
  out.set_attribute("command", options.command);
  out.set_attribute("sns_version", build_info().version);
  out.set_attribute("git_commit", build_info().git_commit);
}

/// Gives a refiner the errors of its estimates, where its noise is drawn from them.
void give_errors(Model& model, const PredictOptions& options, h5::File& out) {
  auto* const refiner = dynamic_cast<DiffusionModel*>(&model);
  const bool refines = measures_estimates(model.config().kind) && !options.generate && options.oracle.empty();
  if (refiner == nullptr || !refines || parse_reverse_std(options.sampling.reverse_std) != ReverseStd::measured)
    return;
  refiner->use_errors(
      std::make_shared<EstimateErrors>(load_estimate_errors(options.weights, parse_weights(options.which))));
  out.set_attribute("estimate_error_sha256", sha256_file(options.weights / kEstimateErrorFile));
}

/// Applies the model to all items of the input.
PredictSummary apply(Model& model, const PredictOptions& options, h5::File& out) {
  const std::string& kind = model.config().kind;
  if (auto* gaussian = dynamic_cast<GaussianEmulator*>(&model))
    return {kind, "next states", predict_next(*gaussian, options, out)};
  if (auto* thermalizer = dynamic_cast<Thermalizer*>(&model))
    return {kind, "refined states", predict_thermalized(*thermalizer, options, out)};
  if (auto* acdm = dynamic_cast<Acdm*>(&model))
    return {kind, "next states", predict_generated(*acdm, options, out)};
  auto& sns = dynamic_cast<Sns&>(model);
  if (options.generate) return {kind, "next states", predict_generated(sns, options, out)};
  if (!options.oracle.empty()) return {kind, "estimates of clean pairs", predict_oracle(sns, options, out)};
  return {kind, "refined pairs", predict_refined(sns, options, out)};
}

}  // namespace

PredictSummary predict(const PredictOptions& options) {
  prepare_torch(options.threads);
  if (options.batch < 1) fail<ConfigError>("batch {} must be at least 1", options.batch);
  if (options.generate && !options.oracle.empty())
    fail<ConfigError>("--generate makes states, --oracle estimates given ones: give one of them");
  const OutputFolder folder(options.output);
  if (!options.overwrite && std::filesystem::exists(options.output))
    fail<ConfigError>("{} exists; give --overwrite to replace it or another -o", options.output.string());
  const auto model = load_model(options.weights, parse_weights(options.which), pick_device(options.device));
  if ((options.generate || !options.oracle.empty()) && model->config().kind != "sns")
    fail<ConfigError>("{} holds a model of kind '{}'; {} SNS's", options.weights.string(), model->config().kind,
                      options.generate ? "--generate is" : "the oracle is");
  refuse_foreign_options(model->config().kind, options);
  if (!options.surrogate.empty())
    if (const std::string why = why_not_combined(options.sampling); !why.empty())
      fail<ConfigError>("--surrogate: {}", why);
  refuse_own_input(options, model->config().field_channels);
  const c10::InferenceMode guard;
  PredictSummary summary;
  write_atomically(options.output, [&](const std::filesystem::path& temporary) {
    auto out = h5::File::create(temporary);
    describe(out, options, *model);
    give_errors(*model, options, out);
    summary = apply(*model, options, out);
    out.close();
  });
  return summary;
}

}  // namespace sns
