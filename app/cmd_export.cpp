#include "app/commands.hpp"
#include "core/error.hpp"
#include "emulator/export.hpp"

#include <memory>

namespace sns {
namespace {

struct ExportArguments {
  ExportOptions options;
  std::string use = "ema";
};

void run_export(ExportArguments arguments) {
  ExportOptions& options = arguments.options;
  options.which = parse_weights(arguments.use);
  if (options.output.empty())
    options.output = std::filesystem::weakly_canonical(options.weights).filename().string() + ".safetensors";
  const ExportSummary summary = export_model(options);
  fmt::print("{}: {} parameters ({} weights) written to {}\n", summary.kind, summary.parameters, arguments.use,
             options.output.string());
}

}  // namespace

void add_export(CLI::App& app) {
  auto* verb = app.add_subcommand("export", "write a model's weights as one file for PyTorch");
  const auto arguments = std::make_shared<ExportArguments>();
  verb->add_option("--weights", arguments->options.weights,
                   "folder with config.yaml and ema.safetensors or model.safetensors")
      ->required()
      ->type_name("DIR");
  verb->add_option("-o,--output", arguments->options.output,
                   "file to write (default: <folder's name>.safetensors)")
      ->type_name("OUT.safetensors");
  verb->add_flag("--overwrite", arguments->options.overwrite, "replace OUT.safetensors");
  verb->add_option("--use", arguments->use, "which weights")
      ->check(CLI::IsMember({"raw", "ema"}))
      ->capture_default_str();
  verb->footer(
      "Example:\n"
      "  sns export --weights runs/q/models/sns -o sns.safetensors\n"
      "  python3 -c 'import sns_networks; net, config = sns_networks.load(\"sns.safetensors\")'    # in "
      "python/\n"
      "The file's metadata hold the configuration. The way back, and checkpoints of the reference "
      "implementation:\n"
      "  scripts/convert_checkpoint.py sns.safetensors -o folder");
  verb->callback([arguments] { run_export(*arguments); });
}

}  // namespace sns
