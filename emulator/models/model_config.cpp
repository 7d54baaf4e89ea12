#include "emulator/models/model_config.hpp"

#include "core/error.hpp"
#include "core/files.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>

namespace sns {
namespace {

/// Beyond these a number is a slip of the pen; the product of two of them fits into 32 bits.
constexpr int kWidest = 1 << 15, kWidestEmbedding = 1 << 20;
constexpr double kLeastNoise = 1e-6;      ///< whose square still shows beside 1
constexpr int kFewestLinear = 10;         ///< Schedule::linear wants more levels
constexpr int kReferenceEmbedding = 512;  ///< ACDM's, of the reference implementation

std::string multipliers_rule(const std::vector<int>& multipliers) {
  double product = 1;
  for (const int m : multipliers) {
    if (m < 1) return "must hold positive factors, one per resolution level";
    product *= m;
  }
  if (product > kWidest) return fmt::format("multiply the channels by {:g}; by {} at most", product, kWidest);
  return multipliers.empty() || multipliers.size() > 8 ? "must hold 1 to 8 factors" : "";
}

std::string whitening_rule(const std::vector<double>& deviations) {
  const bool positive = std::all_of(deviations.begin(), deviations.end(), [](double d) { return d > 0; });
  return positive && !deviations.empty() ? "" : "must hold positive numbers, one by field and shell";
}

void read_acdm(Section& section, NetworkConfig& network) {
  section.maybe("embedding", network.embedding, [](const int& width) {
    return width >= 4 && width <= kWidestEmbedding && width % 2 == 0
               ? ""
               : "must be even, at least 4 and at most 1048576, or null for 512";
  });
  section.maybe("predicts", network.predicts, one_of({"both", "present"}));
}

void read(Section section, NetworkConfig& network, const std::string& kind) {
  section.maybe("hidden", network.hidden, between(1, kWidest));
  section.maybe("multipliers", network.multipliers, Rule<std::vector<int>>(multipliers_rule));
  section.maybe("blocks", network.blocks, between(1, 1000));
  section.maybe("forcing_wavenumber", network.forcing_wavenumber, [](const int& periods) {
    return periods >= 1 ? "" : "must be at least 1, or null for a network that does not see the force";
  });
  if (has_levels(kind)) section.maybe("whitened", network.whitened);
  if (kind == "acdm") read_acdm(section, network);
  if (has_heads(kind)) section.maybe("head_features", network.head_features, between(1, 1 << 20));
  if (kind == "sns") {
    section.maybe("embedding", network.embedding);
    if (network.embedding && (*network.embedding < 1 || *network.embedding > kWidestEmbedding))
      section.reject("embedding",
                     fmt::format("must be 1 to {}, or null for diffusion.levels", kWidestEmbedding));
    if (auto lag = section.maybe_child("lag")) {
      network.lag.emplace();
      lag->maybe("window", network.lag->window, between(2, 100000));
      lag->maybe("embedding", network.lag->embedding, [](const int& width) {
        return width >= 4 && width <= kWidestEmbedding && width % 2 == 0
                   ? ""
                   : "must be even, at least 4 and at most 1048576";
      });
    }
  }
  Section attention = section.child("attention");
  attention.maybe("middle", network.attention_middle);
  attention.maybe("levels", network.attention_levels);
  const int levels = static_cast<int>(network.multipliers.size());
  for (const int level : network.attention_levels)
    if (level < 0 || level >= levels)
      attention.reject("levels", fmt::format("holds {}; allowed are 0 (finest) to {}", level, levels - 1));
  attention.maybe("softmax", network.attention_softmax, one_of({"keys", "queries"}));
}

void read(Section section, DiffusionConfig& diffusion) {
  section.maybe("levels", diffusion.levels, between(2, 100000));
  section.maybe("schedule", diffusion.schedule, one_of({"cosine", "linear", "geometric"}));
  if (diffusion.schedule == "geometric") {
    std::vector<double> range{diffusion.noise_range.lowest, diffusion.noise_range.highest};
    section.maybe("noise_range", range, [](const std::vector<double>& given) {
      const bool rises = given.size() == 2 && kLeastNoise <= given[0] && given[0] < given[1] && given[1] < 1;
      return rises
                 ? ""
                 : "must be [lowest, highest], standard deviations of noise with 1e-6 <= lowest < highest < 1";
    });
    diffusion.noise_range = {range[0], range[1]};
  }
  if (diffusion.schedule == "linear" && diffusion.levels <= kFewestLinear)
    section.reject("levels",
                   fmt::format("{}: the linear schedule needs more than {}, its last beta being {}/levels",
                               diffusion.levels, kFewestLinear, kFewestLinear));
  section.maybe("prediction", diffusion.prediction, one_of({"eps", "scaled_eps", "v"}));
}

template <class T>
std::string list(const std::vector<T>& values) {
  std::string text;
  for (const T v : values) text += fmt::format("{}{:.17g}", text.empty() ? "" : ", ", static_cast<double>(v));
  return "[" + text + "]";
}

/// As few digits as give the number back, with a point, without which "1e-05" is a text to PyYAML.
std::vector<std::string> shortest(const std::vector<double>& values) {
  std::vector<std::string> texts;
  for (const double value : values) {
    std::string text = fmt::format("{}", value);
    if (const auto e = text.find('e'); e != std::string::npos && text.find('.') == std::string::npos)
      text.insert(e, ".0");
    texts.push_back(std::move(text));
  }
  return texts;
}

/// One number for all channels, or a list with one for each.
void read_field_std(Section& section, std::vector<double>& field_std) {
  if (section.holds_list("field_std")) {
    section.maybe("field_std", field_std);
  } else {
    std::optional<double> value;
    section.maybe("field_std", value);
    if (value) field_std = {*value};
  }
  for (const double value : field_std)
    if (!(value > 0)) section.reject("field_std", fmt::format("{} must be positive", value));
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

std::string levels_text(const DiffusionConfig& diffusion) {
  std::string text = fmt::format("levels: {}, schedule: {}", diffusion.levels, diffusion.schedule);
  if (diffusion.schedule == "geometric")
    text += fmt::format(", noise_range: [{:.17g}, {:.17g}]", diffusion.noise_range.lowest,
                        diffusion.noise_range.highest);
  return text;
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
  unet.forcing_wavenumber = config.network.forcing_wavenumber;
  unet.whitened = config.network.whitened;
  unet.whitening = config.whitening;
  return unet;
}

}  // namespace

ModelConfig read_model(Section& section) {
  ModelConfig config;
  section.need("kind", config.kind, one_of({"gaussian", "sns", "thermalizer", "acdm"}));
  if (config.kind == "acdm") {
    config.diffusion.levels = 200;
    config.diffusion.schedule = "linear";
  }
  read(section.child("network"), config.network, config.kind);
  if (has_levels(config.kind)) read(section.child("diffusion"), config.diffusion);
  read_field_std(section, config.field_std);
  return config;
}

std::string to_yaml(const ModelConfig& config) {
  const NetworkConfig& n = config.network;
  std::string text = fmt::format("kind: {}\nnetwork:\n  hidden: {}\n  multipliers: {}\n  blocks: {}\n",
                                 config.kind, n.hidden, list(n.multipliers), n.blocks);
  if (config.kind == "sns" || config.kind == "acdm")
    text += "  embedding: " + (n.embedding ? std::to_string(*n.embedding) : "null") + "\n";
  // Named only where it differs: this text identifies a model, and older ones know no such key.
  if (n.head_features != NetworkConfig{}.head_features)
    text += fmt::format("  head_features: {}\n", n.head_features);
  if (n.forcing_wavenumber) text += fmt::format("  forcing_wavenumber: {}\n", *n.forcing_wavenumber);
  if (n.whitened) text += "  whitened: true\n";
  if (config.kind == "acdm") text += "  predicts: " + n.predicts + "\n";
  if (n.lag) text += fmt::format("  lag: {{window: {}, embedding: {}}}\n", n.lag->window, n.lag->embedding);
  // The axis of the softmax says nothing where there is no attention.
  const bool attends = n.attention_middle || !n.attention_levels.empty();
  text += fmt::format("  attention: {{middle: {}, levels: {}{}}}\n", n.attention_middle,
                      list(n.attention_levels), attends ? ", softmax: " + n.attention_softmax : "");
  if (has_levels(config.kind))
    text += fmt::format("diffusion: {{{}, prediction: {}}}\n", levels_text(config.diffusion),
                        config.diffusion.prediction);
  text += "field_std: ";
  if (config.field_std.size() == 1)
    text += fmt::format("{:.17g}\n", config.field_std.front());
  else
    text += config.field_std.empty() ? "null\n" : list(config.field_std) + "\n";
  text += fmt::format("field_channels: {}\nimage: {}\nframe_interval: {:.17g}\ndata_hash: {}\n",
                      config.field_channels, config.image, config.frame_interval, quoted(config.data_hash));
  if (!config.whitening.empty())
    text += fmt::format("whitening: [{}]\n", fmt::join(shortest(config.whitening), ", "));
  if (config.trained_past != ModelConfig{}.trained_past)
    text += fmt::format("trained_past: {}\n", config.trained_past);
  if (config.trained_max_level) text += fmt::format("trained_max_level: {}\n", *config.trained_max_level);
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
  if (config.network.whitened)
    root.need("whitening", config.whitening, Rule<std::vector<double>>(whitening_rule));
  if (config.kind == "sns")
    root.maybe("trained_past", config.trained_past, one_of({"noised", "clean", "mixed"}));
  if (has_levels(config.kind))
    root.maybe("trained_max_level", config.trained_max_level, between(0, config.diffusion.levels - 1));
  yaml.finish();
  field_std_per_channel(config);
  return config;
}

ModelConfig resolved(ModelConfig config) {
  NetworkConfig& network = config.network;
  if (config.kind == "sns") network.embedding = network.embedding.value_or(config.diffusion.levels);
  if (config.kind == "acdm") network.embedding = network.embedding.value_or(kReferenceEmbedding);
  std::vector<int>& levels = network.attention_levels;
  std::sort(levels.begin(), levels.end());
  levels.erase(std::unique(levels.begin(), levels.end()), levels.end());
  return config;
}

std::vector<double> field_std_per_channel(const ModelConfig& config) {
  const auto channels = static_cast<std::size_t>(config.field_channels);
  if (config.field_std.size() == 1) return std::vector<double>(channels, config.field_std.front());
  if (!config.field_std.empty() && config.field_std.size() != channels)
    fail<ConfigError>("field_std has {} values for {} fields; give one for all or one for each",
                      config.field_std.size(), channels);
  return config.field_std;
}

void require_same_force(const NetworkConfig& network, std::optional<double> periods, const std::string& what) {
  if (!network.forcing_wavenumber || network.forcing_wavenumber == periods) return;
  fail<ConfigError>("{}: network.forcing_wavenumber is {}, but {}", what, *network.forcing_wavenumber,
                    periods ? fmt::format("the flow's force has {} periods", *periods)
                            : "this flow has no steady force of known place");
}

bool has_levels(const std::string& kind) {
  return kind != "gaussian";
}

bool has_heads(const std::string& kind) {
  return kind == "sns" || kind == "thermalizer";
}

UNetConfig gaussian_network(const ModelConfig& config) {
  return backbone(config, 1, 1);
}

ThermalizerNetConfig thermalizer_network(const ModelConfig& config) {
  return {backbone(config, 1, 1), config.diffusion.levels, config.network.head_features};
}

AcdmNetConfig acdm_network(const ModelConfig& config) {
  return {backbone(config, 2, config.network.predicts == "both" ? 2 : 1),
          config.network.embedding.value_or(kReferenceEmbedding)};
}

SnsNetConfig sns_network(const ModelConfig& config) {
  const auto& lag = config.network.lag;
  return {backbone(config, 3, 2), config.diffusion.levels, config.network.head_features,
          config.network.embedding, lag ? std::optional<int>(lag->embedding) : std::nullopt};
}

Weights parse_weights(const std::string& name) {
  if (name == "raw") return Weights::raw;
  if (name == "ema") return Weights::ema;
  fail<ConfigError>("weights is '{}'; allowed are raw, ema", name);
}

const char* file_name(Weights weights) {
  return weights == Weights::raw ? "model.safetensors" : "ema.safetensors";
}

void require_as_listed(const std::filesystem::path& folder, const std::string& file, std::string hash) {
  const std::map<std::string, std::string> listed = read_sums(folder);
  const auto line = listed.find(file);
  if (line == listed.end()) return;
  if (hash.empty()) hash = sha256_file(folder / file);
  require(line->second == hash, "{} does not have the SHA-256 that {} lists: fetch it again",
          (folder / file).string(), (folder / "SHA256SUMS").string());
}

}  // namespace sns
