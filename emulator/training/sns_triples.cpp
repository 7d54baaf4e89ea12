#include "emulator/training/sns_triples.hpp"

#include "core/error.hpp"

namespace sns {

SnsTriples::SnsTriples(const TrainingFrames& split, int longest_lag)
    : split_(split), longest_lag_(longest_lag) {
  const std::int64_t count = split.windows(window_length());
  require(count > 0,
          "split {} has no window of {} frames: its trajectories are too short for network.lag.window",
          split.name(), window_length());
  windows_ = static_cast<std::uint64_t>(count);
}

Batch SnsTriples::empty_batch(std::int64_t size) const {
  const auto c = split_.channels(), nx = split_.nx(), ny = split_.ny();
  return {torch::empty({size, 3 * c, nx, ny}, frame_options(split_)), torch::empty({size, 2 * c, nx, ny}),
          torch::empty({size, 2}, torch::kInt64),
          longest_lag_ > 0 ? torch::empty({size}, torch::kInt64) : torch::Tensor()};
}

void SnsTriples::read(std::int64_t window, std::uint64_t pass, RandomStream& choice, Batch& batch,
                      std::int64_t b) const {
  const auto size = static_cast<std::size_t>(split_.frame_size());
  float* const out = batch.frames.data_ptr<float>() + b * 3 * split_.frame_size();
  const auto [trajectory, first] = split_.locate(window, window_length());
  if (longest_lag_ > 0) {
    const auto lag = 1 + static_cast<std::int64_t>(choice.below(static_cast<std::uint64_t>(longest_lag_)));
    batch.lags.data_ptr<std::int64_t>()[b] = lag;
    split_.read(trajectory, first, 1, {out, size}, pass);
    split_.read(trajectory, first + lag - 1, 2, {out + size, 2 * size}, pass);
    return;
  }
  std::int64_t other = trajectory;
  if (split_.trajectories() > 1) {
    other = static_cast<std::int64_t>(choice.below(static_cast<std::uint64_t>(split_.trajectories() - 1)));
    if (other >= trajectory) ++other;
  }
  const auto frame = static_cast<std::int64_t>(choice.below(static_cast<std::uint64_t>(split_.frames(other))));
  split_.read(other, frame, 1, {out, size}, pass);
  split_.read(trajectory, first, 2, {out + size, 2 * size}, pass);
}

}  // namespace sns
