#include "core/error.hpp"
#include "core/random.hpp"
#include "experiments/metrics/autocorrelation.hpp"
#include "experiments/metrics/distribution.hpp"
#include "experiments/metrics/member_record.hpp"
#include "experiments/metrics/scores.hpp"
#include "experiments/metrics/spectrum_error.hpp"
#include "experiments/metrics/statistics.hpp"
#include "tests/support/relative.hpp"
#include "tests/support/waves.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

using namespace sns;
using namespace sns::metrics;
using sns::test::relative, sns::test::wave;

namespace {

constexpr double kInfinite = std::numeric_limits<double>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

std::vector<float> noise(std::size_t count, std::uint64_t id, float scale = 1, float shift = 0) {
  RandomStream random(11, Purpose::validation, id);
  std::vector<float> values(count);
  random.fill_normal(values);
  for (float& v : values) v = scale * v + shift;
  return values;
}

double sum(const std::vector<double>& values) {
  double total = 0;
  for (const double v : values) total += v;
  return total;
}

}  // namespace

TEST_CASE("order statistics treat infinities as values and refuse NaN") {
  CHECK(median({3, 1, 2}) == 2);
  CHECK(median({4, 1, 2, 3}) == 2.5);
  CHECK(quantile({0, 10}, 0.25) == 2.5);
  CHECK(median({1, kInfinite, kInfinite}) == kInfinite);
  CHECK(median({1, 2, kInfinite}) == 2);
  CHECK(median({1, 2, kInfinite, kInfinite}) == kInfinite);
  CHECK(quantile({1, kInfinite, kInfinite, kInfinite}, 0.9) == kInfinite);
  CHECK(std::isnan(median({})));
  CHECK(std::isnan(median({1, std::nan("")})));
  CHECK(slope(std::vector<double>{0, 1, 2}, std::vector<double>{1, 3, 5}) == relative(2));
  CHECK(std::isnan(slope(std::vector<double>{1}, std::vector<double>{1})));
  CHECK(normal_quantile(0.975) == relative(1.959963985).epsilon(1e-8));
}

TEST_CASE("the bootstrap interval of a mean is the normal one for many members") {
  const auto sample = noise(400, 1);
  const std::vector<double> values(sample.begin(), sample.end());
  const Bootstrap bootstrap(3, 400, 4000, 0.95);
  const auto estimate = bootstrap.estimate([&](std::span<const int> drawn) {
    double total = 0;
    for (const int i : drawn) total += values[static_cast<std::size_t>(i)];
    return total / static_cast<double>(drawn.size());
  });
  const double half = 1.96 / std::sqrt(400.0);
  CHECK(estimate.value == relative(mean(values)));
  CHECK(estimate.value - estimate.low == relative(half).epsilon(0.12));
  CHECK(estimate.high - estimate.value == relative(half).epsilon(0.12));
}

TEST_CASE("bootstrap draws depend on seed and members alone") {
  const std::vector<double> values{1, 5, 2, 8, 3};
  const auto a = Bootstrap(7, 5, 500, 0.9).of_median(values), b = Bootstrap(7, 5, 500, 0.9).of_median(values);
  CHECK(a.low == b.low);
  CHECK(a.high == b.high);
  CHECK(a.low < a.value);
  CHECK(a.high > a.value);
  CHECK(Bootstrap(7, 4, 500, 0.95).of_median(std::vector<double>{1, 2, 4, kInfinite}).high == kInfinite);
}

TEST_CASE("so few members that the bootstrap's interval would miss most of the time have none") {
  const std::vector<double> values{1, 5, 2, 8};
  CHECK(Bootstrap(7, 4, 500, 0.95).of_median(values).high == 8);
  const auto of_three = Bootstrap(7, 3, 500, 0.95).of_median(std::span(values).first(3));
  CHECK(of_three.value == 2);
  CHECK(std::isnan(of_three.low));
  CHECK(std::isnan(of_three.high));
  CHECK(Bootstrap(7, 1, 500, 0.95).of_share(std::vector<double>{1}).low > 0);  // Wilson's holds for any number
}

TEST_CASE("the interval of a share keeps its width at 0 and 1") {
  const Bootstrap bootstrap(1, 8, 10, 0.95);
  const auto all = bootstrap.of_share(std::vector<double>(8, 1.0));
  CHECK(all.value == 1);
  CHECK(all.high == 1);
  CHECK(all.low == relative(8 / (8 + 1.959964 * 1.959964)).epsilon(1e-6));
  CHECK(bootstrap.of_share(std::vector<double>(8, 0.0)).high == relative(1 - all.low));
}

TEST_CASE("W1 from the streamed distribution equals W1 from sorted samples") {
  const std::size_t count = 20000;
  auto x = noise(count, 2, 3.0F, 0.5F), y = noise(count, 3, 3.9F, 0.9F);
  y[0] = 400;  // far beyond the grid: enters by its excess
  Distribution a(0.5, 3), b(0.5, 3);
  a.add(std::span(x).first(count / 2));
  Distribution rest(0.5, 3);
  rest.add(std::span(x).subspan(count / 2));
  a.add(rest);
  b.add(y);
  std::sort(x.begin(), x.end());
  std::sort(y.begin(), y.end());
  double exact = 0;
  for (std::size_t i = 0; i < count; ++i)
    exact += std::abs(static_cast<double>(x[i]) - static_cast<double>(y[i]));
  exact /= 3 * static_cast<double>(count);
  CHECK(wasserstein1(a, b) == relative(exact).epsilon(1e-3));
  CHECK(wasserstein1(a, b) == wasserstein1(b, a));
  CHECK(wasserstein1(a, a) == 0);
  CHECK(wasserstein1(a, Distribution(0.5, 3)) == kInfinite);
  const auto density = a.density(512);
  CHECK(sum(density) * 32 / 512 == relative(1).epsilon(1e-9));
}

TEST_CASE("a shift of the distribution is its W1") {
  const auto x = noise(5000, 4);
  auto y = x;
  for (float& v : y) v += 0.25F;
  Distribution a(0, 1), b(0, 1);
  a.add(x);
  b.add(y);
  CHECK(wasserstein1(a, b) == relative(0.25).epsilon(1e-4));
}

TEST_CASE("streamed autocorrelation equals the direct double loop") {
  const std::size_t pixels = 50;
  const int lags = 6, frames = 25;
  std::vector<std::vector<float>> x;
  Autocorrelation streamed(pixels, lags);
  for (int t = 0; t < frames; ++t) {
    // The offset would dominate every product if spatial means were not removed.
    auto frame = noise(pixels, 10 + static_cast<std::uint64_t>(t), 1, 100);
    if (t > 0)
      for (std::size_t i = 0; i < pixels; ++i) frame[i] = 0.8F * x.back()[i] + 0.2F * frame[i];
    x.push_back(frame);
    streamed.add(frame, t != 9);
  }
  const auto unit = [&](int t) {
    std::vector<double> v(x[static_cast<std::size_t>(t)].begin(), x[static_cast<std::size_t>(t)].end());
    const double m = mean(v);
    double norm = 0;
    for (double& e : v) e -= m;
    for (const double e : v) norm += e * e;
    for (double& e : v) e /= std::sqrt(norm);
    return v;
  };
  const auto curve = streamed.result();
  REQUIRE(curve.size() == lags + 1);
  for (int lag = 0; lag <= lags; ++lag) {
    double total = 0;
    int pairs = 0;
    for (int t = 0; t + lag < frames; ++t) {
      if (t == 9 || t + lag == 9) continue;
      const auto a = unit(t), b = unit(t + lag);
      for (std::size_t i = 0; i < pixels; ++i) total += a[i] * b[i];
      ++pairs;
    }
    CHECK(curve[static_cast<std::size_t>(lag)] == relative(total / pairs).epsilon(1e-5));
  }
}

TEST_CASE("the error of C(tau) is taken up to truth's first zero") {
  const std::vector<double> truth{1, 0.5, -0.5, -1}, curve{1, 0.7, -0.1, 5};
  CHECK(first_crossing(truth, 0) == relative(1.5));
  CHECK(first_crossing(std::vector<double>{1, 0.9, 0.8}, 0) == 2);
  CHECK(autocorrelation_error(curve, truth) == relative((0.2 + 0.4) / 3));
  CHECK(autocorrelation_error(std::vector<double>{1, std::nan(""), 0, 0}, truth) == kInfinite);
}

TEST_CASE("spectrum error, bias and mask") {
  std::vector<double> k, truth, twice;
  for (int i = 1; i <= 12; ++i) {
    k.push_back(i);
    truth.push_back(std::pow(i, -3.0));
    twice.push_back(truth.back() * std::exp(i <= 4 ? -0.3 : 0.3));
  }
  const auto mask = make_mask(k, truth, 11, 1, 0);
  CHECK(mask.bins.size() == 11);  // 12 is beyond what the grid resolves
  CHECK(make_mask(k, truth, 11, 3, 6).bins == std::vector<std::size_t>{2, 3, 4, 5});
  CHECK(spectrum_error(truth, truth, mask) == 0);
  CHECK(spectrum_error(twice, truth, mask) == relative(0.3));
  CHECK(log_bias(twice, truth, mask, 0, 3) == relative(-0.3));
  CHECK(log_bias(twice, truth, mask, 2, 3) == relative(0.3));
  const auto [first, last] = band(k, mask, 2, 3);
  CHECK(first == 8);
  CHECK(last == 11);
  twice[5] = 0;
  CHECK(spectrum_error(twice, truth, mask) == kInfinite);
  twice[5] = std::nan("");
  CHECK(spectrum_error(twice, truth, mask) == kInfinite);

  truth[7] = 1e-20;  // nothing but rounding there
  const auto bins = make_mask(k, truth, 11, 1, 0).bins;
  CHECK(std::find(bins.begin(), bins.end(), 7U) == bins.end());
  CHECK_THROWS_WITH(make_mask(k, truth, 11, 20, 0), doctest::Contains("evaluate.first_shell 20"));
}

TEST_CASE("energy, enstrophy and shells of a single wave") {
  const int n = 32, kx = -3, ky = 4;
  const double amplitude = 1.7, length = 4.0, unit = 2 * std::numbers::pi / length, wavenumber = 5 * unit;
  FrameDiagnostics diagnostics({.points = n, .length = length}, SpectrumKind::shells, {1.0});
  std::vector<double> spectrum(diagnostics.wavenumbers().size());
  const auto values = diagnostics.measure(wave(n, kx, ky, amplitude), spectrum).front();
  CHECK(values.enstrophy == relative(amplitude * amplitude / 4).epsilon(1e-6));
  CHECK(values.energy == relative(amplitude * amplitude / (4 * wavenumber * wavenumber)).epsilon(1e-6));
  CHECK(diagnostics.wavenumbers()[4] == relative(wavenumber));
  CHECK(spectrum[4] == relative(values.energy).epsilon(1e-6));
  CHECK(sum(spectrum) == relative(values.energy).epsilon(1e-6));
  CHECK(diagnostics.resolved_wavenumber() == relative(15 * unit));
}

namespace {

RecordSettings settings_for(std::int64_t frames) {
  RecordSettings settings;
  settings.frames = frames;
  settings.window = 10;
  settings.interval = 0.5;
  settings.lags = 4;
  settings.correlation_thresholds = {0.9, 0.5};
  settings.yardstick = {0, 1, {0.1, 0.2}, {0.2, 0.3}, 0.1};
  return settings;
}

constexpr int kPoints = 16;

/// Energy of wave(kPoints, 1, 0, a): a^2 / 4, and the same enstrophy.
MemberRecord run(const std::vector<double>& amplitudes, std::int64_t nan_from = 1'000'000, bool paired = false,
                 std::int64_t temporal_window = 250) {
  const auto frames = static_cast<std::int64_t>(amplitudes.size());
  RecordSettings settings = settings_for(frames);
  settings.temporal_window = temporal_window;
  MemberRecorder recorder({settings}, FrameDiagnostics({.points = kPoints, .length = 2 * std::numbers::pi},
                                                       SpectrumKind::shells, {1.0}));
  for (std::int64_t t = 0; t < frames; ++t) {
    auto frame = wave(kPoints, 1, 0, amplitudes[static_cast<std::size_t>(t)]);
    const auto truth = wave(kPoints, 1, 0, 0.9);
    if (t >= nan_from) frame[3] = kNan;
    recorder.add(frame, paired ? std::span<const float>(truth) : std::span<const float>());
  }
  return recorder.finish().front();
}

/// Amplitudes of a wave whose energy is that of 0.9 but for 1 part in 5000, and not twice the same.
std::vector<double> nearly_steady(std::int64_t frames) {
  std::vector<double> amplitudes;
  for (std::int64_t t = 0; t < frames; ++t) amplitudes.push_back(0.9 * std::exp(t % 2 == 0 ? 0.01 : -0.01));
  return amplitudes;
}

}  // namespace

TEST_CASE("a steady member within truth's range is stable, and frozen in its rate") {
  const auto record = run(std::vector<double>(21, 0.9));
  CHECK(record.first_unstable == -1);
  CHECK(record.first_nonfinite == -1);
  REQUIRE(record.windows.size() == 2);
  CHECK(record.windows[1].whole());
  CHECK(record.windows[1].rate == 0);
  std::vector<double> moving(21);
  for (std::size_t t = 0; t < moving.size(); ++t) moving[t] = t % 2 == 0 ? 0.8 : 1.0;
  const std::vector<MemberRecord> truth{run(moving)}, members{record, truth[0]};
  const TruthReference reference = make_reference(truth, {1, 2, 3, 4, 5, 6, 7, 8}, 7, 1, 0, settings_for(21));
  const auto scores = score(members, reference, {0.1, {}}, Bootstrap(1, 2, 10, 0.95), "");
  const auto frozen = std::find_if(scores.begin(), scores.end(),
                                   [](const Score& one) { return one.info.key == "frozen_fraction"; });
  REQUIRE(frozen != scores.end());
  CHECK(frozen->members == std::vector<double>{1, 0});
  CHECK(record.windows[1].energy == relative(0.81 / 4).epsilon(1e-6));
  CHECK(record.windows[1].spectrum[0] == relative(0.81 / 4).epsilon(1e-6));
  CHECK(record.autocorrelation[3] == relative(1).epsilon(1e-5));
}

TEST_CASE("a member is unstable from the first frame beyond the range, and its loss is counted") {
  std::vector<double> amplitudes(31, 0.9);
  for (std::size_t t = 14; t < amplitudes.size(); ++t) amplitudes[t] = 1.7;  // energy 0.72 > 2 x 0.2
  const auto record = run(amplitudes, 25);
  CHECK(record.first_unstable == 14);
  CHECK(record.first_nonfinite == 25);
  CHECK(record.windows[0].whole());
  CHECK_FALSE(record.windows[2].whole());
  CHECK(record.windows[2].finite == 4);
  CHECK(record.windows[2].energy == relative(1.7 * 1.7 / 4).epsilon(1e-6));
  CHECK(record.late.pixels.count() == 4 * kPoints * kPoints);
  std::vector<double> weak(21, 0.9);
  weak[7] = 0.4;  // energy 0.04 < 0.1 / 2
  CHECK(run(weak).first_unstable == 7);
}

TEST_CASE("rate of change, nRMSE and correlation time against the paired truth") {
  std::vector<double> amplitudes;
  for (int t = 0; t < 21; ++t) amplitudes.push_back(0.9 + 0.01 * t);
  const auto record = run(amplitudes, 15, true);
  double mean_of_wave = 0;
  for (const float v : wave(kPoints, 1, 0, 1))
    mean_of_wave += std::abs(static_cast<double>(v)) / (kPoints * kPoints);
  CHECK(record.windows[0].rate == relative(0.01 * mean_of_wave / 0.5).epsilon(1e-4));
  CHECK(record.paired_nrmse[10] == relative(0.1 / std::numbers::sqrt2).epsilon(1e-4));
  CHECK(record.paired_correlation[10] == relative(1));
  CHECK(record.correlation_time[0] == 15 * 0.5);  // NaN is no correlation
  CHECK(run(amplitudes, 1000, true).correlation_time[0] == kInfinite);
}

TEST_CASE("correlation time: the first frame below each threshold, and a table row for each") {
  // A wave that moves by a hundredth of its length in a frame: its correlation with what it was is the cosine
  // of the phase, 0.9 or more to frame 7 and 0.5 or more to frame 16.
  constexpr std::int64_t kFrames = 40;
  const RecordSettings settings = settings_for(kFrames);
  const auto moving = [&](double per_frame) {
    MemberRecorder recorder({settings}, FrameDiagnostics({.points = kPoints, .length = 2 * std::numbers::pi},
                                                         SpectrumKind::shells, {1.0}));
    const auto truth = wave(kPoints, 1, 0, 0.9);
    for (std::int64_t t = 0; t < kFrames; ++t)
      recorder.add(wave(kPoints, 1, 0, 0.9, per_frame * static_cast<double>(t)), std::span<const float>(truth));
    return recorder.finish().front();
  };
  const double hundredth = 2 * std::numbers::pi / 100;
  const std::vector<MemberRecord> members{moving(hundredth), moving(hundredth / 2)};
  CHECK(members[0].correlation_time == std::vector<double>{8 * 0.5, 17 * 0.5});
  CHECK(members[1].correlation_time == std::vector<double>{15 * 0.5, 34 * 0.5});
  CHECK(moving(0).correlation_time == std::vector<double>{kInfinite, kInfinite});
  CHECK(members[0].paired_correlation[10] == relative(std::cos(10 * hundredth)).epsilon(1e-5));
  const std::vector<MemberRecord> truth{run(nearly_steady(kFrames))};
  const TruthReference reference =
      make_reference(truth, {1, 2, 3, 4, 5, 6, 7, 8}, 7, 1, 0, settings_for(kFrames));
  const auto scores = score(members, reference, {0.1, {0.9, 0.5}}, Bootstrap(1, 2, 10, 0.95), "");
  const auto times = [&](const std::string& key) {
    const auto found =
        std::find_if(scores.begin(), scores.end(), [&](const Score& one) { return one.info.key == key; });
    REQUIRE(found != scores.end());
    return found->members;
  };
  CHECK(times("correlation_time_0.9") == std::vector<double>{4, 7.5});
  CHECK(times("correlation_time_0.5") == std::vector<double>{8.5, 17});
}

TEST_CASE("drift is the slope of a member's spectrum error over windows, per 1000 steps") {
  // Windows of ten frames, each with e^0.2 times the energy of the one before.
  std::vector<double> amplitudes{0.9};
  for (int t = 0; t < 40; ++t) amplitudes.push_back(0.9 * std::exp(0.1 * (t / 10)));
  const std::vector<MemberRecord> truth{run(nearly_steady(41))}, members{run(amplitudes), truth[0]};
  const TruthReference reference = make_reference(truth, {1, 2, 3, 4, 5, 6, 7, 8}, 1, 1, 0, settings_for(41));
  const Bootstrap bootstrap(1, 2, 10, 0.95);
  for (std::size_t window = 0; window < 4; ++window) {
    CAPTURE(window);
    const auto errors = window_error(members, window, reference, bootstrap).members;
    CHECK(std::abs(errors[0] - 0.2 * static_cast<double>(window)) < 1e-3);
    CHECK(std::abs(errors[1]) < 1e-3);
  }
  const auto scores = score(members, reference, {0.1, {}}, bootstrap, "");
  const auto drift = std::find_if(scores.begin(), scores.end(),
                                  [](const Score& one) { return one.info.key == "spectrum_drift"; });
  REQUIRE(drift != scores.end());
  CHECK(drift->members[0] == relative(20).epsilon(1e-2));
  CHECK(std::abs(drift->members[1]) < 1e-2);
}

TEST_CASE("the first and the last steps are kept in full") {
  std::vector<double> amplitudes;
  for (int t = 0; t < 31; ++t) amplitudes.push_back(0.9 + 0.01 * t);
  amplitudes[30] = 0.5;
  const auto of_length = [](std::int64_t frames, std::int64_t length) {
    const auto [begin, end] = temporal_windows(frames, length);
    return std::vector<std::int64_t>{begin.first, begin.last, end.first, end.last};
  };
  CHECK(of_length(31, 10) == std::vector<std::int64_t>{0, 10, 20, 30});
  CHECK(of_length(8, 10) == std::vector<std::int64_t>{0, 7, 0, 7});
  const auto record = run(amplitudes, 1000, false, 10);
  CHECK(record.begin.last == 10);
  CHECK(record.end.first == 20);
  REQUIRE(record.begin.rate.size() == 10);
  REQUIRE(record.end.rate.size() == 10);
  CHECK(record.begin.rate[3] == relative(record.windows[0].rate).epsilon(1e-3));
  CHECK(record.end.rate[9] ==
        relative(69 * record.end.rate[0]).epsilon(1e-3));  // 1.19 -> 0.5 after steps of 0.01
  CHECK(record.begin.autocorrelation.size() == 5);
  CHECK(record.end.autocorrelation[4] == relative(1).epsilon(1e-5));
  CHECK(record.end.whole());

  const auto lost = run(amplitudes, 25, false, 10);
  CHECK(lost.begin.whole());
  CHECK_FALSE(lost.end.whole());
  CHECK(std::isnan(lost.end.rate[4]));
  CHECK_FALSE(std::isnan(lost.end.rate[3]));
}

TEST_CASE("distances of the mean field and the mean spectrum from truth's") {
  // Both are of one wave: fields add up, energies go with the square of the amplitude.
  const std::vector<MemberRecord> truth{run(std::vector<double>(21, 0.8)), run(std::vector<double>(21, 1.0))};
  const RecordSettings settings = settings_for(21);
  const TruthReference reference = make_reference(truth, {1, 2, 3, 4, 5, 6, 7, 8}, 7, 1, 0, settings);
  CHECK(reference.mean_field[0] == relative(0.9).epsilon(1e-6));
  const auto scored = [&](const std::vector<MemberRecord>& members, const std::string& id) {
    const Bootstrap bootstrap(1, static_cast<int>(members.size()), 200, 0.95);
    for (const Score& score : score(members, reference, {0.1, {}}, bootstrap, ""))
      if (score.info.id() == id) return score;
    throw Error("no score " + id);
  };
  const std::vector<MemberRecord> other{run(std::vector<double>(21, 1.2)), run(std::vector<double>(21, 1.2)),
                                        run(std::vector<double>(21, 1.0)), run(std::vector<double>(21, 1.0))};
  const Score field = scored(other, "mean_field_distance/all");
  CHECK(field.estimate.value == relative(0.2 / std::numbers::sqrt2).epsilon(1e-5));  // (1.2 + 1.0) / 2 - 0.9
  CHECK(field.estimate.low == relative(0.1 / std::numbers::sqrt2).epsilon(1e-5));
  CHECK(field.estimate.high == relative(0.3 / std::numbers::sqrt2).epsilon(1e-5));
  const double energy = (0.64 + 1.0) / 2, its = (1.44 + 1.0) / 2;
  CHECK(scored(other, "spectrum_distance/all").estimate.value ==
        relative((its - energy) / energy).epsilon(1e-5));
  CHECK(std::abs(scored(truth, "spectrum_distance/all").estimate.value) < 1e-9);
  CHECK(std::abs(scored(truth, "autocorrelation_error/late").estimate.value) < 1e-9);

  const std::vector<MemberRecord> lost{
      run(std::vector<double>(21, 1.2), 0), run(std::vector<double>(21, 1.2), 0),
      run(std::vector<double>(21, 1.2), 0), run(std::vector<double>(21, 1.0), 15)};
  CHECK(scored(lost, "mean_field_distance/all").lost == 4);
  CHECK(scored(lost, "mean_field_distance/all").estimate.value ==
        relative(0.1 / std::numbers::sqrt2).epsilon(1e-5));
  CHECK(scored(lost, "mean_field_distance/all").estimate.high == kInfinite);  // draws without the finite one
  CHECK(scored(lost, "autocorrelation_error/late").lost == 4);
  CHECK(scored(lost, "autocorrelation_error/early").lost == 4);
  // A lost member has no infinite value here, and is not frozen.
  CHECK(scored(lost, "frozen_fraction/all").lost == 4);
  CHECK(scored(other, "frozen_fraction/all").lost == 0);
}

TEST_CASE("kinetic energy of each layer comes from inverting both potential vorticities") {
  const Flow flow{.points = 32,
                  .length = 1e6,
                  .fields = {"q_upper", "q_lower"},
                  .units = {"s^-1", "s^-1"},
                  .axes = {"y", "x"},
                  .layers = Layers{.deformation_radius = 15000, .depth_ratio = 0.25}};
  // psi1 = a cos(k x), psi2 = b cos(k x): q1 = -(k^2 + F1) psi1 + F1 psi2, q2 = F2 psi1 - (k^2 + F2) psi2.
  const double unit = 2 * std::numbers::pi / flow.length, k = 3 * unit, a = 2000, b = -700;
  const double f1 = 1 / (15000.0 * 15000.0) / 1.25, f2 = 0.25 * f1;
  const double q1 = -(k * k + f1) * a + f1 * b, q2 = f2 * a - (k * k + f2) * b;
  std::vector<float> frame = wave(32, 0, 3, q1);
  const auto lower = wave(32, 0, 3, q2);
  frame.insert(frame.end(), lower.begin(), lower.end());
  for (const auto kind : {SpectrumKind::shells, SpectrumKind::pv, SpectrumKind::paper_qg_pv}) {
    FrameDiagnostics diagnostics(flow, kind, {2e-6, 3e-7});
    const std::size_t bins = diagnostics.wavenumbers().size();
    std::vector<double> spectra(2 * bins);
    const auto values = diagnostics.measure(frame, spectra);
    REQUIRE(values.size() == 2);
    const double energy[] = {k * k * a * a / 4, k * k * b * b / 4}, enstrophy[] = {q1 * q1 / 4, q2 * q2 / 4};
    const double scales[] = {2e-6, 3e-7};
    for (std::size_t layer = 0; layer < 2; ++layer) {
      CHECK(values[layer].energy == relative(energy[layer]).epsilon(1e-5));
      CHECK(values[layer].enstrophy == relative(enstrophy[layer]).epsilon(1e-5));
      const std::vector<double> spectrum(spectra.begin() + static_cast<std::ptrdiff_t>(layer * bins),
                                         spectra.begin() + static_cast<std::ptrdiff_t>((layer + 1) * bins));
      const double expected = kind == SpectrumKind::shells ? energy[layer]
                              : kind == SpectrumKind::pv
                                  ? enstrophy[layer]
                                  : 9 * enstrophy[layer] / (scales[layer] * scales[layer]);
      CHECK(sum(spectrum) == relative(expected).epsilon(1e-5));
      if (kind != SpectrumKind::paper_qg_pv) CHECK(spectrum[2] == relative(expected).epsilon(1e-5));
    }
  }
  CHECK(spectrum_kind("paper", flow) == SpectrumKind::paper_qg_pv);
  CHECK(spectrum_kind("paper", Flow{}) == SpectrumKind::paper);
  CHECK_THROWS_AS(spectrum_kind("paper_qg_pv", Flow{}), ConfigError);
}

TEST_CASE("a member is stable while all its fields are") {
  std::vector<MemberRecord> upper{run(std::vector<double>(21, 0.9)), run(std::vector<double>(21, 0.9))},
      lower = upper;
  upper[0].first_unstable = 12;
  lower[0].first_unstable = 7;
  lower[1].first_nonfinite = lower[1].first_unstable = 5;
  const std::vector<std::span<const MemberRecord>> fields{upper, lower};
  const auto scores = stability(fields, Bootstrap(1, 2, 100, 0.95));
  REQUIRE(scores.size() == 3);
  CHECK(scores[0].estimate.value == 0);    // stable
  CHECK(scores[1].estimate.value == 0.5);  // finite
  CHECK(scores[2].members == std::vector<double>{7, 5});
  CHECK(scores[2].lost == 1);
  CHECK(scores[2].info.id() == "first_unstable/all");
}
