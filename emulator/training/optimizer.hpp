#pragma once
// AdamW over one flat tensor. A small network has a hundred parameter tensors, and an optimiser that visits
// each spends a tenth of a training step in call overhead; here parameters and gradients are views of one
// buffer each, so that zeroing, clipping and updating take a call or two.
#include <torch/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace torch::nn {
class Module;
}

namespace sns {

/// Moves a module's parameters into one contiguous float32 buffer and keeps their gradients in another. The
/// module works as before; its parameters must not be moved to another device afterwards.
/// Each parameter starts at a multiple of 64 bytes; the gaps stay zero. Parameters that require no gradient
/// come last.
class FlatParameters {
 public:
  struct Slice {
    std::string name;
    std::int64_t offset;
    std::vector<std::int64_t> sizes;
  };

  explicit FlatParameters(torch::nn::Module& module);

  const torch::Tensor& values() const { return values_; }
  /// The first part of a buffer of this layout: what is trained.
  torch::Tensor trained(const torch::Tensor& flat) const { return flat.narrow(0, 0, trained_); }
  const torch::Tensor& gradients() const { return gradients_; }
  const std::vector<Slice>& slices() const { return slices_; }
  /// Number of parameters, gaps not counted.
  std::int64_t count() const { return count_; }
  void zero_gradients();
  /// The part of a buffer of this layout that belongs to a parameter.
  static torch::Tensor view(const torch::Tensor& flat, const Slice& slice);

 private:
  torch::Tensor values_, gradients_;
  std::vector<Slice> slices_;
  std::int64_t count_ = 0, trained_ = 0;
};

/// AdamW (Loshchilov and Hutter 2019) with PyTorch's defaults betas (0.9, 0.999) and eps 1e-8.
class AdamW {
 public:
  AdamW(const FlatParameters& parameters, double weight_decay);

  /// Clips the gradient (by norm, then by value) and returns its global norm before clipping.
  double clip(std::optional<double> norm, std::optional<double> value);
  /// One update of the parameters.
  void step(double learning_rate);

  // State, in the layout of FlatParameters.
  torch::Tensor first_moment, second_moment;
  torch::Tensor steps;  ///< float32 scalar, updates done (PyTorch's convention)

 private:
  const FlatParameters& parameters_;
  double weight_decay_;
};

}  // namespace sns
