#include "app/commands.hpp"
#include "core/error.hpp"
#include "core/hdf5.hpp"
#include "core/parallel.hpp"
#include "emulator/predict.hpp"

#include <memory>
#include <optional>

namespace sns {
namespace {

/// Options as they are typed: those whose default depends on what is made are not there unless they are given.
struct PredictArguments {
  PredictOptions options;
  std::optional<std::string> path, start;
};

void run_predict(PredictArguments arguments) {
  PredictOptions& options = arguments.options;
  if (options.output.empty()) {
    // Of several arrays the first; the name of its file may have a comma in it.
    const std::string first = options.input.substr(0, options.input.find(',', options.input.find(":/")));
    options.output = h5::split_address(first).first.stem().string() + "_predicted.h5";
  }
  if (options.generate) set_generation_defaults(options.sampling);
  if (arguments.path) options.sampling.path = *arguments.path;
  if (arguments.start) options.sampling.start = *arguments.start;
  if (!options.surrogate.empty()) options.sampling.estimate = "combined";
  options.command = typed_command();
  if (options.threads < 1) options.threads = default_threads();
  const auto summary = predict(options);
  fmt::print("{}: {} {} written to {}\n", summary.kind, summary.samples, summary.made, options.output.string());
}

/// Options that some kinds of models have.
const char* const kOptionsOfKinds[] = {"--sampled",      "--generate",    "--long",         "--lag",
                                       "--oracle",       "--surrogate",   "--path",         "--rule",
                                       "--gate",         "--level-floor", "--fixed-levels", "--threshold",
                                       "--start-level",  "--noise-limit", "--stop-level",   "--start",
                                       "--conditioning", "--reverse-std", "--clip",         "--classify"};

/// How refiners and generators sample; names as in a configuration's methods.
void add_sampling(CLI::App& verb, PredictArguments& arguments) {
  SamplingWords& sampling = arguments.options.sampling;
  verb.add_option(
      "--path", arguments.path,
      "SNS: A, B, C, fixed_past, clean_past, or corners 'past,present' of a way of your own, such as "
      "'top,top 4,top 4,clean clean,clean' (default: A; of --generate: fixed_past)");
  verb.add_option("--rule", sampling.rule, "SNS, thermalizer: inclusive, exclusive or reference")
      ->check(CLI::IsMember(rule_names()))
      ->capture_default_str();
  verb.add_option("--classify", sampling.classify,
                  "SNS, thermalizer: what the heads see: the frames as_given, or (noised) those that the path "
                  "noises, with the lowest level's noise")
      ->check(CLI::IsMember(classify_names()))
      ->capture_default_str();
  verb.add_option("--level-floor", sampling.level_floor, "SNS: predicted levels below are raised to it")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  verb.add_option("--fixed-levels", sampling.fixed_levels,
                  "SNS: levels S1,S2 (past, where the path noises it, and present) of all pairs, whatever the "
                  "heads say")
      ->expected(2)
      ->delimiter(',')
      ->type_name("S1,S2");
  verb.add_option("--threshold", sampling.threshold,
                  "SNS: pairs with no predicted level above it are left alone")
      ->capture_default_str();
  verb.add_option(
          "--gate", sampling.gate,
          "SNS: either (compare both levels with the threshold) or present (as the paper's lagged code)")
      ->check(CLI::IsMember(gate_names()))
      ->capture_default_str();
  verb.add_option(
      "--start-level", sampling.start_level,
      "thermalizer: states above it are denoised (default: the level as noisy as level 6 of the paper's 1000)");
  verb.add_option("--stop-level", sampling.stop_level,
                  "thermalizer: ... down to the step above this level (default: as noisy as level 4)");
  verb.add_option("--noise-limit", sampling.noise_limit,
                  "thermalizer: states above it are given up (NaN); rule reference: their whole batch "
                  "(default: as noisy as "
                  "level 100)");
  verb.add_option(
          "--start", arguments.start,
          "ACDM, --generate: noised_past or pure_noise (default: noised_past; of --generate: pure_noise)")
      ->check(CLI::IsMember(start_names()));
  verb.add_option("--conditioning", sampling.conditioning, "ACDM: per_step or single")
      ->check(CLI::IsMember(conditioning_names()))
      ->capture_default_str();
  verb.add_option(
          "--clip", sampling.clip,
          "--generate: standard deviations beyond which no estimate of a clean frame may lie; 0: no limit")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  verb.add_option("--reverse-std", sampling.reverse_std,
                  "all but emulators: posterior or sqrt_beta; refiners: measured")
      ->check(CLI::IsMember(reverse_std_names()))
      ->capture_default_str();
}

}  // namespace

void add_predict(CLI::App& app) {
  auto* verb = app.add_subcommand("predict", "apply a trained model once to states in a file");
  const auto arguments = std::make_shared<PredictArguments>();
  PredictOptions& options = arguments->options;
  options.threads = 0;
  verb->add_option("--weights", options.weights,
                   "folder with config.yaml and ema.safetensors or model.safetensors")
      ->required()
      ->type_name("DIR");
  verb->add_option("--input", options.input,
                   "array in physical units: states (B,x,y), or pairs (B,2,x,y) = (x_{t-1}, x_t) for SNS; for "
                   "models of C fields (C,x,y) instead of (x,y), or C arrays with commas between: /PATH,/PATH; "
                   "/PATH@N or /PATH@last: a frame of an array with a time axis, of each of its members")
      ->required()
      ->type_name("FILE.h5:/PATH");
  verb->add_option("-o,--output", options.output, "file to write (default: <input>_predicted.h5)")
      ->type_name("OUT.h5");
  verb->add_flag("--overwrite", options.overwrite, "replace OUT.h5");
  verb->add_flag(
      "--sampled", options.sampled,
      "emulators: draw the next state, with noise like the error of a step that sns calibrate measured");
  verb->add_flag("--generate", options.generate,
                 "SNS: make the next state of each state from noise, without an emulator");
  verb->add_option(
          "--long", options.long_input,
          "SNS: clean frames (B,x,y) or one frame (x,y), by an address like --input's; default: each pair's "
          "first frame")
      ->type_name("FILE.h5:/PATH");
  verb->add_option("--surrogate", options.surrogate,
                   "SNS: follow what its estimates and the prediction of this emulator for the past frame make "
                   "together, as sns calibrate --surrogate measured; wants --path fixed_past or clean_past")
      ->type_name("DIR");
  verb->add_option("--lag", options.lag, "lagged SNS: steps from the --long frame to the present one")
      ->check(CLI::NonNegativeNumber);
  verb->add_option("--use", options.which, "which weights")
      ->check(CLI::IsMember({"raw", "ema"}))
      ->capture_default_str();
  verb->add_option(
          "--oracle", options.oracle,
          "SNS: noise the pairs to levels S1 (past), S2 (present), and estimate the clean ones in one step")
      ->delimiter(',')
      ->expected(2)
      ->type_name("S1,S2");
  add_sampling(*verb, *arguments);
  verb->add_option("--seed", options.seed, "of the noise")->capture_default_str();
  verb->add_option("--batch", options.batch, "samples per network evaluation")->capture_default_str();
  verb->add_option("--device", options.device, "auto, cpu, cuda or cuda:N")->capture_default_str();
  verb->add_option("--threads", options.threads, "threads (default: all available)")
      ->check(CLI::Range(1, kMostThreads));
  verb->footer(
      "Examples:\n"
      "  sns predict --weights runs/q/models/gaussian --input states.h5:/vorticity -o next.h5\n"
      "  sns predict --weights runs/q/models/gaussian --input runs/q/rollouts/sns.h5:/vorticity@last\n"
      "  sns predict --weights runs/q/models/gaussian --input states.h5:/vorticity --sampled --seed 1 -o "
      "next.h5\n"
      "  sns predict --weights runs/q/models/sns --input pairs.h5:/pairs --surrogate runs/q/models/gaussian "
      "--path fixed_past\n"
      "  sns predict --weights runs/q/models/sns --input pairs.h5:/pairs --long ic.h5:/vorticity --level-floor "
      "2\n"
      "  sns predict --weights runs/q/models/sns --input pairs.h5:/pairs --oracle 100,900 -o oracle.h5\n"
      "  sns predict --weights runs/q/models/sns --input states.h5:/vorticity --generate -o next.h5\n"
      "  sns predict --weights runs/m/models/thermalizer --input states.h5:/vorticity -o calm.h5\n"
      "  sns predict --weights runs/m/models/acdm --input states.h5:/q_upper,/q_lower --start pure_noise\n"
      "Writes /next (emulator), /next and /evaluations (ACDM, --generate, which adds /levels), /refined, "
      "/levels, "
      "/used_levels and /evaluations (SNS, thermalizer), or /noised, /estimate and /levels (--oracle).");
  verb->callback([arguments, verb] {
    for (const char* name : kOptionsOfKinds)
      if (verb->get_option(name)->count() > 0) arguments->options.given.emplace_back(name);
    run_predict(*arguments);
  });
}

}  // namespace sns
