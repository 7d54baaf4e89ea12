#include "emulator/nets/sns_net.hpp"

#include "core/error.hpp"
#include "emulator/nets/blocks.hpp"

#include <ATen/Functions.h>

namespace sns {
namespace {

const SnsNetConfig& checked(const SnsNetConfig& config) {
  if (config.levels < 2) fail<ConfigError>("diffusion.levels is {}; at least 2 are needed", config.levels);
  if (config.embedding && *config.embedding < 1)
    fail<ConfigError>("network.embedding is {}; give a positive width, or null for one of diffusion.levels",
                      *config.embedding);
  return config;
}

int width(const SnsNetConfig& config) {
  return config.embedding.value_or(config.levels);
}

}  // namespace

SnsNetImpl::SnsNetImpl(const SnsNetConfig& config)
    : torch::nn::Module("SnsNet"), body_(checked(config).unet, 2, width(config)) {
  register_module("image_proj", body_.image_proj);
  const char* const frame[] = {"first", "second"};
  for (int k = 0; k < 2; ++k) {
    const std::string name = std::string(frame[k]) + "_mlp";
    mlp_[k][0] = register_module(name + "1", std::make_shared<blocks::Linear>(config.levels, width(config)));
    mlp_[k][1] = register_module(name + "2", std::make_shared<blocks::Linear>(width(config), width(config)));
  }
  register_module("down", body_.down);
  register_module("middle", body_.middle);
  register_module("up", body_.up);
  register_module("final", body_.final);
  const int channels = bottleneck_channels(config.unet), points = bottleneck_points(config.unet);
  head_past_ =
      register_module("regressor_block_1", std::make_shared<NoiseHeadImpl>(channels, points, config.levels));
  head_present_ =
      register_module("regressor_block_2", std::make_shared<NoiseHeadImpl>(channels, points, config.levels));
}

Encoded SnsNetImpl::encode(const torch::Tensor& x) {
  return body_.encode(x);
}

SnsLogits SnsNetImpl::heads(const Encoded& encoded) {
  return {head_past_->forward(encoded.bottleneck), head_present_->forward(encoded.bottleneck)};
}

torch::Tensor SnsNetImpl::decode(const Encoded& encoded, const SnsLogits& logits) {
  const auto embed = [](const std::shared_ptr<blocks::Linear>(&mlp)[2], const torch::Tensor& scores) {
    return at::gelu(mlp[1]->forward(at::gelu(mlp[0]->forward(at::softmax(scores, 1)))));
  };
  return body_.decode(encoded, {embed(mlp_[0], logits.past), embed(mlp_[1], logits.present)});
}

SnsLogits SnsNetImpl::classify(const torch::Tensor& x) {
  return heads(encode(x));
}

SnsOutput SnsNetImpl::forward(const torch::Tensor& x) {
  const Encoded encoded = encode(x);
  const SnsLogits logits = heads(encoded);
  return {decode(encoded, logits), logits};
}

}  // namespace sns
