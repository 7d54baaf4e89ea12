#include "core/error.hpp"
#include "emulator/training/trainer.hpp"
#include "emulator/training/unused_keys.hpp"

#include <algorithm>

namespace sns {

std::vector<ModelSpec> read_models(const Config& config) {
  Section models = config.root().child("models");
  std::vector<ModelSpec> specs;
  for (const auto& name : models.names()) {
    Section section = models.child(name);
    ModelSpec spec;
    spec.name = name;
    spec.model = read_model(section);
    spec.training = reference_training(spec.model.kind);
    Section training = section.child("training");
    read(training, spec.training, spec.model.kind,
         has_levels(spec.model.kind) ? spec.model.diffusion.levels : 0);
    if (spec.model.network.whitened && spec.training.data == "stream")
      training.reject(
          "data",
          "stream has no frames to measure a spectrum on, which network.whitened needs: use a data set");
    std::optional<std::string> weights;
    section.maybe("weights", weights);
    if (weights) spec.weights = *weights;
    specs.push_back(std::move(spec));
  }
  if (specs.empty()) fail<ConfigError>("{}: 'models' names no model to train", config.file().string());
  model_keys_without_effect(config);  // what they are is for the caller to say; here they need to be known
  return specs;
}

const ModelSpec& find_model(const std::vector<ModelSpec>& models, const std::string& name) {
  const auto found =
      std::find_if(models.begin(), models.end(), [&](const ModelSpec& m) { return m.name == name; });
  if (found != models.end()) return *found;
  std::string names;
  for (const auto& model : models) names += (names.empty() ? "" : ", ") + model.name;
  fail<ConfigError>("there is no model '{}' (have: {})", name, names);
}

}  // namespace sns
