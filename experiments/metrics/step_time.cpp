#include "experiments/metrics/step_time.hpp"

#include "core/error.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

namespace sns::metrics {
namespace {

constexpr std::size_t kStretches = 20;
constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

/// Milliseconds per step of one member over these stretches.
double pooled(std::span<const Stretch> run, CostClock clock, std::span<const int> drawn) {
  double seconds = 0, steps = 0;
  for (const int i : drawn) {
    const Stretch& one = run[static_cast<std::size_t>(i)];
    seconds += clock == CostClock::wall ? one.seconds.wall : one.seconds.processor;
    steps += static_cast<double>(one.member_steps);
  }
  return 1e3 * seconds / steps;
}

/// A single stretch says nothing of how they vary.
Estimate without_interval_of_one(Estimate estimate, std::size_t stretches) {
  return stretches > 1 ? estimate : Estimate{estimate.value, kUnknown, kUnknown};
}

}  // namespace

std::vector<Stretch> stretches_of(std::span<const Seconds> seconds, std::span<const std::int64_t> living) {
  require(seconds.size() == living.size(), "{} steps have times, {} have members", seconds.size(),
          living.size());
  std::vector<std::size_t> taken;
  for (std::size_t i = 0; i < living.size(); ++i)
    if (living[i] > 0) taken.push_back(i);
  std::vector<Stretch> run(std::min(kStretches, taken.size()));
  for (std::size_t i = 0; i < taken.size(); ++i) {
    Stretch& one = run[i * run.size() / taken.size()];
    one.seconds.wall += seconds[taken[i]].wall;
    one.seconds.processor += seconds[taken[i]].processor;
    one.member_steps += living[taken[i]];
  }
  return run;
}

double milliseconds_per_step(std::span<const Stretch> run, CostClock clock) {
  std::vector<int> all(run.size());
  std::iota(all.begin(), all.end(), 0);
  return pooled(run, clock, all);  // 0/0 without any
}

Estimate milliseconds_per_step(std::span<const Stretch> run, CostClock clock, const Resampling& resampling) {
  if (run.empty()) return {kUnknown, kUnknown, kUnknown};
  const Bootstrap bootstrap(resampling.seed, static_cast<int>(run.size()), resampling.resamples,
                            resampling.confidence);
  return without_interval_of_one(
      bootstrap.estimate([&](std::span<const int> drawn) { return pooled(run, clock, drawn); }), run.size());
}

Estimate step_time_ratio(std::span<const Stretch> run, std::span<const Stretch> other, CostClock clock,
                         const Resampling& resampling) {
  if (run.empty() || other.empty()) return {kUnknown, kUnknown, kUnknown};
  // Another seed, as two runs of as many stretches would be drawn alike.
  const Bootstrap below(resampling.seed + 1, static_cast<int>(other.size()), resampling.resamples,
                        resampling.confidence),
      above(resampling.seed, static_cast<int>(run.size()), resampling.resamples, resampling.confidence);
  // A bootstrap asks for the value first, then for each draw in turn.
  std::vector<double> divisors;
  below.estimate([&](std::span<const int> drawn) {
    divisors.push_back(pooled(other, clock, drawn));
    return divisors.back();
  });
  std::size_t turn = 0;
  const Estimate ratio =
      above.estimate([&](std::span<const int> drawn) { return pooled(run, clock, drawn) / divisors[turn++]; });
  return without_interval_of_one(ratio, std::min(run.size(), other.size()));
}

}  // namespace sns::metrics
