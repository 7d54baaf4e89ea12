#include "app/commands.hpp"
#include "app/config_arguments.hpp"
#include "core/files.hpp"
#include "core/run_config.hpp"
#include "core/stop.hpp"
#include "emulator/training/config.hpp"
#include "experiments/benchmark.hpp"

#include <nlohmann/json.hpp>

#include <memory>
#include <optional>

namespace sns {
namespace {

struct BenchArguments {
  ConfigArguments config;
  BenchmarkOptions options;
  std::string only;
  std::filesystem::path json;
};

void run_bench(BenchArguments& arguments) {
  std::optional<OutputFolder> folder;
  if (!arguments.json.empty()) folder.emplace(arguments.json);
  const Config config = arguments.config.load();
  const RunConfig run = read_run(config);
  arguments.options.solver = arguments.only != "models";
  arguments.options.models = arguments.only != "solver";
  const EndAtOnce nothing_to_save;
  const BenchmarkResult result = run_benchmark(config, run, arguments.options);
  print_benchmark(result);
  if (!arguments.json.empty()) write_text(arguments.json, to_json(result).dump(1) + "\n");
}

}  // namespace

void add_bench(CLI::App& app) {
  auto* verb =
      app.add_subcommand("bench", "time a configuration's solver and networks against what the device can do");
  const auto arguments = std::make_shared<BenchArguments>();
  BenchmarkOptions& options = arguments->options;
  arguments->config.add_to(*verb);
  verb->add_option("--only", arguments->only, "solver or models")->check(CLI::IsMember({"solver", "models"}));
  verb->add_option("--model", options.names, "this model only (may be given several times)")
      ->type_name("NAME")
      ->expected(1)
      ->take_all()
      ->allow_extra_args(false);  // what follows may be an override
  verb->add_option("--precision", options.precisions,
                   "of networks (may be given several times; default: all that the device has units for)")
      ->check(CLI::IsMember(precision_names()))
      ->expected(1)
      ->take_all()
      ->allow_extra_args(false);
  verb->add_flag("--channels-last", options.channels_last,
                 "networks on a GPU with the channels of a pixel together, as training.channels_last");
  verb->add_option("--members", options.members, "of the solver (default: one per thread, 32 on a GPU)")
      ->check(at_least(1));
  verb->add_option("--seconds", options.seconds, "for each figure")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  verb->add_option("--json", arguments->json, "write the figures here, too")->type_name("FILE");
  verb->footer(
      "Shares are of rates that the same run measures on the same device: memory against a copy of a large "
      "array,\n"
      "networks against the product of large matrices in the same precision. Training steps are timed on a "
      "batch\n"
      "that lies on the device; networks have initial weights. run.device and run.threads choose the device.\n"
      "Examples:\n"
      "  sns bench yaml/kolmogorov/quickstart.yaml\n"
      "  sns bench yaml/kolmogorov/quickstart.yaml run.device=cuda --only solver solver.grid.points=512 "
      "solver.stepper.dt=0.002 --members 32\n"
      "  sns bench yaml/kolmogorov/quickstart.yaml --scale paper --model sns --precision bfloat16 --json "
      "sns.json");
  verb->callback([arguments] { run_bench(*arguments); });
}

}  // namespace sns
