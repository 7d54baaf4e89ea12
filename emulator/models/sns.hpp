#pragma once
#include "emulator/diffusion/refine.hpp"
#include "emulator/diffusion/schedule.hpp"
#include "emulator/models/model.hpp"
#include "emulator/nets/sns_net.hpp"

namespace sns {

struct SnsLoss {
  torch::Tensor total;                     ///< mse + weight * (ce_past + ce_present); carries the graph
  torch::Tensor mse, ce_past, ce_present;  ///< detached scalars
};

/// Self-refining neural surrogate: classifies the noise levels of the past and the present frame and denoises
/// both. Inputs are X = (long, past, present) [B, 3C, n, n], `long` being a clean frame of the same flow, or,
/// for a lagged model, the frame `lag` steps before the present one.
class Sns : public Model {
 public:
  Sns(const ModelConfig& config, std::uint64_t seed, torch::Device device);
  torch::nn::Module& network() override { return *net_; }
  SnsNetImpl& net() { return *net_; }
  const Schedule& schedule() const { return schedule_; }
  /// Largest lag of a lagged model, 0 for one without.
  int longest_lag() const { return config_.network.lag ? config_.network.lag->window - 1 : 0; }

  /// Training loss. clean [B, 3C, n, n] = (long, past, present), all clean; levels [B, 2] int64 (past,
  /// present); noise [B, 2C, n, n] standard normal, past frame's channels first. Everything on the model's
  /// device. lags [B] int64 for a lagged model, undefined otherwise.
  SnsLoss loss(const torch::Tensor& clean, const torch::Tensor& levels, const torch::Tensor& noise,
               double cross_entropy_weight, const torch::Tensor& lags = {});

  /// Most probable levels of both frames; one encoder pass; no gradients. lag: 1..longest_lag() for a lagged
  /// model, 0 otherwise (Error if not).
  std::vector<Levels> levels(const torch::Tensor& x, int lag = 0);
  /// Noise estimate eps [B, 2C, n, n] of frames that stand at the given levels ([B, 2] int64; used by
  /// prediction = scaled_eps only). lags as for the loss.
  torch::Tensor noise_estimate(const torch::Tensor& x, const torch::Tensor& levels,
                               const torch::Tensor& lags = {});
  Refined refine(const torch::Tensor& x, const std::vector<Levels>& predicted, const RefineOptions& options,
                 NoiseSource& noise, int lag = 0);

 private:
  /// The same lag for each row of x; undefined for a model without.
  torch::Tensor rows_of(const torch::Tensor& x, int lag) const;

  SnsNet net_;
  Schedule schedule_;
  torch::Tensor signal_, noise_std_;  // float32 [S] on the device
  bool scaled_;
};

}  // namespace sns
