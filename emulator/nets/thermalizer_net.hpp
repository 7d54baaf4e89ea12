#pragma once
// The thermalizer's network (ModernUnetRegressor of the reference code): the backbone, and a head on its
// bottleneck that predicts the noise level. It gets no level.
#include "emulator/nets/noise_head.hpp"
#include "emulator/nets/unet.hpp"

namespace sns {

struct ThermalizerOutput {
  torch::Tensor noise;   ///< [B, C, n, n]
  torch::Tensor logits;  ///< [B, levels]
};

class ThermalizerNetImpl : public torch::nn::Module {
 public:
  explicit ThermalizerNetImpl(const ThermalizerNetConfig& config);
  /// x [B, C, n, n]
  ThermalizerOutput forward(const torch::Tensor& x);
  /// Encoder and head only: [B, levels]
  torch::Tensor classify(const torch::Tensor& x);
  /// Backbone only: [B, C, n, n]
  torch::Tensor denoise(const torch::Tensor& x);

 private:
  UNetBody body_;
  NoiseHead head_;
};
using ThermalizerNet = std::shared_ptr<ThermalizerNetImpl>;

}  // namespace sns
