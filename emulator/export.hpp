#pragma once
// Weights for other programs: one safetensors file that says what it holds.
#include "emulator/models/model_config.hpp"

namespace sns {

struct ExportOptions {
  std::filesystem::path weights;  ///< weights folder
  Weights which = Weights::ema;
  std::filesystem::path output;  ///< .safetensors file
  bool overwrite = false;        ///< replace a file that is there
};

struct ExportSummary {
  std::string kind;             ///< of the model
  std::int64_t parameters = 0;  ///< numbers in the file
};

/// Writes the network's parameters (float32, the reference implementation's names) with the metadata `format` =
/// pt, `sns_config` (config.yaml as JSON, defaults resolved), `sns_weights` (raw | ema) and `sns_software`.
/// python/sns_networks.py loads it. Error: folder or weights missing, damaged or of another architecture.
/// ConfigError: the output exists and overwrite is not set.
ExportSummary export_model(const ExportOptions& options);

}  // namespace sns
