// Times of steps and their intervals.
#include "experiments/metrics/step_time.hpp"
#include "tests/support/relative.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <numeric>

namespace {

using sns::metrics::Block;
using sns::metrics::CostClock;
using sns::metrics::Seconds;
using sns::test::relative;

constexpr sns::metrics::Resampling kResampling{.seed = 3, .resamples = 2000, .confidence = 0.95};

/// 40 blocks of 10 member steps, every second of which took three times as long on the wall.
std::vector<Block> uneven() {
  std::vector<Block> run;
  for (int i = 0; i < 40; ++i)
    run.push_back({.seconds = {.wall = i % 2 == 0 ? 0.01 : 0.03, .cpu = 0.01}, .member_steps = 10});
  return run;
}

}  // namespace

TEST_CASE("a run is cut into blocks of as many steps, those that no member took left out") {
  // Step i takes i seconds on the wall and half of that of CPU time; the last seven are nobody's.
  std::vector<Seconds> seconds;
  std::vector<std::int64_t> living;
  for (int i = 1; i <= 50; ++i) {
    seconds.push_back({.wall = static_cast<double>(i), .cpu = 0.5 * i});
    living.push_back(i <= 20 ? 3 : i <= 43 ? 1 : 0);
  }
  const auto run = sns::metrics::blocks_of(seconds, living);
  REQUIRE(run.size() == 20);
  CHECK(run.front().seconds.wall == 1 + 2 + 3);
  CHECK(run.front().seconds.cpu == 3);
  CHECK(run.front().member_steps == 9);
  CHECK(run.back().seconds.wall == 42 + 43);
  CHECK(run.back().member_steps == 2);
  const auto steps = std::accumulate(run.begin(), run.end(), std::int64_t{0},
                                     [](std::int64_t sum, const Block& one) { return sum + one.member_steps; });
  CHECK(steps == 3 * 20 + 23);
  CHECK(sns::metrics::milliseconds_per_step(run, CostClock::wall) == relative(1e3 * 43 * 44 / 2 / 83));
  // Fewer steps than blocks: one each.
  CHECK(sns::metrics::blocks_of(std::span(seconds).first(4), std::span(living).first(4)).size() == 4);
  CHECK(sns::metrics::blocks_of({}, {}).empty());
}

TEST_CASE("the interval of a step's time shows how blocks varied, by each clock") {
  const auto wall = sns::metrics::milliseconds_per_step(uneven(), CostClock::wall, kResampling);
  CHECK(wall.value == relative(2));
  // The mean of 40 draws of 1 and 3 has standard deviation 1/sqrt(40).
  CHECK(wall.low == relative(2 - 1.96 / std::sqrt(40)).epsilon(0.04));
  CHECK(wall.high == relative(2 + 1.96 / std::sqrt(40)).epsilon(0.04));
  const auto cpu = sns::metrics::milliseconds_per_step(uneven(), CostClock::cpu, kResampling);
  CHECK(cpu.value == relative(1));
  CHECK(cpu.low == relative(1));
  CHECK(cpu.high == relative(1));
}

TEST_CASE("without blocks there is no time, and of few no interval") {
  CHECK(std::isnan(sns::metrics::milliseconds_per_step({}, CostClock::wall)));
  CHECK(std::isnan(sns::metrics::milliseconds_per_step({}, CostClock::wall, kResampling).value));
  CHECK(std::isnan(sns::metrics::step_time_ratio(uneven(), {}, CostClock::wall, kResampling).value));
  std::vector<Block> few(4, uneven().front());
  const auto estimate = sns::metrics::milliseconds_per_step(few, CostClock::wall, kResampling);
  CHECK(estimate.value == relative(1));
  CHECK(std::isnan(estimate.low));
  CHECK(std::isnan(estimate.high));
  CHECK(std::isnan(sns::metrics::step_time_ratio(uneven(), few, CostClock::wall, kResampling).low));
  CHECK(std::isnan(sns::metrics::step_time_ratio(few, uneven(), CostClock::wall, kResampling).low));
  const std::vector<Block> one(1, uneven().front());
  const auto ratio = sns::metrics::step_time_ratio(one, uneven(), CostClock::wall, kResampling);
  CHECK(ratio.value == relative(0.5));
  CHECK(std::isnan(ratio.high));
  CHECK(std::isnan(sns::metrics::step_time_ratio(uneven(), one, CostClock::wall, kResampling).high));
  few.push_back(few.front());
  CHECK(sns::metrics::milliseconds_per_step(few, CostClock::wall, kResampling).low == relative(1));
}

TEST_CASE("a ratio of times has the spread of both runs") {
  // Drawn alike, a run over itself would be 1 in every draw. Relative spreads add up in squares.
  const auto itself = sns::metrics::step_time_ratio(uneven(), uneven(), CostClock::wall, kResampling);
  const double spread = 1.96 * std::sqrt(2.0) / std::sqrt(40) / 2;
  CHECK(itself.value == relative(1));
  CHECK(itself.low == relative(std::exp(-spread)).epsilon(0.04));
  CHECK(itself.high == relative(std::exp(spread)).epsilon(0.04));
  const std::vector<Block> steady(5, {.seconds = {.wall = 0.02, .cpu = 0.04}, .member_steps = 5});
  const auto wall = sns::metrics::step_time_ratio(uneven(), steady, CostClock::wall, kResampling);
  CHECK(wall.value == relative(0.5));
  CHECK(wall.low < 0.47);
  CHECK(sns::metrics::step_time_ratio(steady, uneven(), CostClock::cpu, kResampling).high == relative(8));
}
