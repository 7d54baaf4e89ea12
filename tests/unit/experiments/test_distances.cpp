#include "core/error.hpp"
#include "core/random.hpp"
#include "experiments/metrics/scores.hpp"
#include "experiments/metrics/two_sample.hpp"
#include "tests/support/relative.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <numbers>

using namespace sns;
using namespace sns::metrics;
using sns::test::relative;

namespace {

constexpr double kInfinite = std::numeric_limits<double>::infinity();

std::vector<double> normal(std::size_t count, std::uint64_t id, double scale = 1, double shift = 0) {
  RandomStream random(12, Purpose::validation, id);
  std::vector<float> values(count);
  random.fill_normal(values);
  std::vector<double> result;
  for (const float v : values) result.push_back(shift + scale * static_cast<double>(v));
  return result;
}

constexpr int kPoints = 16;

/// Frames a(t) cos(x - t/10): energy and enstrophy a^2 / 4, increments of about a / 10.
MemberRecord travelling_wave(const std::vector<double>& amplitudes, double angular_step = 0.1) {
  RecordSettings settings;
  settings.frames = static_cast<std::int64_t>(amplitudes.size());
  settings.window = 50;
  settings.interval = 1;
  settings.lags = 20;
  settings.yardstick = {0, 1, {0.1, 0.4}, {0.1, 0.4}, 0.1};
  MemberRecorder recorder({settings}, FrameDiagnostics({.points = kPoints, .length = 2 * std::numbers::pi},
                                                       SpectrumKind::shells, {1.0}));
  for (std::size_t t = 0; t < amplitudes.size(); ++t) {
    std::vector<float> frame;
    for (int i = 0; i < kPoints; ++i)
      for (int j = 0; j < kPoints; ++j)
        frame.push_back(static_cast<float>(amplitudes[t] * std::cos(2 * std::numbers::pi * i / kPoints -
                                                                    angular_step * static_cast<double>(t))));
    recorder.add(frame, {});
  }
  return recorder.finish().front();
}

std::vector<double> amplitudes(std::size_t frames, std::uint64_t id, double factor = 1) {
  auto result = normal(frames, id, 0.05, 1);
  for (double& a : result) a *= factor;
  return result;
}

double value_of(const std::vector<Score>& scores, const std::string& id) {
  for (const Score& score : scores)
    if (score.info.id() == id) return score.estimate.value;
  FAIL("no score ", id);
  return 0;
}

}  // namespace

TEST_CASE("W1 of samples of different sizes is the area between their distribution functions") {
  CHECK(wasserstein1({0, 1}, {0, 1}) == 0);
  CHECK(wasserstein1({0, 1, 2}, {2.5, 0.5, 1.5}) == relative(0.5));
  // F steps by 1/2 at 0 and 4, G by 1 at 1: |F - G| is 1/2 on [0, 1] and [1, 4].
  CHECK(wasserstein1({0, 4}, {1}) == relative(2));
  CHECK(wasserstein1({1}, {4, 0}) == relative(2));
  CHECK(wasserstein1({}, {1}) == kInfinite);
  auto x = normal(4000, 1), y = normal(2000, 2, 1, 0.7);
  CHECK(wasserstein1(x, y) == relative(0.7).epsilon(0.1));
}

TEST_CASE("in one dimension the squared energy distance is twice the integral of (F - G)^2") {
  // F steps by 1/2 at 0 and 4, G by 1 at 1: (F - G)^2 is 1/4 on [0, 4].
  CHECK(std::pow(PointCloud({0, 4}, 1).energy_distance(std::vector<double>{1}), 2) == relative(2));
  const auto x = normal(300, 3), y = normal(300, 4, 1, 3);
  const PointCloud truth(x, 1);
  CHECK(std::abs(truth.energy_distance(x)) < 1e-6);
  CHECK(truth.energy_distance(y) > 5 * truth.energy_distance(normal(300, 5)));
  CHECK(truth.energy_distance({}) == kInfinite);
  CHECK(truth.energy_distance(std::vector<double>{1, std::nan("")}) == kInfinite);
}

TEST_CASE("the kernel's bandwidth is the median distance, and the discrepancy is bounded") {
  // Corners of a 3-4-5 rectangle: distances 3, 3, 4, 4, 5, 5.
  const std::vector<double> corners{0, 0, 3, 0, 0, 4, 3, 4};
  const PointCloud truth(corners, 2);
  CHECK(truth.bandwidth() == 4);
  CHECK(std::abs(truth.maximum_mean_discrepancy(corners)) < 1e-6);
  const auto k = [](double d) { return std::exp(-d * d / 32); };
  const double own = (1 + k(3) + k(4) + k(5)) / 4;
  // One point far away: E k(X, X') = 1, no overlap.
  CHECK(truth.maximum_mean_discrepancy(std::vector<double>{1e6, 0}) == relative(std::sqrt(1 + own)));
  // The centre is 2.5 from every corner.
  CHECK(truth.maximum_mean_discrepancy(std::vector<double>{1.5, 2}) ==
        relative(std::sqrt(1 - 2 * k(2.5) + own)));
  CHECK_THROWS_AS(PointCloud({1, 1, 1}, 1), Error);
  CHECK_THROWS_AS(PointCloud({1, 2, 3}, 2), Error);
}

TEST_CASE("distances between distributions see what changed, and only that") {
  const std::vector<MemberRecord> truth{travelling_wave(amplitudes(101, 6)),
                                        travelling_wave(amplitudes(101, 7))};
  RecordSettings settings;
  settings.frames = 101;
  settings.interval = 1;
  settings.yardstick = {0, 1, {0.1, 0.4}, {0.1, 0.4}, 0.1};
  // The wave has energy at k = 1 alone; the others hold rounding.
  const TruthReference reference =
      make_reference(truth, {1, 2, 3, 4, 5, 6, 7, 8}, kPoints / 2 - 1, 1, 1, settings);
  const Bootstrap bootstrap(1, 2, 100, 0.95);
  const auto scores = [&](double factor, double angular_step) {
    const std::vector<MemberRecord> members{travelling_wave(amplitudes(101, 8, factor), angular_step),
                                            travelling_wave(amplitudes(101, 9, factor), angular_step)};
    return score(members, reference, {}, bootstrap);
  };
  const auto same = scores(1, 0.1), stronger = scores(1.2, 0.1), faster = scores(1, 0.3);
  for (const char* id : {"w1_energy/late", "w1_enstrophy/all", "energy_distance/late", "mmd/all"}) {
    CAPTURE(id);
    CHECK(value_of(stronger, id) > 4 * value_of(same, id));
    CHECK(value_of(faster, id) < 2 * value_of(same, id));
  }
  CHECK(value_of(faster, "w1_increment/late") > 4 * value_of(same, "w1_increment/late"));
  // 1.2^2 times the energy, whose mean is (1 + 0.05^2) / 4 and whose standard deviation is 0.05 / 2.
  CHECK(value_of(stronger, "w1_energy/all") == relative(0.44 / 4 / 0.025).epsilon(0.1));
  // C(tau) = cos(angular_step tau) falls to 1/2 at pi / 3 / angular_step.
  CHECK(value_of(same, "decorrelation_ratio/all") == relative(1).epsilon(0.01));
  CHECK(value_of(faster, "decorrelation_ratio/all") == relative(1.0 / 3).epsilon(0.01));
}
