#pragma once
// Standard normal numbers of sampling, addressed by what they are for rather than by draw order.
#include <cstdint>
#include <span>
#include <vector>

namespace sns {

enum class Frame { past = 0, present = 1 };

class NoiseSource {
 public:
  virtual ~NoiseSource() = default;
  /// Fills `out` (C*n*n values of one frame) with the noise that brings `frame` of `sample` (row of the batch)
  /// to the level that its walk begins at.
  virtual void forward(std::int64_t sample, Frame frame, std::span<float> out) = 0;
  /// The same for the reverse step at `level` (not asked where the step adds none).
  virtual void reverse(std::int64_t sample, Frame frame, int level, std::span<float> out) = 0;
  /// The same for noise number `draw` of the past frame where it is a condition only (ACDM).
  virtual void condition(std::int64_t sample, int draw, std::span<float> out) = 0;
};

/// Philox streams keyed by (seed, purpose, trajectory id, time step | frame | level): a trajectory gets the
/// same numbers alone and in any batch.
class PhiloxNoise : public NoiseSource {
 public:
  /// trajectories: id of every row of the batch; time_step < 2^44.
  PhiloxNoise(std::uint64_t seed, std::vector<std::uint64_t> trajectories, std::uint64_t time_step);
  void forward(std::int64_t sample, Frame frame, std::span<float> out) override;
  void reverse(std::int64_t sample, Frame frame, int level, std::span<float> out) override;
  void condition(std::int64_t sample, int draw, std::span<float> out) override;

 private:
  std::uint64_t seed_;
  std::vector<std::uint64_t> trajectories_;
  std::uint64_t time_step_;
};

}  // namespace sns
