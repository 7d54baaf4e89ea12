#include "emulator/export.hpp"

#include "core/build_info.hpp"
#include "core/error.hpp"
#include "core/files.hpp"
#include "core/yaml_json.hpp"
#include "emulator/models/model.hpp"
#include "emulator/safetensors.hpp"

namespace sns {

ExportSummary export_model(const ExportOptions& options) {
  const OutputFolder folder(options.output);
  if (std::filesystem::exists(options.output) && !options.overwrite)
    fail<ConfigError>("{} exists; give --overwrite to replace it", options.output.string());
  const auto model = load_model(options.weights, options.which, torch::kCPU);
  const ModelConfig config = resolved(load_model_config(options.weights / "config.yaml"));
  ExportSummary summary{model->config().kind, 0};
  NamedTensors tensors;
  for (const auto& item : model->network().named_parameters()) {
    tensors.emplace_back(item.key(), item.value().detach());
    summary.parameters += item.value().numel();
  }
  const BuildInfo& build = build_info();
  save_safetensors(options.output, tensors,
                   {{"format", "pt"},
                    {"sns_config", yaml_to_json(to_yaml(config))},
                    {"sns_weights", options.which == Weights::ema ? "ema" : "raw"},
                    {"sns_software", fmt::format("sns {} ({})", build.version, build.git_commit)}});
  return summary;
}

}  // namespace sns
