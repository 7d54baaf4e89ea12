#include "app/commands.hpp"
#include "core/error.hpp"
#include "core/files.hpp"
#include "core/log.hpp"
#include "core/parallel.hpp"
#include "emulator/dataset.hpp"
#include "emulator/device.hpp"
#include "emulator/runtime.hpp"
#include "emulator/training/combination.hpp"
#include "emulator/training/estimate_error.hpp"
#include "emulator/training/step_error.hpp"

#include <cmath>
#include <filesystem>
#include <memory>
#include <optional>

namespace sns {
namespace {

struct CalibrateArguments {
  std::filesystem::path weights, data, surrogate;
  std::string split = "valid", device = "auto";
  std::optional<std::int64_t> pairs;
  int threads = 0;
  std::optional<int> highest;
  bool dry_run = false;
};

/// Root mean squares by wavenumber; what part of the change the error is, and what part of the frame the
/// prediction has, alone and with noise like the error.
void print_table(const std::string& field, std::size_t channel, const StepError& step) {
  constexpr double kRounding = 1e-6;  // of the whole: a shell with less holds no flow
  const std::vector<double> error = step.error.shells()[channel], change = step.change.shells()[channel],
                            frame = step.frame.shells()[channel],
                            prediction = step.prediction.shells()[channel];
  fmt::print("\n{} (standard deviations of the field)\n{:>10} {:>10} {:>10} {:>10} {:>13} {:>17} {:>13}\n",
             field, "wavenumber", "frame", "change", "error", "error/change", "prediction/frame",
             "sample/frame");
  for (std::size_t k = 0; k < error.size(); ++k) {
    const auto part = [&](double what, double of) {
      return of > kRounding * step.frame.rms() ? fmt::format("{:.3f}", what / of) : std::string("-");
    };
    fmt::print("{:>10} {:>10.3g} {:>10.3g} {:>10.3g} {:>13} {:>17} {:>13}\n", k, frame[k], change[k], error[k],
               part(error[k], change[k]), part(prediction[k], frame[k]),
               part(std::hypot(prediction[k], error[k]), frame[k]));
  }
}

/// Measures a surrogate, and writes unless it is a dry run.
void calibrate_surrogate(const CalibrateArguments& arguments, const DataSplit& frames,
                         const DatasetInfo& info) {
  const auto found = measure_step_errors(arguments.weights, frames, arguments.pairs.value_or(kStepErrorPairs),
                                         pick_device(arguments.device));
  const Weights shown = found.contains(Weights::ema) ? Weights::ema : Weights::raw;
  const StepError& step = found.at(shown);
  for (std::size_t channel = 0; channel < info.fields.size(); ++channel)
    print_table(info.fields[channel], channel, step);
  fmt::print(
      "{} of {}: error of a step {:.4g} standard deviations, {:.3f} of the change, over {} pairs of {} ({})\n",
      file_name(shown), arguments.weights.string(), step.error.rms(), step.error.rms() / step.change.rms(),
      step.pairs, arguments.data.string(), arguments.split);
  if (arguments.dry_run) return;
  save_step_errors(arguments.weights, found);
  fmt::print("{} written\n", (arguments.weights / kStepErrorFile).string());
}

/// What a refiner errs by in its estimates, in parts of the noise, by the level that both frames stand at and
/// of the present one beside a clean past; 1: it knows nothing of the noise.
void print_table(const EstimateErrors& errors, const Schedule& schedule, bool two_frames) {
  fmt::print("\n{:>10} {:>10} {:>12}", "level", "noise", "present");
  if (two_frames) fmt::print(" {:>12} {:>12}", "past", "both noisy");
  fmt::print("\n");
  for (const int level : errors.levels()) {
    if (level == Levels::kClean) continue;
    fmt::print("{:>10} {:>10.4f} {:>12.3f}", level, schedule.noise_std(level),
               errors.rms({Levels::kClean, level}, Frame::present));
    if (two_frames)
      fmt::print(" {:>12.3f} {:>12.3f}", errors.rms({level, Levels::kClean}, Frame::past),
                 errors.rms({level, level}, Frame::present));
    fmt::print("\n");
  }
}

/// Of a refiner: up to the last level that it was trained on.
std::vector<int> levels_to_measure(const CalibrateArguments& arguments, const ModelConfig& config) {
  const int last = config.trained_max_level.value_or(config.diffusion.levels - 1);
  const int highest = arguments.highest.value_or(last);
  if (highest > last)
    fail<ConfigError>("--highest-level {}: {} was trained on levels 0 to {}", highest,
                      arguments.weights.string(), last);
  return measured_levels(highest);
}

/// The same for a refiner.
void calibrate_refiner(const CalibrateArguments& arguments, const DataSplit& frames,
                       const ModelConfig& config) {
  const std::vector<int> levels = levels_to_measure(arguments, config);
  const auto found = measure_estimate_errors(arguments.weights, frames, levels, kEstimateErrorSamples,
                                             pick_device(arguments.device));
  const Weights shown = found.contains(Weights::ema) ? Weights::ema : Weights::raw;
  const bool two_frames = config.kind == "sns" && config.trained_past != "clean";
  print_table(found.at(shown), make_schedule(config.diffusion), two_frames);
  fmt::print(
      "{} of {}: error of its estimates of the noise, root mean square, present frame beside a clean past{}, "
      "from {} ({})\n",
      file_name(shown), arguments.weights.string(),
      two_frames ? "; past beside a clean present; present, both at the level" : "", arguments.data.string(),
      arguments.split);
  if (arguments.dry_run) return;
  save_estimate_errors(arguments.weights, found);
  fmt::print("{} written\n", (arguments.weights / kEstimateErrorFile).string());
}

/// What an SNS and a surrogate make together: the error of the estimate of a clean present frame beside a clean
/// past, by level, of the network alone, of the combination, and of the surrogate alone.
void print_table(const EstimateErrors& alone, const CombinedEstimate& together, const Schedule& schedule,
                 double of_surrogate) {
  fmt::print("\n{:>10} {:>10} {:>12} {:>12} {:>12}\n", "level", "noise", "network", "combined", "surrogate");
  for (const int level : together.levels()) {
    if (level == Levels::kClean) continue;
    const Levels at{Levels::kClean, level};
    const double of_clean = schedule.noise_std(level) / schedule.signal(level);
    fmt::print("{:>10} {:>10.4f} {:>12.4f} {:>12.4f} {:>12.4f}\n", level, schedule.noise_std(level),
               of_clean * alone.rms(at, Frame::present), of_clean * together.errors().rms(at, Frame::present),
               of_surrogate);
  }
}

void calibrate_pair(const CalibrateArguments& arguments, const DataSplit& frames, const DatasetInfo& info,
                    const ModelConfig& config) {
  const std::vector<int> levels = levels_to_measure(arguments, config);
  const torch::Device device = pick_device(arguments.device);
  bool found = false;
  for (const Weights weights : {Weights::ema, Weights::raw}) {
    if (!std::filesystem::exists(arguments.weights / file_name(weights)) ||
        !std::filesystem::exists(arguments.surrogate / file_name(weights)))
      continue;
    found = true;
    const Combination together = measure_combination(arguments.weights, arguments.surrogate, weights, frames,
                                                     levels, kCombinationSamples, device);
    const auto refiner = load_model_as<Sns>(arguments.weights, weights, device);
    print_table(measure_estimate_errors(*refiner, frames, levels, kCombinationSamples), together.estimate,
                refiner->schedule(), together.surrogate_error);
    fmt::print(
        "{} of {} and {}: error of the clean present frame, root mean square in standard deviations, beside a "
        "clean past, from {} ({})\n",
        file_name(weights), arguments.weights.string(), arguments.surrogate.string(), arguments.data.string(),
        arguments.split);
    if (arguments.dry_run) continue;
    save_combination(arguments.weights, arguments.surrogate, weights, together.estimate, info.hash);
    fmt::print("{} written\n", (arguments.weights / combination_file(arguments.surrogate, weights)).string());
  }
  require(found, "{} and {} have no weights in common: averaged ones, or raw ones", arguments.weights.string(),
          arguments.surrogate.string());
}

void run_calibrate(CalibrateArguments arguments) {
  if (arguments.threads < 1) arguments.threads = default_threads();
  prepare_torch(arguments.threads);
  const ModelConfig config = load_model_config(arguments.weights / "config.yaml");
  // What is measured is written with the hash of the weights: they must be the same before and after.
  std::optional<FolderLock> lock;
  if (!arguments.dry_run) lock.emplace(arguments.weights);
  if (config.kind != "gaussian" && !measures_estimates(config.kind))
    fail<ConfigError>(
        "{} holds weights of kind {}: what is measured are surrogates (kind gaussian) and refiners (sns, "
        "thermalizer)",
        arguments.weights.string(), config.kind);
  if (config.kind == "gaussian" && arguments.highest)
    fail<ConfigError>("--highest-level is for refiners; {} holds a surrogate, which has no levels",
                      arguments.weights.string());
  if (config.kind != "gaussian" && arguments.pairs)
    fail<ConfigError>("--pairs is for surrogates; {} holds a refiner, which is measured on {} samples",
                      arguments.weights.string(), kEstimateErrorSamples);
  if (!arguments.surrogate.empty() && config.kind != "sns")
    fail<ConfigError>("--surrogate is for an SNS, whose estimates it is combined with; {} holds kind {}",
                      arguments.weights.string(), config.kind);
  const DatasetInfo info = describe_dataset(arguments.data);
  require_same_force(config.network, info.forcing_wavenumber, arguments.weights.string());
  if (!arguments.surrogate.empty())
    require_same_force(load_model_config(arguments.surrogate / "config.yaml").network, info.forcing_wavenumber,
                       arguments.surrogate.string());
  require(std::abs(info.frame_interval - config.frame_interval) <= 1e-9 * info.frame_interval ||
              config.frame_interval == 0,
          "{} has frames {:g} time units apart, and the weights are for {:g}", arguments.data.string(),
          info.frame_interval, config.frame_interval);
  if (!config.data_hash.empty() && config.data_hash != info.hash)
    log::warn("{} is not the data set that the weights were trained on: their error may be larger there",
              arguments.data.string());
  const DataSplit frames(info, arguments.split, scales_per_field(config.field_std, info));
  if (!arguments.surrogate.empty())
    calibrate_pair(arguments, frames, info, config);
  else if (config.kind == "gaussian")
    calibrate_surrogate(arguments, frames, info);
  else
    calibrate_refiner(arguments, frames, config);
  if (!arguments.dry_run && std::filesystem::exists(arguments.weights / "stage.json"))
    log::warn("{} belongs to a run: rollouts that it has finished are not made anew for this",
              arguments.weights.string());
}

}  // namespace

void add_calibrate(CLI::App& app) {
  auto* verb =
      app.add_subcommand("calibrate", "measure what a surrogate or a refiner gets wrong, for samples of it");
  const auto arguments = std::make_shared<CalibrateArguments>();
  verb->add_option(
          "--weights", arguments->weights,
          "folder with config.yaml and ema.safetensors or model.safetensors, of a surrogate or a refiner")
      ->required()
      ->type_name("DIR");
  verb->add_option("--data", arguments->data, "data set folder")->required()->type_name("DIR");
  verb->add_option("--split", arguments->split, "of the data set")
      ->check(CLI::IsMember({"valid", "test", "train"}))
      ->capture_default_str();
  verb->add_option("--surrogate", arguments->surrogate,
                   "of an SNS: folder of the surrogate whose predictions its estimates are combined with")
      ->type_name("DIR");
  verb->add_option("--pairs", arguments->pairs,
                   fmt::format("of a surrogate: consecutive frames, at most (default: {})", kStepErrorPairs))
      ->check(CLI::PositiveNumber);
  verb->add_option("--highest-level", arguments->highest,
                   "of a refiner: the last level that it was trained on (default: what its config.yaml says)")
      ->check(CLI::NonNegativeNumber);
  verb->add_flag("--dry-run", arguments->dry_run, "print the table and write nothing");
  verb->add_option("--device", arguments->device, "auto, cpu, cuda or cuda:N")->capture_default_str();
  verb->add_option("--threads", arguments->threads, "threads (default: all available)")
      ->check(CLI::Range(1, kMostThreads));
  verb->footer(
      "Examples:\n"
      "  sns calibrate --weights runs/q/models/gaussian --data runs/q/dataset\n"
      "  sns calibrate --weights runs/q/models/gaussian --data runs/q/dataset --dry-run      the table alone\n"
      "  sns calibrate --weights runs/q/models/sns --data runs/q/dataset --highest-level 16\n"
      "  sns calibrate --weights runs/q/models/sns --surrogate runs/q/models/gaussian --data runs/q/dataset\n"
      "Of a surrogate it writes step_error.safetensors into the folder of the weights: the covariance of the "
      "error\n"
      "of a step, for each wavevector and between fields, which a method with `sampled: true` draws its noise "
      "from,\n"
      "and the power of frames and of their changes, which `unpredicted_scales` needs.\n"
      "Of an SNS or a thermalizer, estimate_error.safetensors: that of its estimates of the noise, by "
      "wavenumber and\n"
      "levels, which a method with `reverse_std: measured` draws from. Training a surrogate does the same at "
      "its end,\n"
      "and sns reproduce for a refiner that a method draws from. Of an SNS with --surrogate it writes\n"
      "combined_HASH.safetensors, HASH being 12 digits of the surrogate's SHA-256: the best linear estimates "
      "of the two together, "
      "which a\n"
      "method with `estimate: combined` follows. Prints the error by wavenumber, or by level.");
  verb->callback([arguments] { run_calibrate(*arguments); });
}

}  // namespace sns
