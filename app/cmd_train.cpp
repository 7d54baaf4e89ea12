#include "app/commands.hpp"
#include "app/config_arguments.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "core/run_config.hpp"
#include "core/text.hpp"
#include "emulator/training/trainer.hpp"
#include "emulator/training/unused_keys.hpp"
#include "experiments/solver_stream.hpp"

#include <algorithm>
#include <memory>
#include <optional>

namespace sns {
namespace {

struct TrainArguments {
  ConfigArguments config;
  std::vector<std::string> models;
  std::string resume = "auto";
  std::filesystem::path dataset;
};

std::string command_line(const TrainArguments& arguments) {
  std::string text = arguments.config.command("train");
  for (const auto& name : arguments.models) text += " --model " + name;
  if (!arguments.dataset.empty()) text += " --dataset " + shell_word(arguments.dataset.string());
  return text;
}

void report(const ModelSpec& spec, const TrainResult& result) {
  fmt::print("{}: {} steps, {} parameters, {:.0f} s", spec.name, result.steps, result.parameters,
             result.wall_seconds);
  if (result.images_per_second > 0) fmt::print(", {:.0f} images/s", result.images_per_second);
  fmt::print(", in {}\n", result.folder.string());
  for (const auto& [name, value] : result.validation) fmt::print("  {} {:.6g}\n", name, value);
}

bool is_streamed(const ModelSpec& spec) {
  return spec.training.data == "stream";
}

void run_train(const TrainArguments& arguments) {
  const Config config = arguments.config.load();
  const RunConfig run = read_run(config);
  const auto specs = read_models(config);
  for (const auto& [name, keys] : model_keys_without_effect(config)) log::warn("models.{}: {}", name, keys);
  std::vector<ModelSpec> chosen;
  for (const auto& name : arguments.models) chosen.push_back(find_model(specs, name));
  if (chosen.empty()) chosen = specs;
  bool retrain = false;
  config.root().maybe("retrain", retrain);
  for (const ModelSpec& spec : chosen)
    if (spec.weights && !retrain)
      log::warn(
          "models.{0}.weights names finished weights: rollouts take those, not what is trained here, unless "
          "models.{0}.weights=null (or retrain=true) is given to every command",
          spec.name);
  const auto streams = std::count_if(chosen.begin(), chosen.end(), is_streamed);
  if (!arguments.dataset.empty() && streams == std::ssize(chosen))
    fail<ConfigError>("--dataset {}: training.data is stream, which needs no data set",
                      arguments.dataset.string());
  std::optional<SolverSource> solver;
  DatagenPlan plan;
  if (streams > 0) {
    solver.emplace(config, run);
    plan = read_datagen_plan(config.root().child("datagen"), run.name, run.seed);
  }

  const auto dataset = arguments.dataset.empty() ? run.output / "dataset" : arguments.dataset;
  for (const auto& spec : chosen) {
    const auto folder = run.output / "models" / spec.name;
    // The record of an experiment's stage is not of weights that are trained anew here.
    const TrainOptions options{
        arguments.resume == "auto", command_line(arguments), config.resolved_yaml(), {folder / "stage.json"}};
    report(spec, is_streamed(spec) ? train_model(spec, solver_stream(*solver, plan, spec.training.stream),
                                                 folder, run, options)
                                   : train_model(spec, dataset, folder, run, options));
  }
}

}  // namespace

void add_train(CLI::App& app) {
  auto* verb = app.add_subcommand("train", "train the models of a configuration");
  const auto arguments = std::make_shared<TrainArguments>();
  arguments->config.add_to(*verb);
  verb->add_option("--model", arguments->models, "train this model only (may be given several times)")
      ->type_name("NAME")
      ->expected(1)
      ->take_all()
      ->allow_extra_args(false);  // what follows may be an override
  verb->add_option("--resume", arguments->resume, "auto: continue from the last checkpoint; never: start anew")
      ->check(CLI::IsMember({"auto", "never"}))
      ->capture_default_str();
  verb->add_option("--dataset", arguments->dataset, "data set folder (default: dataset/ in the run's folder)")
      ->type_name("DIR");
  add_time_budget(*verb);
  verb->footer(
      "Examples:\n"
      "  sns train yaml/kolmogorov/quickstart.yaml\n"
      "  sns train yaml/kolmogorov/quickstart.yaml --model gaussian models.gaussian.weights=null "
      "models.gaussian.training.steps=2000\n"
      "Results: <run.output>/models/<name>/. Rollouts take them unless models.<name>.weights names finished "
      "ones: give "
      "models.<name>.weights=null\n"
      "(or retrain=true) to every command then. A stopped or killed run continues where it was; results are "
      "the "
      "same.");
  verb->callback([arguments] { run_train(*arguments); });
}

}  // namespace sns
