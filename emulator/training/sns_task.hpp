#pragma once
#include "emulator/models/sns.hpp"
#include "emulator/training/band_errors.hpp"
#include "emulator/training/sns_triples.hpp"
#include "emulator/training/task.hpp"

#include <optional>

namespace sns {

/// SNS on SnsTriples; validation samples are of the other split.
class SnsTask : public TrainingTask {
 public:
  SnsTask(Sns& model, const TrainingConfig& config, const TrainingFrames& training,
          const TrainingFrames* validation, std::uint64_t seed);
  std::uint64_t windows() const override { return sampler_.size(); }
  Batch make_batch(std::int64_t step, std::int64_t pass, int attempt) override;
  BatchLoss loss(const Batch& batch) override;
  /// loss, and its parts under the names of training: at levels that are drawn as in training. Then, for frame
  /// in (past, present), BandErrors of other levels on the same frames, spread over the pairs of bands; where
  /// some past frames are clean, those of present frames beside such ones as well. Of a past frame that stays
  /// clean there is nothing to report.
  Metrics validate() override;

 private:
  Batch validation_batch(std::int64_t first, std::int64_t count, ValidationLevels which) const;
  /// Errors of the estimates for present frames, and for past ones; without `past` those stay clean, whatever
  /// the batch's levels say.
  void add_band_errors(const Batch& batch, BandErrors* past, BandErrors& present);
  /// Of the sample in this row of a batch (levels.past). Of mixed ones row 0 is noised, so that every batch
  /// reports the same losses.
  bool past_is_clean(std::int64_t row) const {
    return config_.levels.past == "clean" || (config_.levels.past == "mixed" && row % 2 == 1);
  }

  Sns& model_;
  const TrainingConfig& config_;
  const TrainingFrames& training_;
  SnsTriples triples_;
  std::optional<SnsTriples> validation_triples_;
  AttemptSampler sampler_;
};

}  // namespace sns
