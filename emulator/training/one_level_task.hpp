#pragma once
#include "emulator/models/acdm.hpp"
#include "emulator/models/thermalizer.hpp"
#include "emulator/training/task.hpp"

namespace sns {

/// Training of diffusion models whose samples are consecutive frames that all stand at one level: single frames
/// for the thermalizer, pairs (past, present) with independent noise for ACDM.
class OneLevelTask : public TrainingTask {
 public:
  std::uint64_t windows() const override { return sampler_.size(); }
  Batch make_batch(std::int64_t step, std::int64_t pass, int attempt) override;
  /// loss, and its parts under the names of training: at levels that are drawn as in training. Then, for each
  /// band of levels, BandErrors of the same frames at levels that are spread over the bands.
  Metrics validate() override;

 protected:
  /// What a model makes of a validation batch.
  struct Estimate {
    torch::Tensor noise;   ///< of the last frames of the batch, [B, F * C, n, n]
    torch::Tensor logits;  ///< [B, S]; undefined without a head
  };

  /// frames: consecutive frames of a sample; highest: last level that is trained.
  OneLevelTask(DiffusionModel& model, std::int64_t frames, const TrainingConfig& config,
               const TrainingFrames& training, const TrainingFrames* validation, std::uint64_t seed);
  /// noised [B, frames * C, n, n] at levels [B].
  virtual Estimate estimate(const torch::Tensor& noised, const torch::Tensor& levels) = 0;

  const TrainingConfig& config_;

 private:
  Batch empty_batch(const TrainingFrames& split, std::int64_t size) const;
  std::uint64_t window_count(const TrainingFrames& split) const;
  Batch validation_batch(std::int64_t first, std::int64_t count, ValidationLevels which) const;

  DiffusionModel& model_;
  std::int64_t frames_;
  const TrainingFrames& training_;
  const TrainingFrames* validation_;
  AttemptSampler sampler_;
};

class ThermalizerTask : public OneLevelTask {
 public:
  ThermalizerTask(Thermalizer& model, const TrainingConfig& config, const TrainingFrames& training,
                  const TrainingFrames* validation, std::uint64_t seed);
  BatchLoss loss(const Batch& batch) override;

 private:
  Estimate estimate(const torch::Tensor& noised, const torch::Tensor& levels) override;
  Thermalizer& thermalizer_;
};

class AcdmTask : public OneLevelTask {
 public:
  AcdmTask(Acdm& model, const TrainingConfig& config, const TrainingFrames& training,
           const TrainingFrames* validation, std::uint64_t seed);
  BatchLoss loss(const Batch& batch) override;

 private:
  Estimate estimate(const torch::Tensor& noised, const torch::Tensor& levels) override;
  Acdm& acdm_;
};

}  // namespace sns
