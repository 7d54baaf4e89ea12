#pragma once
// Building blocks of the networks, with the reference code's parameter names. Not part of the public interface.
#include "emulator/nets/embedding.hpp"

#include <torch/nn/module.h>
#include <torch/types.h>

#include <memory>
#include <vector>

namespace sns::blocks {

/// 3x3 convolution with periodic boundaries (stride 1 or 2; at stride 2 the first output is centred on pixel
/// (0, 0)).
class PeriodicConvolution : public torch::nn::Module {
 public:
  PeriodicConvolution(int channels_in, int channels_out, int stride = 1);
  /// format: order of memory of the result on the CPU; x's by default.
  torch::Tensor forward(const torch::Tensor& x, at::MemoryFormat format = at::MemoryFormat::Preserve) const;
  torch::ScalarType precision() const { return weight_.scalar_type(); }

 private:
  torch::Tensor weight_, bias_;
  int stride_;
};

/// 1x1 convolution.
class PointConvolution : public torch::nn::Module {
 public:
  PointConvolution(int channels_in, int channels_out);
  torch::Tensor forward(const torch::Tensor& x) const;

 private:
  torch::Tensor weight_, bias_;
};

class Linear : public torch::nn::Module {
 public:
  Linear(int features_in, int features_out);
  torch::Tensor forward(const torch::Tensor& x) const;

 private:
  torch::Tensor weight_, bias_;
};

/// gelu(layer_2(gelu(layer_1 x))): the small networks that embeddings go through.
torch::Tensor two_layers(const std::shared_ptr<Linear> (&layers)[2], const torch::Tensor& x);

/// Sinusoidal embedding of whole numbers: [B] int64 -> [B, width], sin(v f_k) for k = 0..width/2-1, then
/// cos(v f_k), f_k = 10000^(-k / (width/2 - 1)).
torch::Tensor sinusoidal_embedding(const torch::Tensor& values, int width);

/// Pre-activation residual block. Without embeddings: conv2(gelu(conv1(gelu(x)))) + shortcut(x). Each embedding
/// e_k adds D_k e_k, followed by a gelu, after both convolutions (so that two gelus meet before conv2).
class ResidualBlock : public torch::nn::Module {
 public:
  ResidualBlock(int channels_in, int channels_out, const std::vector<Embedding>& embeddings = {});
  torch::Tensor forward(const torch::Tensor& x, const std::vector<torch::Tensor>& embeddings = {}) const;

 private:
  std::shared_ptr<PeriodicConvolution> conv1_, conv2_;
  std::shared_ptr<PointConvolution> shortcut_;  // null: identity
  std::vector<std::shared_ptr<Linear>> dense1_, dense2_;
};

/// Single-head self-attention over all points, residual. The softmax runs over the keys (each point takes a
/// weighted mean of values), or, as in the reference code, over the queries (each value is shared out). The
/// reference's group normalisation owns parameters that its forward pass never uses; they are kept.
class Attention : public torch::nn::Module {
 public:
  Attention(int channels, bool softmax_over_keys);
  /// [B, c, h, w] -> same
  torch::Tensor forward(const torch::Tensor& x) const;

 private:
  class UnusedNorm;
  std::shared_ptr<UnusedNorm> norm_;
  std::shared_ptr<Linear> projection_, output_;
  bool softmax_over_keys_;
};

/// Residual block, then attention where switched on; children `res` and `attn`.
class Stage : public torch::nn::Module {
 public:
  Stage(int channels_in, int channels_out, bool attention, bool softmax_over_keys,
        const std::vector<Embedding>& embeddings = {});
  torch::Tensor forward(const torch::Tensor& x, const std::vector<torch::Tensor>& embeddings = {}) const;

 private:
  std::shared_ptr<ResidualBlock> res_;
  std::shared_ptr<Attention> attn_;
};

/// Halves the image; child `conv`.
class Downsample : public torch::nn::Module {
 public:
  explicit Downsample(int channels);
  torch::Tensor forward(const torch::Tensor& x) const;

 private:
  std::shared_ptr<PeriodicConvolution> conv_;
};

/// Doubles the image by a 4x4 transposed convolution with zero padding (as the reference: PyTorch has no
/// periodic one); child `conv`.
class Upsample : public torch::nn::Module {
 public:
  explicit Upsample(int channels);
  torch::Tensor forward(const torch::Tensor& x) const;

 private:
  class Transposed;
  std::shared_ptr<Transposed> conv_;
};

/// Residual block, optional attention, residual block; children `res1`, `attn`, `res2`.
class Middle : public torch::nn::Module {
 public:
  Middle(int channels, bool attention, bool softmax_over_keys, const std::vector<Embedding>& embeddings = {});
  torch::Tensor forward(const torch::Tensor& x, const std::vector<torch::Tensor>& embeddings = {}) const;

 private:
  std::shared_ptr<ResidualBlock> res1_, res2_;
  std::shared_ptr<Attention> attn_;
};

}  // namespace sns::blocks
