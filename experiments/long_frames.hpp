#pragma once
// The earlier frames that a lagged SNS looks back at.
#include <torch/types.h>

#include <cstdint>
#include <deque>
#include <span>
#include <vector>

namespace sns {

/// Per living member: its last frames, and the step that its lag counts from.
class LongFrames {
 public:
  /// longest: largest lag; 0: nothing is kept.
  explicit LongFrames(int longest) : longest_(longest) {}

  /// Notes frame step-1 [B, C, X, Y] of the living members, and forgets what no lag reaches. Error if a member
  /// joins that was not there before.
  void remember(const torch::Tensor& x, std::span<const std::int64_t> trajectories);
  /// Lags L = min(step - last, longest) of the members' long frames; empty if nothing is kept.
  std::vector<int> lags(std::int64_t step) const;
  /// Frames step-L, [B, C, X, Y].
  torch::Tensor frames(const std::vector<int>& lags) const;
  /// From here on, the lag of member `row` counts from `step`.
  void move(std::size_t row, std::int64_t step) { last_.at(row) = step; }
  /// Replaces the newest frames.
  void rewrite(const torch::Tensor& x) { past_.back() = x; }

  /// For a checkpoint; empty before the first step.
  std::vector<float> save() const;
  void restore(std::span<const float> saved, std::int64_t channels, std::int64_t points, torch::Device device);

 private:
  int longest_;
  std::deque<torch::Tensor> past_;          // oldest first, [B, C, X, Y] each
  std::vector<std::int64_t> trajectories_;  // the B ids
  std::vector<std::int64_t> last_;
};

}  // namespace sns
