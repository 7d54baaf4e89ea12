#pragma once
// What a model is, apart from its weights: the `kind`, `network`, `diffusion` and `field_std` keys of
// `models.<name>` in a run's YAML, and what the data set adds. Saved beside the weights as config.yaml.
#include "core/config.hpp"
#include "emulator/diffusion/schedule.hpp"
#include "emulator/nets/configs.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace sns {

/// SNS conditioned on an earlier frame of the same trajectory rather than on any frame of the flow (the lagged
/// variant, arXiv 2603.17750 appendix B.4): the `long` frame lies L steps before the present one, and L enters
/// every residual block as a sinusoidal embedding.
struct LagConfig {
  int window = 100;     ///< frames; training draws L from 1..window-1, a rollout uses min(step, window-1)
  int embedding = 512;  ///< width, even
};

struct NetworkConfig {
  int hidden = 64;
  std::vector<int> multipliers = {2, 2, 2};
  int blocks = 2;
  /// SNS: width of the embedding MLPs; none = number of levels. ACDM: of the level's embedding; none = 512.
  std::optional<int> embedding;
  int head_features = 4096;       ///< SNS, thermalizer: about how many numbers a noise head keeps
  std::string predicts = "both";  ///< ACDM: both | present, the frames whose noise it estimates
  /// A further input channel shows the curl of the flow's steady force, which has this many periods along the
  /// second axis. Not in the paper, whose networks do not know where the force is; none: no such channel.
  std::optional<int> forcing_wavenumber;
  /// All kinds but gaussian: the network sees each frame whitened, too. Not in the paper.
  bool whitened = false;
  bool attention_middle = false;      ///< network.attention.middle
  std::vector<int> attention_levels;  ///< network.attention.levels: numbers of resolution levels, 0 = finest
  std::string attention_softmax = "keys";  ///< network.attention.softmax: keys (textbook) | queries (reference)
  std::optional<LagConfig> lag;            ///< SNS: network.lag {window, embedding}; none: no lag embedding
};

struct DiffusionConfig {
  int levels = 1000;
  std::string schedule = "cosine";  ///< cosine | linear | geometric
  NoiseRange noise_range;           ///< diffusion.noise_range: [lowest, highest]; of the geometric schedule
  std::string prediction =
      "eps";  ///< eps | scaled_eps: the network's output is sigma_s * eps; v: sqrt(abar_s) eps - sigma_s x_0
};

inline Schedule make_schedule(const DiffusionConfig& diffusion) {
  return Schedule::make(diffusion.schedule, diffusion.levels, diffusion.noise_range);
}

struct ModelConfig {
  std::string kind;  ///< gaussian | sns | thermalizer | acdm
  NetworkConfig network;
  DiffusionConfig diffusion;  ///< all kinds but gaussian
  // Known once the data set is.
  int field_channels = 1;  ///< physical channels of one frame
  int image = 64;          ///< points along one side
  /// Networks work on field / field_std: one number per channel, or one for all. Empty in a run's YAML: from
  /// the data.
  std::vector<double> field_std;
  /// Where the network is `whitened`: standard deviation of a mode, in network units, of clean frames with the
  /// noise of the lowest level; by field and shell (whitening_shells). Empty in a run's YAML: from the data.
  std::vector<double> whitening;
  double frame_interval = 0;  ///< time between frames; 0 = unknown
  std::string data_hash;      ///< of the training set
  /// SNS: past frames that it was trained beside, noised | clean | mixed (training.levels.past). Along which
  /// paths the weights may be used depends on it, so that it goes with them.
  std::string trained_past = "noised";
  /// All kinds but gaussian: the last level that it was trained on; none: all, or unknown.
  std::optional<int> trained_max_level;
};

/// Reads kind, network, diffusion and field_std of `models.<name>`; other keys (training, weights) are left to
/// their readers.
ModelConfig read_model(Section& section);
/// config.yaml of a weights folder: everything above.
std::string to_yaml(const ModelConfig& config);
ModelConfig load_model_config(const std::filesystem::path& file);

/// Which of a folder's weights: model.safetensors or ema.safetensors.
enum class Weights { raw, ema };
Weights parse_weights(const std::string& name);  ///< "raw" | "ema"
const char* file_name(Weights weights);

/// Error where the folder's SHA256SUMS lists another hash for this file of the folder than `hash`, the file's
/// own if none is given. Nothing where there is no SHA256SUMS, or no such line in it.
void require_as_listed(const std::filesystem::path& folder, const std::string& file, std::string hash = {});

/// The same model with every choice written out that a default makes from other keys: `embedding` as a number,
/// attention's levels in order. Two configurations are of the same network if these are equal.
ModelConfig resolved(ModelConfig config);

/// field_std as one number per channel; empty where it is not known. ConfigError if there are neither one nor
/// field_channels of them.
std::vector<double> field_std_per_channel(const ModelConfig& config);

/// ConfigError, which begins with `what`, where the network sees a force that frames of this flow do not have.
/// `periods`: of their steady force along the second axis, none if there is no such force.
void require_same_force(const NetworkConfig& network, std::optional<double> periods, const std::string& what);

/// Whether models of this kind have a noise schedule.
bool has_levels(const std::string& kind);
/// Whether models of this kind predict their level.
bool has_heads(const std::string& kind);

UNetConfig gaussian_network(const ModelConfig& config);
ThermalizerNetConfig thermalizer_network(const ModelConfig& config);
AcdmNetConfig acdm_network(const ModelConfig& config);
SnsNetConfig sns_network(const ModelConfig& config);

}  // namespace sns
