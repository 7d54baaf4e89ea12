#pragma once
// Configurations of the small networks in the recorded files.
#include "emulator/models/model_config.hpp"

namespace sns::test {

inline ModelConfig golden_gaussian_config() {
  ModelConfig config;
  config.kind = "gaussian";
  config.network.hidden = 8;
  config.field_std = {1.0};
  return config;
}

inline ModelConfig golden_sns_config() {
  ModelConfig config = golden_gaussian_config();
  config.kind = "sns";
  config.diffusion.levels = 64;
  return config;
}

/// Two fields and attention in the middle, softmax over the queries.
inline ModelConfig golden_sns_qg_config() {
  ModelConfig config = golden_sns_config();
  config.field_channels = 2;
  config.network.attention_middle = true;
  config.network.attention_softmax = "queries";
  return config;
}

inline ModelConfig golden_thermalizer_config() {
  ModelConfig config = golden_sns_config();
  config.kind = "thermalizer";
  return config;
}

inline ModelConfig golden_acdm_config() {
  ModelConfig config = golden_gaussian_config();
  config.kind = "acdm";
  config.network.embedding = 64;
  config.diffusion.levels = 20;
  config.diffusion.schedule = "linear";
  return config;
}

}  // namespace sns::test
