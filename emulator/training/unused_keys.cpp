#include "emulator/training/unused_keys.hpp"

#include "emulator/models/model_config.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <optional>

namespace sns {
namespace {

using Names = std::vector<std::string>;

bool holds(const Names& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// Keys of a block of a model that only models of some kinds have.
struct KindKeys {
  Names block;  ///< names from the model down
  Names keys;
  Names kinds;
};

/// As model_config.cpp and config.cpp read them.
const std::vector<KindKeys>& keys_of_kinds() {
  static const std::vector<KindKeys> all = {
      {{"network"}, {"embedding"}, {"sns", "acdm"}},
      {{"network"}, {"head_features"}, {"sns", "thermalizer"}},
      {{"network"}, {"predicts"}, {"acdm"}},
      {{"network"}, {"whitened"}, {"sns", "thermalizer", "acdm"}},
      {{"network", "lag"}, {"window", "embedding"}, {"sns"}},
      {{"diffusion"}, {"levels", "schedule", "prediction", "noise_range"}, {"sns", "thermalizer", "acdm"}},
      {{"training"}, {"cross_entropy_weight"}, {"sns", "thermalizer"}},
      {{"training", "rollout"},
       {"max_length", "steps_per_length", "noise", "rms_penalty", "rms_limit", "whitening"},
       {"gaussian"}},
      {{"training", "levels"}, {"sampling", "max_level", "log_fraction"}, {"sns", "thermalizer", "acdm"}},
      {{"training", "levels"}, {"past"}, {"sns"}}};
  return all;
}

/// The block of that name below a model, if the file has it.
std::optional<Section> find_block(Section section, const Names& block) {
  for (const std::string& name : block) {
    if (!holds(section.keys(), name)) return std::nullopt;
    section = section.child(name);
  }
  return section;
}

/// "network.lag." of {network, lag}.
std::string prefix(const Names& block) {
  std::string text;
  for (const std::string& name : block) text += name + ".";
  return text;
}

/// Sets aside what a model of this kind does not have; returns the keys.
Names set_aside(const Section& model, const std::string& kind) {
  Names found;
  for (const KindKeys& some : keys_of_kinds()) {
    if (holds(some.kinds, kind)) continue;
    std::optional<Section> block = find_block(model, some.block);
    if (!block) continue;
    for (const std::string& key : block->keys())
      if (holds(some.keys, key) && block->set_aside(key)) found.push_back(prefix(some.block) + key);
  }
  return found;
}

}  // namespace

std::vector<std::pair<std::string, std::string>> model_keys_without_effect(const Config& config) {
  std::vector<std::pair<std::string, std::string>> unused;
  Section models = config.root().child("models");
  for (const std::string& name : models.keys()) {
    Section model = models.child(name);
    std::string kind;
    model.need("kind", kind);
    const Names keys = set_aside(model, kind);
    if (!keys.empty())
      unused.emplace_back(name, fmt::format("{} (no effect on a model of kind {})",
                                            fmt::to_string(fmt::join(keys, ", ")), kind));
  }
  return unused;
}

}  // namespace sns
