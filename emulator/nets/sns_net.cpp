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

std::vector<Embedding> lag_embeddings(const SnsNetConfig& config) {
  if (!config.lag_embedding) return {};
  return {{"third", *config.lag_embedding}};
}

}  // namespace

SnsNetImpl::SnsNetImpl(const SnsNetConfig& config)
    : torch::nn::Module("SnsNet"),
      body_(checked(config).unet, {{"first", width(config)}, {"second", width(config)}},
            lag_embeddings(config)),
      lag_width_(config.lag_embedding.value_or(0)) {
  register_module("image_proj", body_.image_proj);
  const char* const frame[] = {"first", "second"};
  for (int k = 0; k < 2; ++k) {
    const std::string name = std::string(frame[k]) + "_mlp";
    mlp_[k][0] = register_module(name + "1", std::make_shared<blocks::Linear>(config.levels, width(config)));
    mlp_[k][1] = register_module(name + "2", std::make_shared<blocks::Linear>(width(config), width(config)));
  }
  if (config.lag_embedding) {
    const char* const layer[] = {"third_mlp1", "third_mlp2"};
    for (int k = 0; k < 2; ++k)
      lag_mlp_[k] = register_module(layer[k], std::make_shared<blocks::Linear>(lag_width_, lag_width_));
  }
  register_module("down", body_.down);
  register_module("middle", body_.middle);
  register_module("up", body_.up);
  register_module("final", body_.final);
  const int channels = bottleneck_channels(config.unet), points = bottleneck_points(config.unet);
  const auto head = [&](const char* name) {
    return register_module(
        name, std::make_shared<NoiseHeadImpl>(channels, points, config.levels, config.head_features));
  };
  head_past_ = head("regressor_block_1");
  head_present_ = head("regressor_block_2");
}

Encoded SnsNetImpl::encode(const torch::Tensor& x, const torch::Tensor& lags) {
  require(lags.defined() == (lag_width_ > 0), "the network has {} lag embedding, the long frame {} lag",
          lag_width_ > 0 ? "a" : "no", lags.defined() ? "a" : "no");
  if (lag_width_ == 0) return body_.encode(x);
  const torch::Tensor embedding = blocks::sinusoidal_embedding(lags, lag_width_).to(body_.precision());
  return body_.encode(x, {blocks::two_layers(lag_mlp_, embedding)});
}

SnsLogits SnsNetImpl::heads(const Encoded& encoded) {
  return {head_past_->forward(encoded.bottleneck), head_present_->forward(encoded.bottleneck)};
}

torch::Tensor SnsNetImpl::decode(const Encoded& encoded, const SnsLogits& logits) {
  return body_.decode(encoded, {blocks::two_layers(mlp_[0], at::softmax(logits.past, 1)),
                                blocks::two_layers(mlp_[1], at::softmax(logits.present, 1))});
}

SnsLogits SnsNetImpl::classify(const torch::Tensor& x, const torch::Tensor& lags) {
  return heads(encode(x, lags));
}

SnsOutput SnsNetImpl::forward(const torch::Tensor& x, const torch::Tensor& lags) {
  const Encoded encoded = encode(x, lags);
  const SnsLogits logits = heads(encoded);
  return {decode(encoded, logits), logits};
}

}  // namespace sns
