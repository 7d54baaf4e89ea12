#pragma once
// Frames for measurements of a training that has no data yet.
#include "core/random.hpp"
#include "emulator/training/trainer.hpp"
#include "emulator/training_frames.hpp"

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>

namespace sns {

/// Two trajectories of white noise: as good as any for the clock, and for memory.
class NoiseFrames : public TrainingFrames {
 public:
  NoiseFrames(int channels, int points, std::int64_t frames)
      : channels_(channels), points_(points), frames_(frames) {}

  const std::string& name() const override { return name_; }
  std::string origin() const override { return "noise"; }
  std::int64_t channels() const override { return channels_; }
  std::int64_t nx() const override { return points_; }
  std::int64_t ny() const override { return points_; }
  std::int64_t trajectories() const override { return 2; }
  std::int64_t frames(std::int64_t) const override { return frames_; }

 protected:
  /// The seed does not matter: nothing that is measured depends on the numbers.
  void do_read(std::int64_t trajectory, std::int64_t first, std::int64_t, std::span<float> out,
               std::uint64_t) const override {
    RandomStream(1, Purpose::emulator_noise, static_cast<std::uint64_t>(trajectory),
                 static_cast<std::uint64_t>(first))
        .fill_normal(out);
  }

 private:
  std::string name_ = "noise";
  std::int64_t channels_, points_, frames_;
};

/// Frames of the longest sample that a model's training draws.
inline std::int64_t longest_window(const ModelSpec& spec) {
  const int lag = spec.model.network.lag ? spec.model.network.lag->window : 0;
  return std::max({2, spec.training.rollout.max_length + 1, lag});
}

}  // namespace sns
