#pragma once
// One step of a rollout by trained models: a surrogate, alone or refined, or a generator.
#include "emulator/models/gaussian.hpp"
#include "emulator/models/step_noise.hpp"
#include "emulator/models/unpredicted_scales.hpp"
#include "experiments/diffusion_stage.hpp"
#include "experiments/rollout.hpp"

#include <memory>
#include <optional>

namespace sns {

struct SurrogateOptions {
  std::int64_t first_step = 1;  ///< the first that is refined; earlier ones are the surrogate's alone
  std::int64_t every = 1;       ///< from there on each `every`-th is, the others are the surrogate's alone
  StepNoise noise = {};         ///< added to each surrogate step
  /// Sets the mean of each field over the domain back to that of the initial frame, after the surrogate and
  /// after the stage. Both flows conserve it; networks do not, and nothing in a frame tells them where it was.
  bool conserve_mean = false;
  /// Scales that the surrogate does not predict get the power of the data, or none, after the surrogate's
  /// prediction, its noise and the stage.
  std::optional<UnpredictedScales> unpredicted = std::nullopt;
  Inference inference;  ///< how both models are evaluated
};

/// y = x_{a-1} + Psi(x_{a-1}) (+ noise xi), then what the stage makes of it; without a surrogate, what the
/// stage generates.
class SurrogateStepper : public RolloutStepper {
 public:
  /// One of the two may be null. Error if they do not work on the same frames.
  SurrogateStepper(std::unique_ptr<GaussianEmulator> emulator, std::unique_ptr<DiffusionStage> stage,
                   const SurrogateOptions& options);
  StepOutcome advance(const torch::Tensor& initial, const torch::Tensor& x,
                      std::span<const std::int64_t> trajectories, std::int64_t step) override;
  /// What the stage carries from step to step.
  std::vector<float> save() const override;
  void restore(std::span<const float> saved, torch::Device device) override;
  /// Physical units per unit of the frames that go in and out, one per channel.
  const std::vector<double>& field_std() const;

 private:
  /// x with what is held: the mean of `initial`, the power of unpredicted scales, or none.
  torch::Tensor held(const torch::Tensor& initial, const torch::Tensor& x) const;
  torch::Tensor to_stage(const torch::Tensor& x) const { return units_.defined() ? x * units_ : x; }
  torch::Tensor from_stage(const torch::Tensor& x) const { return units_.defined() ? x / units_ : x; }

  std::unique_ptr<GaussianEmulator> emulator_;
  std::unique_ptr<DiffusionStage> stage_;
  SurrogateOptions options_;
  torch::Tensor units_;  ///< emulator units -> the stage's [1, C, 1, 1]; undefined where they agree
};

}  // namespace sns
