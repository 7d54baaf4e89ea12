#pragma once
#include "emulator/models/gaussian.hpp"
#include "emulator/training/task.hpp"

namespace sns {

/// Pointwise emulator on windows of consecutive frames. Windows are those of the longest rollout throughout the
/// curriculum, so that the order of samples does not depend on it.
class GaussianTask : public TrainingTask {
 public:
  GaussianTask(GaussianEmulator& model, const TrainingConfig& config, const TrainingFrames& training,
               const TrainingFrames* validation, std::uint64_t seed);
  std::uint64_t windows() const override { return sampler_.size(); }
  Batch make_batch(std::int64_t step, std::int64_t pass, int attempt) override;
  BatchLoss loss(const Batch& batch) override;
  /// On windows of the longest rollout, without the noise of training. loss: as in training at full length;
  /// mse: its error per step, and whitened and rms_penalty where there are such. one_step_rms: rms of Psi(x_t)
  /// - (x_{t+1} - x_t), normalised units; residual_rms: rms of x_{t+1} - x_t on the same samples (error of
  /// persistence); ratio: their quotient.
  Metrics validate() override;

 private:
  GaussianLossOptions options() const {
    return {{config_.rollout.rms_penalty, config_.rollout.rms_limit}, config_.rollout.whitening};
  }

  GaussianEmulator& model_;
  const TrainingConfig& config_;
  const TrainingFrames& training_;
  const TrainingFrames* validation_;
  AttemptSampler sampler_;
};

}  // namespace sns
