#pragma once
#include "core/random.hpp"
#include "emulator/training/task.hpp"

#include <cstdint>

namespace sns {

/// The triples (long, past, present) of a split: past and present are consecutive frames, `long` is a random
/// frame of another trajectory (of the same one where there is no other). For a lagged model, a sample is a
/// window of longest_lag + 1 frames: `long` is its first, `present` the one L steps later, L uniform
/// in 1..longest_lag and drawn anew each time.
class SnsTriples {
 public:
  /// longest_lag: 0 for a model without. Error where no window fits into the trajectories. The split must
  /// outlive this.
  SnsTriples(const TrainingFrames& split, int longest_lag);
  std::uint64_t windows() const { return windows_; }
  /// Room for `size` samples: frames [B, 3C, X, Y], noise [B, 2C, X, Y], levels [B, 2] and, of a lagged model,
  /// lags [B].
  Batch empty_batch(std::int64_t size) const;
  /// Fills row `b` of the batch's frames and lags from a window in one pass over the split.
  void read(std::int64_t window, std::uint64_t pass, RandomStream& choice, Batch& batch, std::int64_t b) const;

 private:
  std::int64_t window_length() const { return longest_lag_ > 0 ? longest_lag_ + 1 : 2; }

  const TrainingFrames& split_;
  int longest_lag_;
  std::uint64_t windows_;
};

}  // namespace sns
