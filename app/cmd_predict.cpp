#include "app/commands.hpp"
#include "core/error.hpp"
#include "core/hdf5.hpp"
#include "core/parallel.hpp"
#include "emulator/predict.hpp"

#include <memory>

namespace sns {
namespace {

void run_predict(PredictOptions options) {
  if (options.output.empty()) {
    options.output = h5::split_address(options.input).first.stem().string() + "_predicted.h5";
  }
  options.command = fmt::format("sns predict --weights {} --use {} --input {} --seed {}",
                                options.weights.string(), options.which, options.input, options.seed);
  if (!options.long_input.empty()) options.command += " --long " + options.long_input;
  if (options.lag > 0) options.command += fmt::format(" --lag {}", options.lag);
  if (options.threads < 1) options.threads = default_threads();
  const auto summary = predict(options);
  fmt::print("{}: {} {} written to {}\n", summary.kind, summary.samples,
             !options.oracle.empty()         ? "estimates of clean pairs"
             : summary.kind == "sns"         ? "refined pairs"
             : summary.kind == "thermalizer" ? "refined states"
                                             : "next states",
             options.output.string());
}

}  // namespace

void add_predict(CLI::App& app) {
  auto* verb = app.add_subcommand("predict", "apply a trained model once to states in a file");
  const auto options = std::make_shared<PredictOptions>();
  options->threads = 0;
  verb->add_option("--weights", options->weights, "folder with config.yaml and model.safetensors")
      ->required()
      ->type_name("DIR");
  verb->add_option("--input", options->input,
                   "array in physical units: states (B,x,y), or pairs (B,2,x,y) = (x_{t-1}, x_t) for SNS; "
                   "(C,x,y) instead of (x,y) for models of C fields")
      ->required()
      ->type_name("FILE.h5:/PATH");
  verb->add_option("-o,--output", options->output, "file to write (default: <input>_predicted.h5)")
      ->type_name("OUT.h5");
  verb->add_flag("--overwrite", options->overwrite, "replace OUT.h5");
  verb->add_option("--long", options->long_input,
                   "SNS: clean frames (B,x,y) or one frame (x,y); default: each pair's first frame")
      ->type_name("FILE.h5:/PATH");
  verb->add_option("--lag", options->lag, "lagged SNS: steps from the --long frame to the present one")
      ->check(CLI::NonNegativeNumber);
  verb->add_option("--use", options->which, "which weights")
      ->check(CLI::IsMember({"raw", "ema"}))
      ->capture_default_str();
  verb->add_option("--path", options->path, "SNS: A, B, C, fixed_past or clean_past")->capture_default_str();
  verb->add_option("--rule", options->rule, "SNS, thermalizer: inclusive, exclusive or reference")
      ->capture_default_str();
  verb->add_option("--level-floor", options->level_floor, "SNS: predicted levels below are raised to it")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  verb->add_option("--threshold", options->threshold,
                   "SNS: pairs with no predicted level above it are left alone")
      ->capture_default_str();
  verb->add_option(
          "--gate", options->gate,
          "SNS: either (compare both levels with the threshold) or present (as the paper's lagged code)")
      ->capture_default_str();
  verb->add_option(
          "--oracle", options->oracle,
          "SNS: noise the pairs to levels S1 (past), S2 (present), and estimate the clean ones in one step")
      ->delimiter(',')
      ->expected(2)
      ->type_name("S1,S2");
  verb->add_option("--start-level", options->start_level, "thermalizer: states above it are denoised")
      ->capture_default_str();
  verb->add_option("--stop-level", options->stop_level, "thermalizer: ... down to the step above this level")
      ->capture_default_str();
  verb->add_option("--noise-limit", options->noise_limit, "thermalizer: states above it are given up (NaN)")
      ->capture_default_str();
  verb->add_option("--start", options->start, "ACDM: noised_past or pure_noise")->capture_default_str();
  verb->add_option("--conditioning", options->conditioning, "ACDM: per_step or single")->capture_default_str();
  verb->add_option("--reverse-std", options->reverse_std, "all but emulators: posterior or sqrt_beta")
      ->capture_default_str();
  verb->add_option("--seed", options->seed, "of the noise")->capture_default_str();
  verb->add_option("--batch", options->batch, "samples per network evaluation")->capture_default_str();
  verb->add_option("--device", options->device, "auto, cpu, cuda or cuda:N")->capture_default_str();
  verb->add_option("--threads", options->threads, "threads (default: all available)");
  verb->footer(
      "Examples:\n"
      "  sns predict --weights runs/q/models/gaussian --input states.h5:/vorticity -o next.h5\n"
      "  sns predict --weights runs/q/models/sns --input pairs.h5:/pairs --long ic.h5:/vorticity --level-floor "
      "2\n"
      "  sns predict --weights runs/q/models/sns --input pairs.h5:/pairs --oracle 100,900 -o oracle.h5\n"
      "Writes /next (emulator), /next and /evaluations (ACDM), /refined, /levels, /used_levels and "
      "/evaluations "
      "(SNS, thermalizer), or /noised, /estimate and /levels (--oracle).");
  verb->callback([options] { run_predict(*options); });
}

}  // namespace sns
