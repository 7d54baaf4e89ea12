#include "emulator/nets/acdm_net.hpp"

#include "emulator/nets/blocks.hpp"

namespace sns {

AcdmNetImpl::AcdmNetImpl(const AcdmNetConfig& config)
    : torch::nn::Module("AcdmNet"),
      body_(config.unet, {}, {{"third", config.embedding}}),
      width_(config.embedding) {
  register_module("image_proj", body_.image_proj);
  const char* const layer[] = {"third_mlp1", "third_mlp2"};
  for (int k = 0; k < 2; ++k)
    mlp_[k] = register_module(layer[k], std::make_shared<blocks::Linear>(width_, width_));
  register_module("down", body_.down);
  register_module("middle", body_.middle);
  register_module("up", body_.up);
  register_module("final", body_.final);
}

torch::Tensor AcdmNetImpl::forward(const torch::Tensor& x, const torch::Tensor& levels) {
  const torch::Tensor embedding =
      blocks::two_layers(mlp_, blocks::sinusoidal_embedding(levels, width_).to(body_.precision()));
  return body_.decode(body_.encode(x, {embedding}));
}

}  // namespace sns
