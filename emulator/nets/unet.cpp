#include "emulator/nets/unet.hpp"

#include "core/error.hpp"
#include "emulator/nets/blocks.hpp"
#include "emulator/nets/whitened_frames.hpp"

#include <ATen/Functions.h>

#include <atomic>
#include <numbers>

namespace sns {
namespace {

using blocks::Downsample;
using blocks::PeriodicConvolution;
using blocks::Stage;
using blocks::Upsample;

/// Children "0", "1", ... of different kinds.
class Sequence : public torch::nn::Module {
 public:
  template <class Block>
  void add(std::shared_ptr<Block> block) {
    register_module(std::to_string(children().size()), std::move(block));
  }
};

/// Order of memory inside the network. On the CPU, with few channels, oneDNN's kernels lose more to reordering
/// NCHW arguments than with many to strided ones: measured in
/// docs/decisions/0018-memory-format-and-precision.md.
at::MemoryFormat memory_format(const UNetConfig& config, torch::Device device) {
  constexpr int kWide = 64;
  const bool last = device.is_cpu() ? config.hidden < kWide : ChannelsLast::chosen();
  return last ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous;
}

std::atomic<bool> channels_last{false};

bool attends(const UNetConfig& config, std::size_t level) {
  return level < config.attention_levels.size() && config.attention_levels[level];
}

/// Curl of the force sin(k y) along the first axis, y being the second, at unit root mean square: [1, 1, n, n].
torch::Tensor curl_of_force(int periods, int points) {
  const torch::Tensor phase = at::arange(points, torch::kFloat64) * (2 * std::numbers::pi * periods / points);
  return (at::cos(phase) * -std::numbers::sqrt2).to(torch::kFloat32).repeat({1, 1, points, 1});
}

std::string text(at::IntArrayRef shape) {
  std::string out;
  for (const auto n : shape) out += (out.empty() ? "" : ", ") + std::to_string(n);
  return "[" + out + "]";
}

}  // namespace

ChannelsLast::ChannelsLast(bool chosen) : before_(channels_last.exchange(chosen)) {}

ChannelsLast::~ChannelsLast() {
  channels_last = before_;
}

bool ChannelsLast::chosen() {
  return channels_last;
}

void check(const UNetConfig& config) {
  const auto need = [](bool condition, const std::string& what) {
    if (!condition) throw ConfigError("network: " + what);
  };
  need(config.channels_in > 0 && config.channels_out > 0, "numbers of channels must be positive");
  need(config.hidden > 0, fmt::format("hidden is {}; it must be positive", config.hidden));
  need(config.blocks > 0, fmt::format("blocks is {}; it must be at least 1", config.blocks));
  need(!config.multipliers.empty(), "multipliers is empty; give one per resolution level");
  for (const int m : config.multipliers)
    need(m > 0, fmt::format("multipliers holds {}; each must be positive", m));
  const int shrink = 1 << (config.multipliers.size() - 1);
  need(config.image > 0 && config.image % shrink == 0 && config.image / shrink >= 2,
       fmt::format("images of {0}x{0} points cannot be halved {1} times (multipliers has {2} levels)",
                   config.image, config.multipliers.size() - 1, config.multipliers.size()));
  need(config.attention_levels.size() <= config.multipliers.size(),
       fmt::format("attention names {} levels, the network has {}", config.attention_levels.size(),
                   config.multipliers.size()));
  if (const std::optional<int> periods = config.forcing_wavenumber)
    need(*periods > 0 && 2 * *periods < config.image,
         fmt::format("forcing_wavenumber is {}; images of {} points can show 1 to {} periods", *periods,
                     config.image, (config.image - 1) / 2));
}

int bottleneck_channels(const UNetConfig& config) {
  int channels = config.hidden;
  for (const int m : config.multipliers) channels *= m;
  return channels;
}

int bottleneck_points(const UNetConfig& config) {
  return config.image >> (config.multipliers.size() - 1);
}

UNetBody::UNetBody(const UNetConfig& config, const std::vector<Embedding>& decoder,
                   const std::vector<Embedding>& everywhere)
    : config_(config) {
  check(config);
  std::vector<Embedding> on_the_way_up = decoder;
  on_the_way_up.insert(on_the_way_up.end(), everywhere.begin(), everywhere.end());
  const bool keys = config.softmax_over_keys;
  const std::size_t levels = config.multipliers.size();
  const int channels_seen =
      config.channels_in * (config.whitened ? 2 : 1) + (config.forcing_wavenumber ? 1 : 0);
  image_proj = std::make_shared<PeriodicConvolution>(channels_seen, config.hidden);
  if (config.whitened)
    whitening_ = image_proj->register_buffer(
        "whitening", whitening_filter(config.whitening, config.channels_in, config.image));
  if (config.forcing_wavenumber)
    forcing_ = image_proj->register_buffer("forcing", curl_of_force(*config.forcing_wavenumber, config.image));

  auto way_down = std::make_shared<Sequence>();
  std::vector<int> skip = {config.hidden};  // channels of every skip connection
  int channels = config.hidden;
  for (std::size_t level = 0; level < levels; ++level) {
    const int wider = channels * config.multipliers[level];
    for (int b = 0; b < config.blocks; ++b) {
      way_down->add(std::make_shared<Stage>(channels, wider, attends(config, level), keys, everywhere));
      channels = wider;
      skip.push_back(channels);
    }
    if (level + 1 < levels) {
      way_down->add(std::make_shared<Downsample>(channels));
      skip.push_back(channels);
    }
  }
  down = way_down;
  middle = std::make_shared<blocks::Middle>(channels, config.attention_middle, keys, everywhere);

  auto way_up = std::make_shared<Sequence>();
  const auto add_up = [&](int out, std::size_t level) {
    way_up->add(
        std::make_shared<Stage>(channels + skip.back(), out, attends(config, level), keys, on_the_way_up));
    skip.pop_back();
    channels = out;
  };
  for (std::size_t level = levels; level-- > 0;) {
    for (int b = 0; b < config.blocks; ++b) add_up(channels, level);
    add_up(channels / config.multipliers[level], level);
    if (level > 0) way_up->add(std::make_shared<Upsample>(channels));
  }
  up = way_up;
  final = std::make_shared<PeriodicConvolution>(channels, config.channels_out);
}

torch::ScalarType UNetBody::precision() const {
  return image_proj->as<PeriodicConvolution>()->precision();
}

Encoded UNetBody::encode(const torch::Tensor& x, const std::vector<torch::Tensor>& everywhere) const {
  require(x.dim() == 4 && x.size(1) == config_.channels_in && x.size(2) == config_.image &&
              x.size(3) == config_.image,
          "the network takes input of shape [B, {0}, {1}, {1}], got {2}", config_.channels_in, config_.image,
          text(x.sizes()));
  Encoded encoded;
  encoded.embeddings = everywhere;
  std::vector<torch::Tensor> seen = {x};
  if (whitening_.defined()) seen.push_back(whitened(x, whitening_));
  if (forcing_.defined()) seen.push_back(forcing_.to(x.scalar_type()).expand({x.size(0), 1, -1, -1}));
  const torch::Tensor input = (seen.size() > 1 ? at::cat(seen, 1) : x).to(precision());
  torch::Tensor h = image_proj->as<PeriodicConvolution>()->forward(input, memory_format(config_, x.device()));
  encoded.skips.push_back(h);
  for (const auto& block : down->children()) {
    if (const auto* stage = block->as<Stage>())
      h = stage->forward(h, everywhere);
    else
      h = block->as<Downsample>()->forward(h);
    encoded.skips.push_back(h);
  }
  encoded.bottleneck = middle->as<blocks::Middle>()->forward(h, everywhere);
  return encoded;
}

torch::Tensor UNetBody::decode(const Encoded& encoded, std::vector<torch::Tensor> decoder) const {
  decoder.insert(decoder.end(), encoded.embeddings.begin(), encoded.embeddings.end());
  torch::Tensor h = encoded.bottleneck;
  auto skip = encoded.skips.rbegin();
  for (const auto& block : up->children()) {
    if (const auto* stage = block->as<Stage>())
      h = stage->forward(at::cat({h, *skip++}, 1), decoder);
    else
      h = block->as<Upsample>()->forward(h);
  }
  return final->as<PeriodicConvolution>()->forward(at::gelu(h)).contiguous();  // inside, channels may come last
}

UNetImpl::UNetImpl(const UNetConfig& config) : torch::nn::Module("UNet"), body_(config) {
  register_module("image_proj", body_.image_proj);
  register_module("down", body_.down);
  register_module("middle", body_.middle);
  register_module("up", body_.up);
  register_module("final", body_.final);
}

torch::Tensor UNetImpl::forward(const torch::Tensor& x) {
  return body_.decode(body_.encode(x));
}

}  // namespace sns
