#include "emulator/nets/blocks.hpp"

#include "emulator/nets/periodic.hpp"

#include <ATen/Functions.h>

#include <cmath>
#include <string>

namespace sns::blocks {
namespace {

// Values come from initialise(); until then the memory is not set.
torch::Tensor unset(at::IntArrayRef shape) {
  return torch::empty(shape, torch::kFloat32);
}

torch::Tensor add_embedding(const torch::Tensor& h, const Linear& dense, const torch::Tensor& embedding) {
  const torch::Tensor shift = dense.forward(embedding);
  return at::gelu(h + shift.view({shift.size(0), shift.size(1), 1, 1}));
}

}  // namespace

PeriodicConvolution::PeriodicConvolution(int channels_in, int channels_out, int stride)
    : weight_(register_parameter("weight", unset({channels_out, channels_in, 3, 3}))),
      bias_(register_parameter("bias", unset({channels_out}))),
      stride_(stride) {}

torch::Tensor PeriodicConvolution::forward(const torch::Tensor& x, at::MemoryFormat format) const {
  return periodic_convolution(x, weight_, bias_, stride_, format);
}

PointConvolution::PointConvolution(int channels_in, int channels_out)
    : weight_(register_parameter("weight", unset({channels_out, channels_in, 1, 1}))),
      bias_(register_parameter("bias", unset({channels_out}))) {}

torch::Tensor PointConvolution::forward(const torch::Tensor& x) const {
  return at::conv2d(x, weight_, bias_);
}

Linear::Linear(int features_in, int features_out)
    : weight_(register_parameter("weight", unset({features_out, features_in}))),
      bias_(register_parameter("bias", unset({features_out}))) {}

torch::Tensor Linear::forward(const torch::Tensor& x) const {
  return at::linear(x, weight_, bias_);
}

torch::Tensor two_layers(const std::shared_ptr<Linear> (&layers)[2], const torch::Tensor& x) {
  return at::gelu(layers[1]->forward(at::gelu(layers[0]->forward(x))));
}

torch::Tensor sinusoidal_embedding(const torch::Tensor& values, int width) {
  const int half = width / 2;
  const auto options = torch::TensorOptions().dtype(torch::kFloat32).device(values.device());
  const torch::Tensor frequencies = at::exp(at::arange(half, options) * (-std::log(10000.0) / (half - 1)));
  const torch::Tensor angles = values.to(torch::kFloat32).unsqueeze(1) * frequencies;
  return at::cat({at::sin(angles), at::cos(angles)}, 1);
}

ResidualBlock::ResidualBlock(int channels_in, int channels_out, const std::vector<Embedding>& embeddings) {
  conv1_ = register_module("conv1", std::make_shared<PeriodicConvolution>(channels_in, channels_out));
  conv2_ = register_module("conv2", std::make_shared<PeriodicConvolution>(channels_out, channels_out));
  if (channels_in != channels_out)
    shortcut_ = register_module("shortcut", std::make_shared<PointConvolution>(channels_in, channels_out));
  for (const auto& [name, width] : embeddings) {
    dense1_.push_back(register_module(name + "_dense1", std::make_shared<Linear>(width, channels_out)));
    dense2_.push_back(register_module(name + "_dense2", std::make_shared<Linear>(width, channels_out)));
  }
}

torch::Tensor ResidualBlock::forward(const torch::Tensor& x,
                                     const std::vector<torch::Tensor>& embeddings) const {
  torch::Tensor h = conv1_->forward(at::gelu(x));
  for (std::size_t k = 0; k < dense1_.size(); ++k) h = add_embedding(h, *dense1_[k], embeddings[k]);
  h = conv2_->forward(at::gelu(h));
  for (std::size_t k = 0; k < dense2_.size(); ++k) h = add_embedding(h, *dense2_[k], embeddings[k]);
  return h + (shortcut_ ? shortcut_->forward(x) : x);
}

class Attention::UnusedNorm : public torch::nn::Module {
 public:
  explicit UnusedNorm(int channels) {
    // No gradient ever reaches them: without one they are not decayed either, as PyTorch leaves them alone.
    register_parameter("weight", unset({channels}), /*requires_grad=*/false);
    register_parameter("bias", unset({channels}), /*requires_grad=*/false);
  }
};

Attention::Attention(int channels, bool softmax_over_keys) : softmax_over_keys_(softmax_over_keys) {
  norm_ = register_module("norm", std::make_shared<UnusedNorm>(channels));
  projection_ = register_module("projection", std::make_shared<Linear>(channels, 3 * channels));
  output_ = register_module("output", std::make_shared<Linear>(channels, channels));
}

torch::Tensor Attention::forward(const torch::Tensor& x) const {
  const auto channels = x.size(1);
  const torch::Tensor points = x.flatten(2).transpose(1, 2);  // [B, L, c]
  const auto qkv = projection_->forward(points).chunk(3, -1);
  const torch::Tensor scores =
      at::matmul(qkv[0], qkv[1].transpose(1, 2)) / std::sqrt(static_cast<double>(channels));  // [B, query, key]
  const torch::Tensor weights = at::softmax(scores, softmax_over_keys_ ? 2 : 1);
  const torch::Tensor y = output_->forward(at::matmul(weights, qkv[2])) + points;
  return y.transpose(1, 2).reshape(x.sizes());
}

Stage::Stage(int channels_in, int channels_out, bool attention, bool softmax_over_keys,
             const std::vector<Embedding>& embeddings) {
  res_ = register_module("res", std::make_shared<ResidualBlock>(channels_in, channels_out, embeddings));
  if (attention) attn_ = register_module("attn", std::make_shared<Attention>(channels_out, softmax_over_keys));
}

torch::Tensor Stage::forward(const torch::Tensor& x, const std::vector<torch::Tensor>& embeddings) const {
  const torch::Tensor y = res_->forward(x, embeddings);
  return attn_ ? attn_->forward(y) : y;
}

Downsample::Downsample(int channels)
    : conv_(register_module("conv", std::make_shared<PeriodicConvolution>(channels, channels, 2))) {}

torch::Tensor Downsample::forward(const torch::Tensor& x) const {
  return conv_->forward(x);
}

class Upsample::Transposed : public torch::nn::Module {
 public:
  explicit Transposed(int channels)
      : weight_(register_parameter("weight", unset({channels, channels, 4, 4}))),
        bias_(register_parameter("bias", unset({channels}))) {}
  torch::Tensor forward(const torch::Tensor& x) const {
    return at::conv_transpose2d(x, weight_, bias_, /*stride=*/2, /*padding=*/1);
  }

 private:
  torch::Tensor weight_, bias_;
};

Upsample::Upsample(int channels) : conv_(register_module("conv", std::make_shared<Transposed>(channels))) {}

torch::Tensor Upsample::forward(const torch::Tensor& x) const {
  return conv_->forward(x);
}

Middle::Middle(int channels, bool attention, bool softmax_over_keys, const std::vector<Embedding>& embeddings) {
  res1_ = register_module("res1", std::make_shared<ResidualBlock>(channels, channels, embeddings));
  if (attention) attn_ = register_module("attn", std::make_shared<Attention>(channels, softmax_over_keys));
  res2_ = register_module("res2", std::make_shared<ResidualBlock>(channels, channels, embeddings));
}

torch::Tensor Middle::forward(const torch::Tensor& x, const std::vector<torch::Tensor>& embeddings) const {
  torch::Tensor y = res1_->forward(x, embeddings);
  if (attn_) y = attn_->forward(y);
  return res2_->forward(y, embeddings);
}

}  // namespace sns::blocks
