#pragma once
// The autoregressive conditional diffusion model's network as in the SNS paper's code: the backbone, with the
// diffusion level embedded into every residual block.
#include "emulator/nets/unet.hpp"

namespace sns {
namespace blocks {
class Linear;
}

class AcdmNetImpl : public torch::nn::Module {
 public:
  explicit AcdmNetImpl(const AcdmNetConfig& config);
  /// x [B, 2C, n, n], levels [B] int64 -> noise estimate [B, channels_out, n, n]
  torch::Tensor forward(const torch::Tensor& x, const torch::Tensor& levels);

 private:
  UNetBody body_;
  int width_;
  std::shared_ptr<blocks::Linear> mlp_[2];
};
using AcdmNet = std::shared_ptr<AcdmNetImpl>;

}  // namespace sns
