#pragma once
#include "emulator/models/diffusion_model.hpp"
#include "emulator/nets/acdm_net.hpp"

namespace sns {

struct AcdmLoss {
  torch::Tensor total;  ///< carries the graph
  torch::Tensor mse;    ///< detached scalar
};

/// Autoregressive conditional diffusion model: the next frame is generated from noise, conditioned on the past
/// frame, which is noised to the level of each step. Inputs are (past, present) [B, 2C, n, n].
class Acdm : public DiffusionModel {
 public:
  /// Weights from `seed`; without one they are anything, until they are loaded.
  Acdm(const ModelConfig& config, std::optional<std::uint64_t> seed, torch::Device device);
  torch::nn::Module& network() override { return *net_; }
  AcdmNetImpl& net() { return *net_; }

  /// Mean square error of the noise estimate, of both frames or of the present one (network.predicts).
  /// clean and noise [B, 2C, n, n]; levels [B] int64, the same for both frames.
  AcdmLoss loss(const torch::Tensor& clean, const torch::Tensor& levels, const torch::Tensor& noise);
  /// eps of the frames that the network predicts, [B, 2C or C, n, n]; x stands at levels [B].
  torch::Tensor noise_estimate(const torch::Tensor& x, const torch::Tensor& levels);
  /// The frame after `past` [B, C, n, n], for every row; one evaluation per level. No gradients.
  Sampled next(const torch::Tensor& past, const AcdmOptions& options, NoiseSource& noise);
  /// Whether the network estimates the noise of both frames.
  bool predicts_both() const { return config_.network.predicts == "both"; }

 private:
  /// levels [B] -> [B, F] of the frames that the network predicts.
  torch::Tensor estimated(const torch::Tensor& levels) const {
    return levels.unsqueeze(1).expand({-1, predicts_both() ? 2 : 1});
  }

  AcdmNet net_;
};

}  // namespace sns
