#pragma once
// The backbone shared by all networks: a periodic U-Net of residual blocks (ModernUnet of the reference code),
// exact-erf GELU before every convolution, no normalisation. Parameter names and their order are the
// reference's, so state dicts are interchangeable.
#include "emulator/nets/configs.hpp"
#include "emulator/nets/embedding.hpp"

#include <torch/nn/module.h>
#include <torch/types.h>

#include <memory>
#include <string>
#include <vector>

namespace sns {

/// While it lives, networks on GPUs keep the channels of a pixel together (NHWC), or do not. On the CPU the
/// order depends on the network alone.
class ChannelsLast {
 public:
  explicit ChannelsLast(bool chosen);
  ~ChannelsLast();
  ChannelsLast(const ChannelsLast&) = delete;
  ChannelsLast& operator=(const ChannelsLast&) = delete;
  static bool chosen();

 private:
  bool before_;
};

/// What the way down leaves for the way up.
struct Encoded {
  torch::Tensor bottleneck;               ///< [B, c, m, m], output of the middle blocks
  std::vector<torch::Tensor> skips;       ///< one per block on the way down, the first convolution included
  std::vector<torch::Tensor> embeddings;  ///< that entered the way down
};

/// The backbone's parts. The network that owns a body registers the parts itself, in the order its state
/// dict needs.
class UNetBody {
 public:
  /// `everywhere` enter every residual block, `decoder` those on the way up only, where they come first.
  explicit UNetBody(const UNetConfig& config, const std::vector<Embedding>& decoder = {},
                    const std::vector<Embedding>& everywhere = {});

  /// x [B, channels_in, n, n], to which the whitened channels and the force's are added where the network
  /// has them; one [B, width]
  /// per embedding of `everywhere` -> bottleneck and skips. Throws Error on another shape.
  Encoded encode(const torch::Tensor& x, const std::vector<torch::Tensor>& everywhere = {}) const;
  /// -> [B, channels_out, n, n]; one [B, width] per embedding of `decoder`.
  torch::Tensor decode(const Encoded& encoded, std::vector<torch::Tensor> decoder = {}) const;
  /// Of the weights, and of what enters the first convolution.
  torch::ScalarType precision() const;

  std::shared_ptr<torch::nn::Module> image_proj, down, middle, up, final;

 private:
  UNetConfig config_;
  // [1, 1, n, n], a buffer of image_proj, which moves with it; undefined: the network has no such channel.
  torch::Tensor forcing_;
  torch::Tensor whitening_;  // [channels_in, n, n/2 + 1], likewise
};

/// The plain network: residual of a Gaussian point-wise emulator (45,820,801 parameters by default).
class UNetImpl : public torch::nn::Module {
 public:
  explicit UNetImpl(const UNetConfig& config);
  /// [B, channels_in, n, n] -> [B, channels_out, n, n]
  torch::Tensor forward(const torch::Tensor& x);

 private:
  UNetBody body_;
};
using UNet = std::shared_ptr<UNetImpl>;

}  // namespace sns
