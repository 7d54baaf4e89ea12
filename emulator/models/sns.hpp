#pragma once
#include "emulator/models/combined_estimate.hpp"
#include "emulator/models/diffusion_model.hpp"
#include "emulator/nets/sns_net.hpp"

namespace sns {

struct SnsLoss {
  torch::Tensor total;                     ///< mse + weight * (ce_past + ce_present); carries the graph
  torch::Tensor mse, ce_past, ce_present;  ///< detached scalars; ce_past undefined where all pasts are clean
};

struct Generated {
  torch::Tensor x;                        ///< [B, 3C, n, n] = (long, past as the walk left it, new frame)
  std::vector<Levels> predicted;          ///< (s2, -1); empty for clean_past
  std::vector<std::int64_t> evaluations;  ///< denoiser evaluations of every sample
};

/// Self-refining neural surrogate: classifies the noise levels of the past and the present frame and denoises
/// both. Inputs are X = (long, past, present) [B, 3C, n, n], `long` being a clean frame of the same flow, or,
/// for a lagged model, the frame `lag` steps before the present one. Lags are given one for each row or one for
/// all, each 1..longest_lag(), and not at all for models without (Error if not). A model that was trained
/// beside clean past frames alone (config().trained_past) never saw a noised one: whatever noises the past,
/// every path but clean_past and the oracle's estimate, is a ConfigError.
class Sns : public DiffusionModel {
 public:
  /// Weights from `seed`; without one they are anything, until they are loaded.
  Sns(const ModelConfig& config, std::optional<std::uint64_t> seed, torch::Device device);
  torch::nn::Module& network() override { return *net_; }
  SnsNetImpl& net() { return *net_; }
  /// Largest lag of a lagged model, 0 for one without.
  int longest_lag() const { return config_.network.lag ? config_.network.lag->window - 1 : 0; }

  /// Training loss. clean [B, 3C, n, n] = (long, past, present), all clean; levels [B, 2] int64 (past,
  /// present); noise [B, 2C, n, n] standard normal, past frame's channels first. Everything on the model's
  /// device. lags [B] int64 for a lagged model, undefined otherwise. clean_pasts: levels of past frames may be
  /// Levels::kClean; such a frame is not noised, and neither its noise nor a level of it is learnt.
  SnsLoss loss(const torch::Tensor& clean, const torch::Tensor& levels, const torch::Tensor& noise,
               double cross_entropy_weight, const torch::Tensor& lags = {}, bool clean_pasts = false);

  /// Most probable levels of both frames; one encoder pass; no gradients.
  std::vector<Levels> levels(const torch::Tensor& x, const std::vector<int>& lags = {});
  /// Those that refine() is to be given: what the heads say of the frames that options.classify shows them, and
  /// kClean for past frames that options.path does not noise. A refinement begins with the numbers that `noise`
  /// gave here.
  std::vector<Levels> predicted_levels(const torch::Tensor& x, const RefineOptions& options, NoiseSource& noise,
                                       const std::vector<int>& lags = {});
  /// Noise estimate eps [B, 2C, n, n] of frames that stand at the given levels ([B, 2] int64; not used by
  /// prediction = eps). lags as for the loss.
  torch::Tensor noise_estimate(const torch::Tensor& x, const torch::Tensor& levels,
                               const torch::Tensor& lags = {});
  /// Both in one pass, as in the loss: the noise as eps, and the logits of the levels.
  SnsOutput estimate(const torch::Tensor& x, const torch::Tensor& levels, const torch::Tensor& lags = {});
  /// x with its frames noised from clean to the given levels (kClean: left as they are).
  torch::Tensor noised(const torch::Tensor& x, const Levels& levels, NoiseSource& noise) const;
  /// Tweedie's estimate [B, 2C, n, n] of the clean past and present of frames that stand at levels (s1, s2)
  /// [B, 2] int64: the oracle of the paper's Figure 3. No gradients.
  torch::Tensor clean_estimate(const torch::Tensor& x, const torch::Tensor& levels,
                               const std::vector<int>& lags = {});
  /// What Estimate::combined needs.
  void use_combination(std::shared_ptr<const CombinedEstimate> combination) {
    combination_ = std::move(combination);
  }
  /// prediction: what a surrogate makes of the past frames, without noise, [B, C, n, n]; for
  /// Estimate::combined.
  Refined refine(const torch::Tensor& x, const std::vector<Levels>& predicted, const RefineOptions& options,
                 NoiseSource& noise, const std::vector<int>& lags = {}, const torch::Tensor& prediction = {});
  /// The frame after `past`, from noise; long_frame and past [B, C, n, n]. No gradients.
  Generated generate(const torch::Tensor& long_frame, const torch::Tensor& past,
                     const GenerationOptions& options, NoiseSource& noise, const std::vector<int>& lags = {});

 private:
  /// ConfigError if the model was trained beside clean past frames only; `use` names what noises them.
  void require_noised_past(const std::string& use) const;
  void require_trained_for(const Path& path) const;
  /// One lag for each row of x; undefined for a model without.
  torch::Tensor rows_of(const torch::Tensor& x, const std::vector<int>& lags) const;
  /// Past and present of x.
  torch::Tensor frames(const torch::Tensor& x) const {
    return x.narrow(1, config_.field_channels, 2 * config_.field_channels);
  }
  /// The network's output for the noise of both frames.
  torch::Tensor denoised(const torch::Tensor& x, const torch::Tensor& lags) const;
  /// For a batch like x.
  Denoiser denoiser(const torch::Tensor& x, const std::vector<int>& lags) const;

  SnsNet net_;
  std::shared_ptr<const CombinedEstimate> combination_;
};

}  // namespace sns
