#pragma once
#include "emulator/models/sns.hpp"
#include "emulator/training/band_errors.hpp"
#include "emulator/training/task.hpp"

namespace sns {

/// SNS on triples (long, past, present): past and present are consecutive frames, `long` is a random frame of
/// another trajectory of the same split (of the same one where there is no other). For a lagged model, a sample
/// is a window of lag.window frames: `long` is its first, `present` the one L steps later, L uniform
/// in 1..window-1 and drawn anew each time.
class SnsTask : public TrainingTask {
 public:
  SnsTask(Sns& model, const TrainingConfig& config, const TrainingFrames& training,
          const TrainingFrames* validation, std::uint64_t seed);
  std::uint64_t windows() const override { return sampler_.size(); }
  Batch make_batch(std::int64_t step, std::int64_t pass, int attempt) override;
  BatchLoss loss(const Batch& batch) override;
  /// loss, and its parts under the names of training: at levels that are drawn as in training. Then, for frame
  /// in (past, present), BandErrors of other levels on the same frames, spread over the pairs of bands. Of a
  /// past frame that stays clean there is nothing to report.
  Metrics validate() override;

 private:
  Batch validation_batch(std::int64_t first, std::int64_t count, ValidationLevels which) const;
  /// Errors of the estimates for the frames of a batch that are noised.
  void add_band_errors(const Batch& batch, BandErrors& past, BandErrors& present);
  Batch empty_batch(const TrainingFrames& split, std::int64_t size) const;
  /// Frames that a sample is chosen from: two, or a lagged model's window.
  std::int64_t window_length() const;
  std::uint64_t window_count(const TrainingFrames& split) const;
  /// Fills row `b` of the batch's frames and lags from one pass over `split`.
  void read_triple(const TrainingFrames& split, std::int64_t window, std::uint64_t pass, RandomStream& choice,
                   Batch& batch, std::int64_t b) const;

  /// Number of the first frame, of (past, present), that stands at a level: 1 for levels.past = clean.
  int first_noised() const { return config_.levels.past == "clean" ? 1 : 0; }

  Sns& model_;
  const TrainingConfig& config_;
  const TrainingFrames& training_;
  const TrainingFrames* validation_;
  std::uint64_t seed_;
  EpochSampler sampler_;
  int attempt_ = 0;
};

}  // namespace sns
