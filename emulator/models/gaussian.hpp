#pragma once
#include "emulator/models/model.hpp"
#include "emulator/nets/unet.hpp"

namespace sns {

/// Point-wise ("Gaussian") emulator: the network predicts the normalised residual x_{t+1} - x_t.
class GaussianEmulator : public Model {
 public:
  GaussianEmulator(const ModelConfig& config, std::uint64_t seed, torch::Device device);
  torch::nn::Module& network() override { return *net_; }

  /// Psi(x): [B, C, n, n] -> [B, C, n, n]
  torch::Tensor residual(const torch::Tensor& x) { return net_->forward(x); }
  /// x + Psi(x); no gradients.
  torch::Tensor step(const torch::Tensor& x);

  /// Curriculum loss over a rollout of `length` steps: y_0 = x_0, y_a = y_{a-1} + Psi(y_{a-1}) + noise_{a-1};
  /// sum over a of mean((Psi(y_a) - (x_{a+1} - x_a))^2). The target is the residual of the data; gradients
  /// flow through the whole rollout.
  /// window [B, >= length+1, C, n, n]; noise [B, length-1, C, n, n], already scaled, or undefined for none.
  torch::Tensor loss(const torch::Tensor& window, int length, const torch::Tensor& noise = {});

 private:
  UNet net_;
};

}  // namespace sns
