#include "app/commands.hpp"
#include "app/config_arguments.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "core/run_config.hpp"
#include "datagen/generate.hpp"

#include <memory>

namespace sns {
namespace {

struct DatagenArguments {
  ConfigArguments config;
  std::filesystem::path output;
  std::string shard;
  GenerateOptions options;
};

void run_datagen(const DatagenArguments& arguments) {
  const Config config = arguments.config.load();
  const RunConfig run = read_run(config);
  const SolverSource source(config, run);
  const DatagenPlan plan = read_datagen_plan(config.root().child("datagen"), run.name, run.seed);
  GenerateOptions options = arguments.options;
  options.threads = run.threads;
  options.shard = arguments.shard.empty() ? shard_from_environment() : parse_shard(arguments.shard);
  if (options.shard.count > 1) {
    log::info("shard {} of {} (from {})", options.shard.index, options.shard.count, options.shard.source);
  }
  const auto folder = arguments.output.empty() ? run.output / "dataset" : arguments.output;
  const GenerateReport report = generate_dataset(plan, source, folder, options);
  if (report.failed > 0) log::warn("{} trajectories failed and are left out", report.failed);
  if (!report.complete) {
    log::info("{} files are left to other shards; the data set is complete when all of them have run",
              report.elsewhere);
  }
  fmt::print("{}: {} files written, {} already there{}\n", folder.string(), report.written, report.kept,
             report.complete ? ", complete" : fmt::format(", {} missing", report.elsewhere));
}

}  // namespace

void add_datagen(CLI::App& app) {
  CLI::App* verb =
      app.add_subcommand("datagen", "make a data set: train, valid and test trajectories of a solver");
  auto arguments = std::make_shared<DatagenArguments>();
  arguments->config.add_to(*verb);
  verb->add_option("-o,--output", arguments->output, "data set folder (default: dataset in run.output)")
      ->type_name("DIR");
  verb->add_option(
          "--shard", arguments->shard,
          "make every COUNT-th file only, INDEX = 0 .. COUNT-1 (default: from SLURM, Open MPI or torchrun)")
      ->check(not_empty())
      ->type_name("INDEX/COUNT");
  verb->add_flag("--overwrite", arguments->options.overwrite,
                 "replace a data set of another configuration, which stays until the new one is finished");
  verb->add_option("--checkpoint-seconds", arguments->options.checkpoint_seconds, "between checkpoints")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  add_time_budget(*verb);
  verb->footer(
      "Files that are there are kept, so the same command goes on after an interruption; the data are the "
      "same\n"
      "bytes for any number of threads, shards and interruptions (on a GPU, where the last bits of a step may\n"
      "depend on them, the same flow). 'sns verify DIR' checks the result. With\n"
      "datagen.spinup_cache=DIR spun-up states are kept there (null: nowhere), and later data sets start from "
      "them.\n"
      "Examples:\n"
      "  sns datagen yaml/kolmogorov/quickstart.yaml\n"
      "  sns datagen yaml/kolmogorov/quickstart.yaml -o data/flow datagen.trajectories=200 run.threads=16\n"
      "  sns datagen yaml/kolmogorov/quickstart.yaml --shard 0/4      (and 1/4, 2/4, 3/4 elsewhere)\n"
      "  sbatch --array=0-15 --wrap 'sns datagen yaml/kolmogorov/quickstart.yaml'");
  verb->callback([arguments] { run_datagen(*arguments); });
}

}  // namespace sns
