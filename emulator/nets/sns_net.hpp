#pragma once
// The self-refining network (ModernUnetDoubleRegressor_plus of the reference code). It gets no noise level:
// two heads on the bottleneck predict the levels of the past and the present frame, and the softmax
// probabilities, through a small MLP each, steer the decoder.
#include "emulator/nets/noise_head.hpp"
#include "emulator/nets/unet.hpp"

namespace sns {

struct SnsLogits {
  torch::Tensor past, present;  ///< [B, levels]
};
struct SnsOutput {
  torch::Tensor noise;  ///< [B, 2C, n, n]: past frame's channels first
  SnsLogits logits;
};

class SnsNetImpl : public torch::nn::Module {
 public:
  explicit SnsNetImpl(const SnsNetConfig& config);

  /// x [B, 3C, n, n] = (long, past, present). lags [B] int64: steps from the long frame to the present one; for
  /// networks with a lag embedding, undefined for the others (Error otherwise).
  Encoded encode(const torch::Tensor& x, const torch::Tensor& lags = {});
  SnsLogits heads(const Encoded& encoded);
  /// Noise estimate [B, 2C, n, n] from an encoding and its logits (gradients flow through the softmax).
  torch::Tensor decode(const Encoded& encoded, const SnsLogits& logits);

  /// One encoder pass and both heads; the decoder is not run.
  SnsLogits classify(const torch::Tensor& x, const torch::Tensor& lags = {});
  SnsOutput forward(const torch::Tensor& x, const torch::Tensor& lags = {});

 private:
  UNetBody body_;
  std::shared_ptr<blocks::Linear> mlp_[2][2];   // [past, present][first, second layer]
  std::shared_ptr<blocks::Linear> lag_mlp_[2];  // null without a lag embedding
  int lag_width_;
  NoiseHead head_past_, head_present_;
};
using SnsNet = std::shared_ptr<SnsNetImpl>;

}  // namespace sns
