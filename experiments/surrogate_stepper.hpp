#pragma once
// One step of a rollout by trained models: a surrogate, alone or refined by SNS.
#include "emulator/diffusion/refine.hpp"
#include "emulator/models/gaussian.hpp"
#include "emulator/models/sns.hpp"
#include "experiments/rollout.hpp"

#include <deque>
#include <memory>

namespace sns {

struct SurrogateOptions {
  RefineOptions refine;
  std::int64_t start = 1;  ///< first step that is refined; earlier ones are the surrogate's alone
  double noise = 0;        ///< std of white noise added to each surrogate step, normalised units
  std::uint64_t seed = 0;
};

/// y = x_{a-1} + Psi(x_{a-1}) (+ noise xi); with a refiner, levels p of X = (long, x_{a-1}, y) and
/// x_a = present frame of refine(X, p). Algorithm 1 of the SNS paper (arXiv 2603.17750). The long frame is the
/// trajectory's own initial condition, or, for a lagged refiner, x_{a-L} with L = min(a, longest lag) (appendix
/// B.4). Path C also rewrites x_{a-1} in the stored trajectory.
class SurrogateStepper : public RolloutStepper {
 public:
  /// refiner may be null. Error if the two models do not work on the same frames.
  SurrogateStepper(std::unique_ptr<GaussianEmulator> emulator, std::unique_ptr<Sns> refiner,
                   const SurrogateOptions& options);
  StepOutcome advance(const torch::Tensor& initial, const torch::Tensor& x,
                      std::span<const std::int64_t> trajectories, std::int64_t step) override;
  /// The frames that a lagged refiner will still need; empty for others.
  std::vector<float> save() const override;
  void restore(std::span<const float> saved, torch::Device device) override;
  /// Physical units per unit of the frames that go in and out, one per channel.
  const std::vector<double>& field_std() const { return emulator_->field_std(); }

 private:
  torch::Tensor emulate(const torch::Tensor& x, std::span<const std::int64_t> trajectories, std::int64_t step);
  /// Notes frame step-1 of the living members and forgets what no lag reaches.
  void remember(const torch::Tensor& x, std::span<const std::int64_t> trajectories);

  std::unique_ptr<GaussianEmulator> emulator_;
  std::unique_ptr<Sns> refiner_;
  SurrogateOptions options_;
  torch::Tensor to_refiner_;  ///< emulator units -> refiner units [1, 3C, 1, 1]; undefined where they agree
  std::deque<torch::Tensor> past_;  ///< lagged refiner: frames step-L..step-1, oldest first, [B,C,X,Y] each
  std::vector<std::int64_t> remembered_;  ///< the B trajectory ids of past_
};

}  // namespace sns
