// Which frames stand for a run: windows, curves, and those that are looked at.
#include "experiments/metrics/member_record.hpp"
#include "tests/support/relative.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

using namespace sns::metrics;
using sns::test::relative;

TEST_CASE("windows cover all frames after the first") {
  const auto windows = make_windows(1001, 250);
  REQUIRE(windows.size() == 4);
  CHECK(windows[0].first == 1);
  CHECK(windows[0].last == 250);
  CHECK(windows[3].last == 1000);
  CHECK(make_windows(1101, 250).back().last == 1100);
  CHECK(make_windows(1101, 250).size() == 4);
  CHECK(make_windows(11, 250).size() == 1);
}

TEST_CASE(
    "curves over the run are frame 0 and means over blocks: a rhythm leaves a beat of one frame at most") {
  CHECK(series_centres(1) == std::vector<double>{0});
  CHECK(series_centres(4) == std::vector<double>{0, 1, 2, 3});
  const std::int64_t frames = 15'003, block = series_block(frames);
  CHECK(block == 8);
  const std::vector<double> centres = series_centres(frames);
  CHECK(centres.size() == 1877);
  CHECK(centres[1] == 4.5);
  CHECK(centres.back() == 15'001.5);  // of frames 15,001 and 15,002
  CHECK(series_centres(1'000'000).size() <= kSeriesPoints + 1);

  BlockMeans means(frames);
  for (std::int64_t frame = 0; frame < frames; ++frame) {
    const double value = frame == 0 ? 7 : frame % 4 == 0 ? 1.12 : 1;  // one frame in four refined
    means.add(frame == 41 ? std::numeric_limits<double>::quiet_NaN() : value);
  }
  const std::vector<double> curve = means.finish();
  REQUIRE(curve.size() == centres.size());
  CHECK(curve[0] == 7);
  CHECK(std::isnan(curve[6]));  // frames 41 to 48
  for (std::size_t i = 1; i + 1 < curve.size(); ++i)
    if (i != 6) CHECK(curve[i] == relative(1.03).epsilon(1e-12));

  // A rhythm that does not divide the block: two or three of ten.
  BlockMeans beat(20'001);
  for (std::int64_t frame = 0; frame <= 20'000; ++frame) beat.add(frame % 4 == 0 ? 1.12 : 1);
  const std::vector<double> beaten = beat.finish();
  REQUIRE(beaten.size() == 2001);
  for (std::size_t i = 1; i < beaten.size(); ++i) CHECK(std::abs(beaten[i] - 1.03) <= 0.12 * 0.5 / 10 + 1e-12);
}

TEST_CASE("frames that stand for a window are one of each block, in step with no rhythm") {
  for (const std::int64_t count : {32, 128}) {
    for (const std::int64_t length : {20, 128, 250, 1000, 99'999}) {
      const Window window{251, 250 + length};
      const std::int64_t block = (length + count - 1) / count;
      std::vector<std::int64_t> chosen;
      for (std::int64_t frame = window.first; frame <= window.last; ++frame)
        if (stands_for(window, frame, count)) chosen.push_back(frame);
      CAPTURE(count);
      CAPTURE(length);
      CHECK(static_cast<std::int64_t>(chosen.size()) <= count);
      CHECK(static_cast<std::int64_t>(chosen.size()) >=
            length / block);  // of a shorter last block perhaps none
      for (std::size_t i = 0; i < chosen.size(); ++i)
        CHECK((chosen[i] - window.first) / block == static_cast<std::int64_t>(i));
    }
    // Over the windows of a run each phase of a rhythm is there as often as it is in the run.
    for (const std::int64_t every : {2, 4, 8}) {
      std::vector<double> share(static_cast<std::size_t>(every));
      double all = 0;
      for (const Window& window : make_windows(50'001, 1000))
        for (std::int64_t frame = window.first; frame <= window.last; ++frame)
          if (stands_for(window, frame, count)) {
            ++share[static_cast<std::size_t>(frame % every)];
            ++all;
          }
      CAPTURE(every);
      const double expected = all / static_cast<double>(every);
      for (const double of : share) CHECK(std::abs(of - expected) < 3.5 * std::sqrt(expected));
    }
  }
}
