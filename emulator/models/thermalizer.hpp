#pragma once
#include "emulator/models/diffusion_model.hpp"
#include "emulator/nets/thermalizer_net.hpp"

namespace sns {

struct ThermalizerLoss {
  torch::Tensor total;    ///< mse + weight * ce; carries the graph
  torch::Tensor mse, ce;  ///< detached scalars
};

/// A frame that looks noisier than the method is taken to know its way back from.
struct GivenUp {
  std::int64_t row;
  std::string why;
};

struct Thermalized {
  std::vector<Levels> predicted;  ///< (-1, level) of every frame
  std::vector<GivenUp> given_up;  ///< left as they were
  Refined refined;
};

/// Diffusion model of single frames, which classifies how noisy a frame looks and denoises it from that level
/// (Chris-Pedersen/thermalizer). Frames are [B, C, n, n].
class Thermalizer : public DiffusionModel {
 public:
  /// Weights from `seed`; without one they are anything, until they are loaded.
  Thermalizer(const ModelConfig& config, std::optional<std::uint64_t> seed, torch::Device device);
  torch::nn::Module& network() override { return *net_; }
  ThermalizerNetImpl& net() { return *net_; }

  /// mean (eps_hat - eps)^2 + weight * cross-entropy of the level. clean [B, C, n, n]; levels [B] int64; noise
  /// [B, C, n, n] standard normal.
  ThermalizerLoss loss(const torch::Tensor& clean, const torch::Tensor& levels, const torch::Tensor& noise,
                       double cross_entropy_weight);
  /// Most probable level of every frame, as the present one; past is -1. No gradients.
  std::vector<Levels> levels(const torch::Tensor& x);
  /// Noise estimate of frames that stand at the given levels [B] (not used by prediction = eps).
  torch::Tensor noise_estimate(const torch::Tensor& x, const torch::Tensor& levels);
  /// Both in one pass, as in the loss: the noise as eps, and the logits of the levels.
  ThermalizerOutput estimate(const torch::Tensor& x, const torch::Tensor& levels);
  /// Frames above options.threshold are noised to their level and denoised down to options.stop_level + 1.
  Refined refine(const torch::Tensor& x, const std::vector<Levels>& predicted, const RefineOptions& options,
                 NoiseSource& noise);
  /// One classification, then refine() of all frames but those given up: those above noise_limit or, where one
  /// is and the rule is the reference's, the whole batch. ConfigError unless noise_limit lies above
  /// options.threshold.
  Thermalized thermalize(const torch::Tensor& x, const RefineOptions& options, int noise_limit,
                         NoiseSource& noise);

 private:
  /// The network's output for the noise.
  torch::Tensor denoised(const torch::Tensor& x) const;

  ThermalizerNet net_;
};

}  // namespace sns
