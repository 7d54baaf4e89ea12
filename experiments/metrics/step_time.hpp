#pragma once
// What a step costs in time, with intervals over stretches of the run: they show how the machine varied while
// it ran.
#include "experiments/metrics/statistics.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace sns::metrics {

/// Seconds that something took: on the clock, and of processors, all threads of the process together.
struct Seconds {
  double wall = 0, processor = 0;
};

enum class CostClock { wall, processor };

/// One of several consecutive parts of a run.
struct Stretch {
  Seconds seconds;
  std::int64_t member_steps = 0;  ///< steps that were computed, those of each member counted
};

/// Cuts a run into at most 20 stretches of as many steps each, give or take one. seconds and living: of each
/// step, the latter the members that took it; steps that none took are left out.
std::vector<Stretch> stretches_of(std::span<const Seconds> seconds, std::span<const std::int64_t> living);

/// Milliseconds of one step of one member: the time of the run over its steps; NaN without stretches.
double milliseconds_per_step(std::span<const Stretch> run, CostClock clock);

struct Resampling {
  std::uint64_t seed = 0;
  int resamples = 2000;
  double confidence = 0.95;
};

/// The same, resampled by stretches: the bounds are NaN where there is only one.
Estimate milliseconds_per_step(std::span<const Stretch> run, CostClock clock, const Resampling& resampling);
/// That of one run over that of another, both resampled on their own.
Estimate step_time_ratio(std::span<const Stretch> run, std::span<const Stretch> other, CostClock clock,
                         const Resampling& resampling);

}  // namespace sns::metrics
