#include "app/commands.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "core/parallel.hpp"
#include "emulator/dataset.hpp"
#include "emulator/device.hpp"
#include "emulator/runtime.hpp"
#include "emulator/training/step_error.hpp"

#include <cmath>
#include <filesystem>
#include <memory>

namespace sns {
namespace {

struct CalibrateArguments {
  std::filesystem::path weights, data;
  std::string split = "valid", device = "auto";
  std::int64_t pairs = kStepErrorPairs;
  int threads = 0;
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

void run_calibrate(CalibrateArguments arguments) {
  if (arguments.threads < 1) arguments.threads = default_threads();
  prepare_torch(arguments.threads);
  const ModelConfig config = load_model_config(arguments.weights / "config.yaml");
  if (config.kind != "gaussian")
    fail<ConfigError>("{} holds weights of kind {}: only a surrogate (kind gaussian) has an error of its step",
                      arguments.weights.string(), config.kind);
  const DatasetInfo info = describe_dataset(arguments.data);
  require(std::abs(info.frame_interval - config.frame_interval) <= 1e-9 * info.frame_interval ||
              config.frame_interval == 0,
          "{} has frames {:g} time units apart, and the weights are for {:g}", arguments.data.string(),
          info.frame_interval, config.frame_interval);
  if (!config.data_hash.empty() && config.data_hash != info.hash)
    log::warn("{} is not the data set that the weights were trained on: their error may be larger there",
              arguments.data.string());
  const DataSplit frames(info, arguments.split, scales_per_field(config.field_std, info));
  const auto found =
      measure_step_errors(arguments.weights, frames, arguments.pairs, pick_device(arguments.device));
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
  if (std::filesystem::exists(arguments.weights / "stage.json"))
    log::warn("{} belongs to a run: rollouts of samples that it has finished are not made anew for this",
              arguments.weights.string());
}

}  // namespace

void add_calibrate(CLI::App& app) {
  auto* verb =
      app.add_subcommand("calibrate", "measure what a surrogate gets wrong in one step, for samples of it");
  const auto arguments = std::make_shared<CalibrateArguments>();
  verb->add_option("--weights", arguments->weights,
                   "folder with config.yaml and ema.safetensors or model.safetensors, of a surrogate")
      ->required()
      ->type_name("DIR");
  verb->add_option("--data", arguments->data, "data set folder")->required()->type_name("DIR");
  verb->add_option("--split", arguments->split, "of the data set")
      ->check(CLI::IsMember({"valid", "test", "train"}))
      ->capture_default_str();
  verb->add_option("--pairs", arguments->pairs, "of consecutive frames, at most")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  verb->add_flag("--dry-run", arguments->dry_run, "print the table and write nothing");
  verb->add_option("--device", arguments->device, "auto, cpu, cuda or cuda:N")->capture_default_str();
  verb->add_option("--threads", arguments->threads, "threads (default: all available)");
  verb->footer(
      "Examples:\n"
      "  sns calibrate --weights runs/q/models/gaussian --data runs/q/dataset\n"
      "  sns calibrate --weights runs/q/models/gaussian --data runs/q/dataset --dry-run      the table alone\n"
      "Writes step_error.safetensors into the folder of the weights: the covariance of the error, for each "
      "wavevector\n"
      "and between fields, which a method with `sampled: true` draws its noise from. Training a surrogate does "
      "the\n"
      "same at its end; this is for weights that were made elsewhere or before. Prints the error by "
      "wavenumber.");
  verb->callback([arguments] { run_calibrate(*arguments); });
}

}  // namespace sns
