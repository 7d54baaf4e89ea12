// CRPS, spread and skill of ensembles, by hand and against what is known of normal variables.
#include "core/error.hpp"
#include "core/random.hpp"
#include "experiments/metrics/ensemble.hpp"
#include "tests/support/relative.hpp"
#include "tests/support/scratch.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <numbers>

using namespace sns;
using namespace sns::metrics;
using sns::test::contains, sns::test::message_of, sns::test::relative;

namespace {

std::vector<float> normal(std::size_t count, std::uint64_t id, float scale = 1) {
  std::vector<float> values(count);
  RandomStream(5, Purpose::validation, id).fill_normal(values);
  for (float& v : values) v *= scale;
  return values;
}

EnsembleScore score(const std::vector<std::vector<float>>& members, const std::vector<float>& truth) {
  std::vector<std::span<const float>> views(members.begin(), members.end());
  return score_ensemble(views, truth);
}

}  // namespace

TEST_CASE("an ensemble of two and of three, by hand") {
  // |1 - 2| and |4 - 2|: mean 1.5; the pair lies 3 apart, over M (M - 1) = 2: 1.5 - 3 / 2 = 0.
  const EnsembleScore two = score({{1}, {4}}, {2});
  CHECK(std::abs(two.crps) < 1e-12);
  CHECK(two.variance == relative(4.5));
  CHECK(two.squared_error == relative(0.25));
  // Points 0: |0|, |1|, |5| about 0: mean 2; pairs 1 + 5 + 4 = 10 over 6. Point 1: all equal, 3 away.
  const EnsembleScore three = score({{5, 1}, {0, 1}, {1, 1}}, {0, 4});
  CHECK(three.crps == relative((2 - 10.0 / 6 + 3) / 2));
  CHECK(three.variance == relative((7 + 0) / 2.0));
  CHECK(three.squared_error == relative((4 + 9) / 2.0));
  CHECK(std::isnan(score({{1}, {std::nanf("")}}, {2}).crps));
  CHECK(std::isnan(score({{1}, {std::numeric_limits<float>::infinity()}}, {2}).variance));
  CHECK_THROWS_AS(score({{1}}, {2}), Error);
}

TEST_CASE(
    "the fair CRPS does not depend on the size of the ensemble; spread and skill agree for exchangeable "
    "members") {
  constexpr std::size_t kPoints = 200000;
  const auto truth = normal(kPoints, 0);
  for (const std::size_t count : {std::size_t{2}, std::size_t{4}, std::size_t{10}}) {
    std::vector<std::vector<float>> members;
    for (std::size_t e = 0; e < count; ++e) members.push_back(normal(kPoints, 1 + e));
    const EnsembleScore one = score(members, truth);
    // Of standard normal forecast and truth: E|X - Y| / 2 = 1 / sqrt(pi).
    CHECK(one.crps == relative(1 / std::sqrt(std::numbers::pi)).epsilon(0.01));
    const auto m = static_cast<double>(count);
    CHECK(std::sqrt((m + 1) / m * one.variance / one.squared_error) == relative(1).epsilon(0.01));
  }
  // Too little spread shows.
  const EnsembleScore tight = score({normal(kPoints, 1, 0.5F), normal(kPoints, 2, 0.5F)}, truth);
  CHECK(std::sqrt(1.5 * tight.variance / tight.squared_error) ==
        relative(std::sqrt(1.5 * 0.25 / 1.125)).epsilon(0.01));
}

TEST_CASE("CRPS of a climatology") {
  SUBCASE("is that of an ensemble of its frames") {
    constexpr std::size_t kPoints = 50;
    const std::vector<float> a = normal(kPoints, 1), b = normal(kPoints, 2, 3), c = normal(kPoints, 3),
                             truth = normal(kPoints, 4);
    std::vector<float> frames = a;
    frames.insert(frames.end(), b.begin(), b.end());
    frames.insert(frames.end(), c.begin(), c.end());
    CHECK(ClimatologyCrps(frames, kPoints)(truth) == relative(score({a, b, c}, truth).crps));
    CHECK(contains(message_of([&] { ClimatologyCrps(a, kPoints); }), "a climatology of 1 frames"));
  }
  SUBCASE("knows what each point has") {
    // Of a standard normal forecast: y (2 Phi(y) - 1) + 2 phi(y) - 1 / sqrt(pi), at each point about its mean.
    constexpr std::size_t kMembers = 200000;
    std::vector<float> frames = normal(2 * kMembers, 3);
    for (std::size_t e = 0; e < kMembers; ++e) frames[2 * e + 1] += 5;
    const ClimatologyCrps crps(frames, 2);
    for (const float y : {-3.0F, -0.4F, 0.0F, 1.7F}) {
      const double phi = std::exp(-y * y / 2) / std::sqrt(2 * std::numbers::pi),
                   big = std::erfc(-y / std::numbers::sqrt2) / 2;
      CHECK(crps(std::vector<float>{y, y + 5}) ==
            relative(y * (2 * big - 1) + 2 * phi - 1 / std::sqrt(std::numbers::pi)).epsilon(0.01));
    }
  }
}

TEST_CASE("scores over the first frames, with lost members") {
  // Frame 0 does not count; three initial conditions, two members each.
  const EnsembleRecord good{{9, 0.1, 0.3}, {9, 1, 3}, {9, 2, 4}},
      bad{{9, 0.2, std::nan("")}, {9, 1, std::nan("")}, {9, 2, std::nan("")}};
  const Bootstrap bootstrap(1, 3, 100, 0.95);
  const std::vector<EnsembleRecord> whole{good, good, good}, lossy{good, bad, good};
  const auto scores = ensemble_scores(whole, 2, 10, 2, bootstrap);
  REQUIRE(scores.size() == 3);
  CHECK(scores[0].info.id() == "crps/early");
  CHECK(scores[0].info.label == "Fair CRPS of the ensemble, first 2 steps");
  CHECK(scores[0].estimate.value == relative(0.2));
  CHECK(scores[1].info.id() == "ensemble_nrmse/early");
  CHECK(scores[1].estimate.value == relative((std::sqrt(2) + 2) / 2));
  CHECK(scores[2].info.id() == "spread_skill/early");
  CHECK(scores[2].estimate.value == relative(std::sqrt(1.5 * 4 / 6.0)));
  const auto window = ensemble_scores(whole, 2, 1, 2, bootstrap);
  CHECK(window[0].estimate.value == relative(0.1));
  CHECK(window[0].info.label == "Fair CRPS of the ensemble");
  const auto lost = ensemble_scores(lossy, 2, 10, 2, bootstrap);
  CHECK(lost[0].members[1] == std::numeric_limits<double>::infinity());
  CHECK(lost[0].lost == 1);
  CHECK(lost[1].members[1] == std::numeric_limits<double>::infinity());
  CHECK(lost[2].lost == 1);
  CHECK(std::isnan(lost[2].estimate.value));
}
