// Scales of which a surrogate knows nothing keep the power of the data.
#include "core/error.hpp"
#include "emulator/half_spectrum.hpp"
#include "emulator/models/field_covariance.hpp"
#include "emulator/models/unpredicted_scales.hpp"
#include "tests/support/torch_doctest.hpp"

#include <torch/fft.h>
#include <torch/utils.h>

#include <cmath>

using namespace sns;

namespace {

constexpr std::int64_t kPoints = 16;

torch::Tensor power_of(const torch::Tensor& frames) {
  return FieldCovariance::of(frames).shell_power();
}

/// Errors below the change in channel 0 but for shells 6 and 8, above it everywhere in channel 1 (with its
/// mean).
UnpredictedScales some_scales(const torch::Tensor& frame) {
  const torch::Tensor change = 0.1 * frame;
  torch::Tensor error = 0.5 * change;
  error[0][6] = change[0][6];
  error[0][8] = 3 * change[0][8];
  error[1] = 2 * change[1];
  return {error, change, frame, kPoints};
}

}  // namespace

TEST_CASE("powers by shell are the field's mean square, corners included") {
  torch::manual_seed(1);
  const torch::Tensor frames = torch::randn({3, 2, kPoints, kPoints});
  const torch::Tensor power = power_of(frames);
  REQUIRE(power.sizes() == torch::IntArrayRef({2, 13}));
  const torch::Tensor mean_square = frames.to(torch::kFloat64).square().mean({0, 2, 3});
  CHECK((power.sum(1) - mean_square).abs().max().item<double>() < 1e-6);
}

TEST_CASE("scales that a step does not predict get the data's power, and others stay") {
  torch::manual_seed(2);
  const torch::Tensor data = power_of(torch::randn({64, 2, kPoints, kPoints}));
  const UnpredictedScales scales = some_scales(data);
  CHECK_FALSE(scales.none());
  CHECK(scales.shells()[0] == std::vector<std::int64_t>{6, 8});
  REQUIRE(scales.shells()[1].size() == 11);
  CHECK(scales.shells()[1].front() == 1);  // never the mean

  const torch::Tensor frames = 30 * torch::randn({2, 2, kPoints, kPoints}) + 1;
  const torch::Tensor held = scales(frames);
  for (std::int64_t b = 0; b < 2; ++b) {
    const torch::Tensor before = power_of(frames.narrow(0, b, 1)), after = power_of(held.narrow(0, b, 1));
    for (std::int64_t c = 0; c < 2; ++c) {
      for (std::int64_t s = 0; s < 12; ++s) {  // shell 12 has no mode
        CAPTURE(c);
        CAPTURE(s);
        const bool unknown = c == 1 ? s > 0 : s == 6 || s == 8;
        const double wanted = (unknown ? data : before)[c][s].item<double>();
        CHECK(std::abs(after[c][s].item<double>() / wanted - 1) < 1e-4);
      }
    }
  }
  // Phases stay: all modes of a shell are multiplied by one positive number.
  const torch::Tensor one = torch::fft::rfft2(frames.to(torch::kFloat64)),
                      other = torch::fft::rfft2(held.to(torch::kFloat64));
  const torch::Tensor shell = half_spectrum(kPoints, torch::kFloat64).shell.view({kPoints, kPoints / 2 + 1});
  for (std::int64_t b = 0; b < 2; ++b) {
    const torch::Tensor ratio = torch::view_as_real((other[b][0] / one[b][0]).masked_select(shell == 6));
    CHECK(ratio.select(1, 1).abs().max().item<double>() < 1e-3);
    CHECK(ratio.select(1, 0).min().item<double>() > 0);
    CHECK((ratio.select(1, 0) / ratio[0][0] - 1).abs().max().item<double>() < 0.05);
  }
}

TEST_CASE("emptied, they have nothing, and others stay") {
  torch::manual_seed(5);
  const torch::Tensor data = power_of(torch::randn({64, 2, kPoints, kPoints}));
  const UnpredictedScales filter = some_scales(data).emptied();
  CHECK(filter.shells() == some_scales(data).shells());
  const torch::Tensor frames = torch::randn({2, 2, kPoints, kPoints});
  const torch::Tensor before = power_of(frames), after = power_of(filter(frames));
  for (std::int64_t s = 0; s < 12; ++s) {
    CAPTURE(s);
    const double upper = after[0][s].item<double>() / before[0][s].item<double>();
    const double lower = after[1][s].item<double>() / before[1][s].item<double>();
    CHECK((s == 6 || s == 8 ? upper < 1e-10 : std::abs(upper - 1) < 1e-4));
    CHECK((s > 0 ? lower < 1e-10 : std::abs(lower - 1) < 1e-4));
  }
  CHECK_FALSE(filter.none());
  const torch::Tensor nothing = torch::zeros({1, 2, kPoints, kPoints});
  CHECK(torch::equal(filter(nothing), nothing));
}

TEST_CASE("scales that are all but empty are held as far as float32 carries") {
  torch::manual_seed(4);
  const torch::Tensor power = power_of(torch::randn({8, 1, kPoints, kPoints}));
  torch::Tensor frame = power.clone(), error = 0.5 * power;
  error[0][7] = error[0][8] = 2 * power[0][7];
  frame[0][7] = 1e-10;  // of a root mean square of one: 1e-5
  frame[0][8] = 1e-20;  // far below the rounding of frames
  const UnpredictedScales scales(error, power, frame, kPoints);
  const torch::Tensor held = power_of(scales(torch::randn({1, 1, kPoints, kPoints})));
  CHECK(std::abs(held[0][7].item<double>() / 1e-10 - 1) < 0.05);
  CHECK(held[0][8].item<double>() < 1e-13);
}

TEST_CASE("without such scales, and without power in them, frames are as they were") {
  torch::manual_seed(3);
  const torch::Tensor power = power_of(torch::randn({8, 1, kPoints, kPoints}));
  const UnpredictedScales none(0.5 * power, power, power, kPoints);
  CHECK(none.none());
  const torch::Tensor frames = torch::randn({2, 1, kPoints, kPoints});
  CHECK(torch::equal(none(frames), frames));
  CHECK(none.emptied().none());
  CHECK(torch::equal(none.emptied()(frames), frames));
  const UnpredictedScales all(2 * power, power, power, kPoints);
  const torch::Tensor nothing = torch::zeros({1, 1, kPoints, kPoints});
  CHECK(torch::equal(all(nothing), nothing));
  // A frame with the data's power in each shell is one of them already.
  const torch::Tensor once = all(frames);
  CHECK((all(once) - once).abs().max().item<double>() < 1e-5);
  CHECK_THROWS_AS(all(torch::zeros({1, 2, kPoints, kPoints})), Error);
  CHECK_THROWS_AS(all(torch::zeros({1, 1, 8, 8})), Error);
  CHECK_THROWS_AS(none(torch::zeros({1, kPoints, kPoints})), Error);
  CHECK_THROWS_AS(UnpredictedScales(power, power, power, 8), Error);
  CHECK_THROWS_AS(UnpredictedScales(power.narrow(1, 0, 3), power, power, kPoints), Error);
  CHECK_THROWS_AS(UnpredictedScales(power, power, power / 0, kPoints), Error);
}
