// Differences between methods whose members are lost, or of which something never happens.
#include "experiments/metrics/score_table.hpp"
#include "experiments/metrics/scores.hpp"
#include "tests/support/relative.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

using namespace sns::metrics;
using sns::test::relative;

namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();

PairedDifference difference(const std::vector<double>& a, const std::vector<double>& b) {
  const Bootstrap bootstrap(1, static_cast<int>(a.size()), 4000, 0.95);
  const auto scores = [&](const std::vector<double>& members) {
    ScoreTable table(bootstrap);
    table.add({"first_unstable", "all", "First unstable step", "steps", Better::higher}, members);
    return table.take();
  };
  return paired_differences(scores(a), scores(b), bootstrap).at(0);
}

}  // namespace

TEST_CASE("draws in which something happens to neither method are ties") {
  // Medians: of the first never, of the second 30, or never in draws with four of its nevers or more.
  const auto one = difference({kNever, kNever, kNever, kNever, kNever, kNever, kNever},
                              {10, 20, 25, 30, kNever, kNever, kNever});
  CHECK(one.difference.value == kNever);
  CHECK(one.difference.low == 0);
  CHECK(one.difference.high == kNever);
  const auto both = difference({5, kNever, kNever}, {7, kNever, kNever});
  CHECK(std::isnan(both.difference.value));
  const auto mostly = difference({5, kNever, kNever, kNever}, {7, kNever, kNever, kNever});
  CHECK(std::isnan(mostly.difference.value));
  CHECK(mostly.difference.low == -2);  // in draws of the first member alone, or nearly
  CHECK(mostly.difference.high == 0);
  const auto finite = difference({3, 4, 5, 6}, {1, 2, 3, 4});
  CHECK(finite.difference.value == relative(2));
  CHECK(finite.difference.low == relative(2));
  CHECK(finite.difference.high == relative(2));
}
