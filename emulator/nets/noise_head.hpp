#pragma once
#include <torch/nn/module.h>
#include <torch/types.h>

#include <memory>

namespace sns {
namespace blocks {
class PeriodicConvolution;
class PointConvolution;
class Linear;
}  // namespace blocks

/// Classifier of the noise level of one frame, on the bottleneck of the U-Net (regressor block of the
/// reference code): conv3x3(gelu x) -> conv1x1(gelu) -> flatten -> Linear -> gelu -> Linear.
class NoiseHeadImpl : public torch::nn::Module {
 public:
  /// channels, points: of the bottleneck; levels: number of classes; features: about how many numbers reach the
  /// linear layers, see channels_of().
  NoiseHeadImpl(int channels, int points, int levels, int features);
  /// [B, channels, points, points] -> logits [B, levels]
  torch::Tensor forward(const torch::Tensor& bottleneck);

  /// Channels of the 1x1 convolution, round(features / points^2) but at least 1 (16 for the reference's 4096
  /// features at its 16x16 bottleneck).
  static int channels_of(int features, int points);

 private:
  std::shared_ptr<blocks::PeriodicConvolution> conv1_;
  std::shared_ptr<blocks::PointConvolution> conv2_;
  std::shared_ptr<blocks::Linear> linear1_, linear2_;
};
using NoiseHead = std::shared_ptr<NoiseHeadImpl>;

}  // namespace sns
