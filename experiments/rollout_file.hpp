#pragma once
// The file of a rollout while it grows. All storage is contiguous and allocated at creation, so that
// writing frames never touches HDF5's metadata: a process killed at any moment leaves a readable file.
#include "core/hdf5.hpp"
#include "experiments/metrics/step_time.hpp"
#include "experiments/rollout.hpp"

namespace sns {

/// The attribute `threads` of a rollout whose steps were made with several numbers of them, or on several
/// devices.
inline constexpr int kMixedThreads = 0;

class RolloutFile {
 public:
  /// Makes a new file with frame 0.
  static RolloutFile create(const std::filesystem::path& path, const RolloutJob& job);
  /// Opens one that `create` made for the same job. Error if that was with other weights. Where it was on
  /// another device or with other threads, the file says so.
  static RolloutFile reopen(const std::filesystem::path& path, const RolloutJob& job);

  /// Holds frame `step` of all members; a chunk that is full is written. physical: [member][channel][x*y];
  /// levels: [member][2]; evaluations: [member][3].
  void append(std::int64_t step, std::span<const float> physical, std::span<const std::int32_t> levels,
              std::span<const std::int64_t> evaluations);
  /// Holds what a step took, the writing of a chunk that it filled included, until the next flush. In the order
  /// of steps.
  void record_time(std::int64_t step, const metrics::Seconds& seconds);
  /// Replaces the stored frame `step` (the last one appended, flushed or not).
  void rewrite(std::int64_t step, std::span<const float> physical);
  /// Frames held but not yet written.
  std::int64_t pending() const { return held_; }
  /// Writes the held frames; `durable` also brings everything to the disk.
  void flush(bool durable);
  /// Final attributes; closes.
  void complete(const RolloutSummary& summary);

 private:
  RolloutFile(h5::File file, const RolloutJob& job);
  void write_frames(std::int64_t first, std::int64_t frames, std::span<const float> held);

  h5::File file_;
  std::vector<h5::Dataset> fields_;
  h5::Dataset levels_, evaluations_, step_seconds_;
  std::int64_t members_, channels_, points_x_, points_y_, cells_;
  std::int64_t chunk_, first_ = 1, held_ = 0;
  std::vector<float> frames_;  // [frame][member][channel][cell]
  std::vector<std::int32_t> level_rows_;
  std::vector<std::int64_t> evaluation_rows_;
  std::int64_t first_timed_ = 0;
  std::vector<double> second_rows_;  // [step][clock], from first_timed_ on
};

}  // namespace sns
