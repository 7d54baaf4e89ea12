#include "core/random.hpp"
#include "experiments/metrics/member_record.hpp"
#include "experiments/metrics/scores.hpp"
#include "tests/support/relative.hpp"
#include "tests/support/waves.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

using namespace sns;
using namespace sns::metrics;
using sns::test::relative, sns::test::wave;

TEST_CASE("moments of the small scales see neither the large ones nor the corners") {
  const int n = 32;
  FrameDiagnostics diagnostics({.points = n, .length = 1.0}, SpectrumKind::shells, {1.0});
  std::vector<double> spectrum(diagnostics.wavenumbers().size());
  std::vector<float> frame = wave(n, 8, 0, 0.5);  // n/4, the first that counts
  for (const auto& [kx, ky] : {std::pair{7, 0}, std::pair{2, 3}, std::pair{14, 14}}) {
    const auto other = wave(n, kx, ky, 2);
    for (std::size_t i = 0; i < frame.size(); ++i) frame[i] += other[i];
  }
  for (float& value : frame) value += 0.25F;
  const auto values = diagnostics.measure(frame, spectrum).front();
  CHECK(values.mean == relative(0.25).epsilon(1e-6));
  CHECK(values.small_square == relative(0.25 / 2).epsilon(1e-5));
  CHECK(values.small_fourth == relative(0.0625 / 2).epsilon(1e-5));  // 1, 0, -1, 0, ...
}

TEST_CASE("flatness tells noise from filaments of the same spectrum, and the domain mean is followed") {
  const int n = 32;
  RandomStream random(5, Purpose::validation, 0);
  // frames of the small scales: a few points that stand out, and noise, both of variance 1
  const auto frames = [&](bool noise, float mean) {
    std::vector<std::vector<float>> out;
    for (int t = 0; t < 41; ++t) {
      std::vector<float> frame(static_cast<std::size_t>(n * n));
      random.fill_normal(frame);
      if (!noise)
        for (float& value : frame) value = std::abs(value) > 2.2F ? 6 * value / std::abs(value) : 0;
      for (float& value : frame) value += mean;
      out.push_back(std::move(frame));
    }
    return out;
  };
  const auto measured = [&](const std::vector<std::vector<float>>& all) {
    RecordSettings settings;
    settings.frames = 41;
    settings.window = 20;
    settings.interval = 1;
    settings.lags = 2;
    settings.yardstick = {0, 1, {0, 1}, {0, 1}, 1};
    MemberRecorder recorder({settings},
                            FrameDiagnostics({.points = n, .length = 1.0}, SpectrumKind::shells, {1.0}));
    for (const auto& frame : all) recorder.add(frame, {});
    return std::pair{recorder.finish().front(), settings};
  };
  const auto [truth, settings] = measured(frames(false, 0));
  FrameDiagnostics diagnostics({.points = n, .length = 1.0}, SpectrumKind::shells, {1.0});
  const auto reference = make_reference(std::span(&truth, 1), diagnostics.wavenumbers(),
                                        diagnostics.resolved_wavenumber(), 1, 0, settings);
  CHECK(reference.flatness > 3.5);
  const auto [noise, unused] = measured(frames(true, 0.5F));
  CHECK(noise.windows[1].flatness() == relative(3).epsilon(0.05));
  const auto scores = score(std::span(&noise, 1), reference, {}, Bootstrap(1, 1, 10, 0.95));
  const auto value = [&](const std::string& id) {
    return std::find_if(scores.begin(), scores.end(), [&](const Score& s) { return s.info.id() == id; })
        ->members[0];
  };
  CHECK(value("flatness_ratio/late") == relative(noise.windows[1].flatness() / reference.flatness));
  CHECK(value("flatness_error/late") == relative(-std::log(value("flatness_ratio/late"))));
  CHECK(value("mean_wander/late") == relative(0.5).epsilon(0.05));
  // a member without small scales has no shape there; of a truth without them none is asked for
  std::vector<std::vector<float>> waves;
  for (int t = 0; t < 41; ++t) waves.push_back(wave(n, 1, 0, 1 + 0.01 * t));
  const auto [smooth, also_unused] = measured(waves);
  const auto of_smooth = score(std::span(&smooth, 1), reference, {}, Bootstrap(1, 1, 10, 0.95));
  int seen = 0;
  for (const Score& one : of_smooth) {
    if (one.info.key == "flatness_ratio") CHECK(one.members[0] == 0);
    if (one.info.key == "flatness_error") CHECK(std::isinf(one.members[0]));
    seen += one.info.key.starts_with("flatness") ? 1 : 0;
  }
  CHECK(seen > 0);
  const auto smooth_reference = make_reference(std::span(&smooth, 1), diagnostics.wavenumbers(),
                                               diagnostics.resolved_wavenumber(), 1, 0, settings);
  const auto without = score(std::span(&noise, 1), smooth_reference, {}, Bootstrap(1, 1, 10, 0.95));
  CHECK(std::none_of(without.begin(), without.end(),
                     [](const Score& one) { return one.info.key.starts_with("flatness"); }));
}
