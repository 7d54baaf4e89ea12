#include "emulator/models/model_config.hpp"

#include "core/error.hpp"

#include <algorithm>

namespace sns {
namespace {

std::string multipliers_rule(const std::vector<int>& multipliers) {
  for (const int m : multipliers)
    if (m < 1) return "must hold positive factors, one per resolution level";
  return multipliers.empty() || multipliers.size() > 8 ? "must hold 1 to 8 factors" : "";
}

void read(Section section, NetworkConfig& network, bool sns) {
  section.maybe("hidden", network.hidden, positive);
  section.maybe("multipliers", network.multipliers, Rule<std::vector<int>>(multipliers_rule));
  section.maybe("blocks", network.blocks, positive);
  if (sns) {
    section.maybe("embedding", network.embedding);
    if (network.embedding && *network.embedding < 1)
      section.reject("embedding", "must be positive, or null for diffusion.levels");
  }
  Section attention = section.child("attention");
  attention.maybe("middle", network.attention_middle);
  attention.maybe("levels", network.attention_levels);
  const int levels = static_cast<int>(network.multipliers.size());
  for (const int level : network.attention_levels)
    if (level < 0 || level >= levels)
      attention.reject("levels", fmt::format("holds {}; allowed are 0 (finest) to {}", level, levels - 1));
  attention.maybe("softmax", network.attention_softmax, one_of({"queries", "keys"}));
}

void read(Section section, DiffusionConfig& diffusion) {
  section.maybe("levels", diffusion.levels, between(2, 100000));
  section.maybe("schedule", diffusion.schedule, one_of({"cosine", "linear"}));
  section.maybe("prediction", diffusion.prediction, one_of({"eps", "scaled_eps"}));
}

std::string list(const std::vector<int>& values) {
  std::string text;
  for (const int v : values) text += (text.empty() ? "" : ", ") + std::to_string(v);
  return "[" + text + "]";
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

UNetConfig backbone(const ModelConfig& config, int frames_in, int frames_out) {
  UNetConfig unet;
  unet.channels_in = frames_in * config.field_channels;
  unet.channels_out = frames_out * config.field_channels;
  unet.hidden = config.network.hidden;
  unet.multipliers = config.network.multipliers;
  unet.blocks = config.network.blocks;
  unet.image = config.image;
  unet.attention_middle = config.network.attention_middle;
  unet.attention_levels.resize(config.network.multipliers.size());
  for (const int level : config.network.attention_levels)
    unet.attention_levels.at(static_cast<std::size_t>(level)) = true;
  unet.softmax_over_keys = config.network.attention_softmax == "keys";
  return unet;
}

}  // namespace

ModelConfig read_model(Section& section) {
  ModelConfig config;
  section.need("kind", config.kind, one_of({"gaussian", "sns"}));
  const bool sns = config.kind == "sns";
  read(section.child("network"), config.network, sns);
  if (sns) read(section.child("diffusion"), config.diffusion);
  section.maybe("field_std", config.field_std);
  if (config.field_std && !(*config.field_std > 0)) section.reject("field_std", "must be positive");
  return config;
}

std::string to_yaml(const ModelConfig& config) {
  const NetworkConfig& n = config.network;
  std::string text = fmt::format("kind: {}\nnetwork:\n  hidden: {}\n  multipliers: {}\n  blocks: {}\n",
                                 config.kind, n.hidden, list(n.multipliers), n.blocks);
  if (config.kind == "sns")
    text += "  embedding: " + (n.embedding ? std::to_string(*n.embedding) : "null") + "\n";
  text += fmt::format("  attention: {{middle: {}, levels: {}, softmax: {}}}\n", n.attention_middle,
                      list(n.attention_levels), n.attention_softmax);
  if (config.kind == "sns")
    text += fmt::format("diffusion: {{levels: {}, schedule: {}, prediction: {}}}\n", config.diffusion.levels,
                        config.diffusion.schedule, config.diffusion.prediction);
  text += config.field_std ? fmt::format("field_std: {:.17g}\n", *config.field_std) : "field_std: null\n";
  text += fmt::format("field_channels: {}\nimage: {}\nframe_interval: {:.17g}\ndata_hash: {}\n",
                      config.field_channels, config.image, config.frame_interval, quoted(config.data_hash));
  return text;
}

ModelConfig load_model_config(const std::filesystem::path& file) {
  const Config yaml = Config::load(file);
  Section root = yaml.root();
  ModelConfig config = read_model(root);
  root.need("field_channels", config.field_channels, positive);
  root.need("image", config.image, positive);
  root.maybe("frame_interval", config.frame_interval, non_negative);
  root.maybe("data_hash", config.data_hash);
  yaml.finish();
  return config;
}

UNetConfig gaussian_network(const ModelConfig& config) {
  return backbone(config, 1, 1);
}

SnsNetConfig sns_network(const ModelConfig& config) {
  return {backbone(config, 3, 2), config.diffusion.levels, config.network.embedding};
}

}  // namespace sns
