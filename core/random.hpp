#pragma once
// Counter-based random numbers (Philox4x64-10). A stream is a pure function of
// (seed, purpose, id, step): any trajectory or sample can be re-run alone, and sharding, thread count and
// restarts change nothing.
#include <array>
#include <cstdint>
#include <span>

namespace sns {

/// What a stream is for; part of its key, so that two uses never share numbers. Values are stable: they
/// are part of every recorded result.
enum class Purpose : std::uint64_t {
  initial_condition = 1,
  network_init = 2,
  batch_order = 3,
  diffusion_level = 4,
  diffusion_noise = 5,
  emulator_noise = 6,
  refine_forward = 7,
  refine_reverse = 8,
  validation = 9,
  bootstrap = 10,
  split = 11,
  refine_levels = 12,
  shuffled_frames = 13,
  predicted_step = 14,
  sampled_frames = 15,
};

class RandomStream {
 public:
  /// seed: the run's; id: trajectory or sample; step: time or optimiser step.
  RandomStream(std::uint64_t seed, Purpose purpose, std::uint64_t id = 0, std::uint64_t step = 0);

  std::uint64_t next_u64();
  /// Uniform in [0, 1), 53 bits.
  double uniform();
  /// Uniform integer in [0, bound), without bias; bound > 0.
  std::uint64_t below(std::uint64_t bound);
  /// Standard normal (Box-Muller; two values per pair of uniforms).
  double normal();
  /// The same numbers as repeated normal(), however a fill is split into calls.
  void fill_normal(std::span<double> out);
  /// Fast single-precision normals (about a nanosecond each; |value| <= 6.66). A call starts on a fresh Philox
  /// block of eight values, and drops what an earlier call left of its block. So a short fill is the beginning
  /// of a long one, and a fill may be split after any multiple of eight values without changing a bit. The
  /// numbers are unrelated to those of the double version.
  void fill_normal(std::span<float> out);

 private:
  void refill();
  std::array<std::uint64_t, 2> key_;
  std::array<std::uint64_t, 4> counter_;
  std::array<std::uint64_t, 4> block_{};
  int used_ = 4;
  bool has_spare_ = false;
  double spare_ = 0;
};

}  // namespace sns
