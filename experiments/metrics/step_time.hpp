#pragma once
// What a step costs in time, with intervals over blocks of the run: how the machine, and the work, varied along
// it.
#include "experiments/metrics/statistics.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace sns::metrics {

/// Seconds that something took: on the clock, and of CPU time, all threads of the process together.
struct Seconds {
  double wall = 0, cpu = 0;
};

enum class CostClock { wall, cpu };

/// One of several consecutive parts of a run.
struct Block {
  Seconds seconds;
  std::int64_t member_steps = 0;  ///< steps that were computed, those of each member counted
};

/// Cuts a run into at most 20 blocks of as many steps each, give or take one. seconds and living: of each
/// step, the latter the members that took it; steps that none took are left out.
std::vector<Block> blocks_of(std::span<const Seconds> seconds, std::span<const std::int64_t> living);

/// Milliseconds of one step of one member: the time of the run over its steps; NaN without blocks.
double milliseconds_per_step(std::span<const Block> run, CostClock clock);

struct Resampling {
  std::uint64_t seed = 0;
  int resamples = 2000;
  double confidence = 0.95;
};

/// The same, resampled by blocks: the bounds are NaN where they are fewer than five, of which a bootstrap makes
/// too little.
Estimate milliseconds_per_step(std::span<const Block> run, CostClock clock, const Resampling& resampling);
/// That of one run over that of another, both resampled on their own.
Estimate step_time_ratio(std::span<const Block> run, std::span<const Block> other, CostClock clock,
                         const Resampling& resampling);

}  // namespace sns::metrics
