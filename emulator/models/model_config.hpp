#pragma once
// What a model is, apart from its weights: the `kind`, `network`, `diffusion` and `field_std` keys of
// `models.<name>` in a run's YAML, and what the data set adds. Saved beside the weights as config.yaml.
#include "core/config.hpp"
#include "emulator/nets/sns_net.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace sns {

struct NetworkConfig {
  int hidden = 64;
  std::vector<int> multipliers = {2, 2, 2};
  int blocks = 2;
  std::optional<int> embedding;       ///< SNS: width of the embedding MLPs; none = number of levels
  bool attention_middle = false;      ///< network.attention.middle
  std::vector<int> attention_levels;  ///< network.attention.levels: numbers of resolution levels, 0 = finest
  std::string attention_softmax = "queries";  ///< network.attention.softmax: queries (reference) | keys
};

struct DiffusionConfig {
  int levels = 1000;
  std::string schedule = "cosine";  ///< cosine | linear
  std::string prediction = "eps";   ///< eps | scaled_eps: the network's output is sigma_s * eps
};

struct ModelConfig {
  std::string kind;  ///< gaussian | sns
  NetworkConfig network;
  DiffusionConfig diffusion;  ///< kind sns only
  // Known once the data set is.
  int field_channels = 1;           ///< physical channels of one frame
  int image = 64;                   ///< points along one side
  std::optional<double> field_std;  ///< networks work on field / field_std; none in a run's YAML: from the data
  double frame_interval = 0;        ///< time between frames; 0 = unknown
  std::string data_hash;            ///< of the training set
};

/// Reads kind, network, diffusion and field_std of `models.<name>`; other keys (training, weights) are left to
/// their readers.
ModelConfig read_model(Section& section);
/// config.yaml of a weights folder: everything above.
std::string to_yaml(const ModelConfig& config);
ModelConfig load_model_config(const std::filesystem::path& file);

UNetConfig gaussian_network(const ModelConfig& config);
SnsNetConfig sns_network(const ModelConfig& config);

}  // namespace sns
