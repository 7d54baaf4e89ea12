#include "experiments/metrics/step_time.hpp"

#include "core/error.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

namespace sns::metrics {
namespace {

constexpr std::size_t kMostBlocks = 20, kFewestBlocks = 5;
constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

/// Milliseconds per step of one member over these blocks.
double pooled(std::span<const Block> run, CostClock clock, std::span<const int> drawn) {
  double seconds = 0, steps = 0;
  for (const int i : drawn) {
    const Block& one = run[static_cast<std::size_t>(i)];
    seconds += clock == CostClock::wall ? one.seconds.wall : one.seconds.cpu;
    steps += static_cast<double>(one.member_steps);
  }
  return 1e3 * seconds / steps;
}

}  // namespace

std::vector<Block> blocks_of(std::span<const Seconds> seconds, std::span<const std::int64_t> living) {
  require(seconds.size() == living.size(), "{} steps have times, {} have members", seconds.size(),
          living.size());
  std::vector<std::size_t> taken;
  for (std::size_t i = 0; i < living.size(); ++i)
    if (living[i] > 0) taken.push_back(i);
  std::vector<Block> run(std::min(kMostBlocks, taken.size()));
  for (std::size_t i = 0; i < taken.size(); ++i) {
    Block& one = run[i * run.size() / taken.size()];
    one.seconds.wall += seconds[taken[i]].wall;
    one.seconds.cpu += seconds[taken[i]].cpu;
    one.member_steps += living[taken[i]];
  }
  return run;
}

double milliseconds_per_step(std::span<const Block> run, CostClock clock) {
  std::vector<int> all(run.size());
  std::iota(all.begin(), all.end(), 0);
  return pooled(run, clock, all);  // 0/0 without any
}

Estimate milliseconds_per_step(std::span<const Block> run, CostClock clock, const Resampling& resampling) {
  if (run.size() < kFewestBlocks) return {milliseconds_per_step(run, clock), kUnknown, kUnknown};
  const Bootstrap bootstrap(resampling.seed, static_cast<int>(run.size()), resampling.resamples,
                            resampling.confidence);
  return bootstrap.estimate([&](std::span<const int> drawn) { return pooled(run, clock, drawn); });
}

Estimate step_time_ratio(std::span<const Block> run, std::span<const Block> other, CostClock clock,
                         const Resampling& resampling) {
  if (std::min(run.size(), other.size()) < kFewestBlocks)
    return {milliseconds_per_step(run, clock) / milliseconds_per_step(other, clock), kUnknown, kUnknown};
  // Another seed, as two runs of as many blocks would be drawn alike.
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
  return above.estimate(
      [&](std::span<const int> drawn) { return pooled(run, clock, drawn) / divisors[turn++]; });
}

}  // namespace sns::metrics
