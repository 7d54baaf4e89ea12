#pragma once
#include "emulator/models/model.hpp"
#include "emulator/nets/unet.hpp"

namespace sns {

struct GaussianLoss {
  torch::Tensor total;         ///< error (mse unless whitened) + weight * penalty; carries the graph
  torch::Tensor mse, penalty;  ///< detached scalars, sums over the steps
  torch::Tensor error;         ///< detached: what total has of the predictions' errors
  torch::Tensor one_step;      ///< the first step's part of mse
};

/// Hinge on the size of predicted states, which keeps a rollout from growing: per step,
/// weight * mean_b relu(rms_b - limit)^2, rms_b over channels and space of y_a + Psi(y_a). The reference code
/// uses weight 1 and limit 1 for two-layer flow.
struct RmsPenalty {
  double weight = 0;
  double limit = 1;
};

struct GaussianLossOptions {
  RmsPenalty penalty;
  double whitening = 0;  ///< exponent of whitened_error; 0: the mean square, as in the paper
};

/// Point-wise ("Gaussian") emulator: the network predicts the normalised residual x_{t+1} - x_t.
class GaussianEmulator : public Model {
 public:
  /// Weights from `seed`; without one they are anything, until they are loaded.
  GaussianEmulator(const ModelConfig& config, std::optional<std::uint64_t> seed, torch::Device device);
  torch::nn::Module& network() override { return *net_; }

  /// Psi(x): [B, C, n, n] -> [B, C, n, n], for training
  torch::Tensor residual(const torch::Tensor& x) { return net_->forward(x); }
  /// x + Psi(x); no gradients.
  torch::Tensor step(const torch::Tensor& x);

  /// Curriculum loss over a rollout of `length` steps: y_0 = x_0, y_a = y_{a-1} + Psi(y_{a-1}) + noise_{a-1};
  /// sum over a of mean((Psi(y_a) - (x_{a+1} - x_a))^2). The target is the residual of the data; gradients
  /// flow through the whole rollout. With whitening the modes of each mean are weighted (whitened_error.hpp);
  /// the penalty adds its hinge at every step.
  /// window [B, >= length+1, C, n, n]; noise [B, length-1, C, n, n], already scaled, or undefined for none.
  GaussianLoss loss(const torch::Tensor& window, int length, const torch::Tensor& noise = {},
                    const GaussianLossOptions& options = {});

 private:
  UNet net_;
};

}  // namespace sns
