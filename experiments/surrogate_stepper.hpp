#pragma once
// One step of a rollout by trained models: a surrogate, alone or refined by SNS.
#include "emulator/diffusion/refine.hpp"
#include "emulator/models/gaussian.hpp"
#include "emulator/models/sns.hpp"
#include "experiments/rollout.hpp"

#include <memory>

namespace sns {

struct SurrogateOptions {
  RefineOptions refine;
  double noise = 0;  ///< std of white noise added to each surrogate step, normalised units
  std::uint64_t seed = 0;
};

/// y = x_{a-1} + Psi(x_{a-1}) (+ noise xi); with a refiner, levels p of X = (x_0, x_{a-1}, y) and
/// x_a = present frame of refine(X, p). Algorithm 1 of the SNS paper (arXiv 2603.17750); the long channel is
/// the trajectory's own initial condition. Path C also rewrites x_{a-1} in the stored trajectory.
class SurrogateStepper : public RolloutStepper {
 public:
  /// refiner may be null. Error if the two models do not work on the same frames.
  SurrogateStepper(std::unique_ptr<GaussianEmulator> emulator, std::unique_ptr<Sns> refiner,
                   const SurrogateOptions& options);
  StepOutcome advance(const torch::Tensor& initial, const torch::Tensor& x,
                      std::span<const std::int64_t> trajectories, std::int64_t step) override;
  /// Physical units per unit of the frames that go in and out.
  double field_std() const { return emulator_->field_std(); }

 private:
  torch::Tensor emulate(const torch::Tensor& x, std::span<const std::int64_t> trajectories, std::int64_t step);

  std::unique_ptr<GaussianEmulator> emulator_;
  std::unique_ptr<Sns> refiner_;
  SurrogateOptions options_;
  double to_refiner_ = 1;  ///< emulator units -> refiner units
};

}  // namespace sns
