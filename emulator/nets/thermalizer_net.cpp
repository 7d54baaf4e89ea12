#include "emulator/nets/thermalizer_net.hpp"

namespace sns {

ThermalizerNetImpl::ThermalizerNetImpl(const ThermalizerNetConfig& config)
    : torch::nn::Module("ThermalizerNet"), body_(config.unet) {
  register_module("image_proj", body_.image_proj);
  register_module("down", body_.down);
  register_module("middle", body_.middle);
  register_module("up", body_.up);
  register_module("final", body_.final);
  head_ =
      register_module("regressor_block", std::make_shared<NoiseHeadImpl>(bottleneck_channels(config.unet),
                                                                         bottleneck_points(config.unet),
                                                                         config.levels, config.head_features));
}

ThermalizerOutput ThermalizerNetImpl::forward(const torch::Tensor& x) {
  const Encoded encoded = body_.encode(x);
  return {body_.decode(encoded), head_->forward(encoded.bottleneck)};
}

torch::Tensor ThermalizerNetImpl::classify(const torch::Tensor& x) {
  return head_->forward(body_.encode(x).bottleneck);
}

torch::Tensor ThermalizerNetImpl::denoise(const torch::Tensor& x) {
  return body_.decode(body_.encode(x));
}

}  // namespace sns
