#include "emulator/nets/noise_head.hpp"

#include "emulator/nets/blocks.hpp"

#include <ATen/Functions.h>

#include <algorithm>
#include <cmath>

namespace sns {

int NoiseHeadImpl::channels_of(int features, int points) {
  return std::max(1, static_cast<int>(std::lround(features / (static_cast<double>(points) * points))));
}

NoiseHeadImpl::NoiseHeadImpl(int channels, int points, int levels, int features) {
  const int f = channels_of(features, points);
  conv1_ = register_module("conv1", std::make_shared<blocks::PeriodicConvolution>(channels, channels));
  conv2_ = register_module("conv2", std::make_shared<blocks::PointConvolution>(channels, f));
  linear1_ = register_module("linear1", std::make_shared<blocks::Linear>(f * points * points, levels));
  linear2_ = register_module("linear2", std::make_shared<blocks::Linear>(levels, levels));
}

torch::Tensor NoiseHeadImpl::forward(const torch::Tensor& bottleneck) {
  torch::Tensor h = conv1_->forward(at::gelu(bottleneck));
  h = conv2_->forward(at::gelu(h)).flatten(1);
  return linear2_->forward(at::gelu(linear1_->forward(h)));
}

}  // namespace sns
