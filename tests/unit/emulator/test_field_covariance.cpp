// Covariances of random fields, and noise that has them.
#include "core/random.hpp"
#include "emulator/models/field_covariance.hpp"
#include "tests/support/scratch.hpp"
#include "tests/support/torch_doctest.hpp"

#include <torch/fft.h>
#include <torch/utils.h>

#include <cmath>
#include <numbers>

using namespace sns;
using test::contains;

namespace {

constexpr std::int64_t kPoints = 16;

/// amplitude * cos(kx x + ky y + phase), [n, n] float64.
torch::Tensor wave(double amplitude, int kx, int ky, double phase = 0) {
  const torch::Tensor x = torch::arange(kPoints, torch::kFloat64) * (2 * std::numbers::pi / kPoints);
  return amplitude * torch::cos(kx * x.unsqueeze(1) + ky * x.unsqueeze(0) + phase);
}

torch::Tensor white_noise(std::int64_t channels, std::uint64_t id, std::int64_t points = kPoints) {
  torch::Tensor noise = torch::empty({channels, points, points});
  RandomStream(5, Purpose::validation, id)
      .fill_normal({noise.data_ptr<float>(), static_cast<std::size_t>(noise.numel())});
  return noise;
}

/// `count` fields of white noise, coloured.
torch::Tensor sample(const ColouredNoise& coloured, std::int64_t channels, int count) {
  std::vector<torch::Tensor> fields;
  for (int i = 0; i < count; ++i)
    fields.push_back(coloured(white_noise(channels, static_cast<std::uint64_t>(i))));
  return torch::stack(fields);
}

double relative(const torch::Tensor& a, const torch::Tensor& b) {
  return ((a - b).norm() / b.norm()).item<double>();
}

}  // namespace

TEST_CASE("covariance: waves count in their shells, with what they have of the mean square") {
  const torch::Tensor field = (wave(3, 2, 1) + wave(0.5, 0, 7)).view({1, 1, kPoints, kPoints});
  const FieldCovariance covariance = FieldCovariance::of(field);
  const std::vector<double> shells = covariance.shells().front();
  REQUIRE(shells.size() == kPoints / 2 + 1);
  CHECK(shells[2] == test::relative(3 / std::sqrt(2.0)));  // |(2, 1)| = 2.24
  CHECK(shells[7] == test::relative(0.5 / std::sqrt(2.0)));
  CHECK(shells[3] < 1e-12);
  CHECK(covariance.rms() == test::relative(field.square().mean().sqrt().item<double>()));
}

TEST_CASE("covariance: shells and corners together are the mean square, of every channel") {
  torch::manual_seed(1);
  const torch::Tensor fields = torch::randn({7, 2, kPoints, kPoints}, torch::kFloat64) *
                               torch::tensor({1.0, 3.0}, torch::kFloat64).view({1, 2, 1, 1});
  const FieldCovariance covariance = FieldCovariance::of(fields);
  CHECK(covariance.points() == kPoints);
  CHECK(covariance.channels() == 2);
  CHECK(covariance.rms() == test::relative(fields.square().mean().sqrt().item<double>()));
  // White: the part of a shell is the part of the modes that it holds, about.
  double in_circle = 0;
  const std::vector<double> shells = covariance.shells()[1];
  for (const double shell : shells) in_circle += shell * shell;
  CHECK(in_circle / 9 == test::relative(std::numbers::pi / 4).epsilon(0.1));
}

TEST_CASE("coloured noise has the covariance that it is made of: anisotropic, and between channels") {
  torch::manual_seed(2);
  // Two channels of which the second follows the first, an eighth of a wave later, and has something of its
  // own.
  const torch::Tensor white = torch::randn({400, 2, kPoints, kPoints}, torch::kFloat64);
  torch::Tensor modes = torch::fft::rfft2(white);
  const torch::Tensor rows = torch::fft::fftfreq(kPoints, 1.0 / kPoints, torch::kFloat64).unsqueeze(1),
                      columns = torch::fft::rfftfreq(kPoints, 1.0 / kPoints, torch::kFloat64).unsqueeze(0);
  modes = modes / (1 + rows.square() + 4 * columns.square());
  const torch::Tensor field = torch::fft::irfft2(modes, std::vector<std::int64_t>{kPoints, kPoints});
  const torch::Tensor first = field.select(1, 0),
                      second = 2 * first.roll({1, 1}, {1, 2}) + 0.3 * field.select(1, 1);
  const FieldCovariance given = FieldCovariance::of(torch::stack({first, second}, 1));
  const FieldCovariance made = FieldCovariance::of(sample(ColouredNoise(given), 2, 4000));
  CHECK(made.rms() == test::relative(given.rms()).epsilon(0.02));
  for (std::size_t c = 0; c < 2; ++c)
    for (std::size_t k = 0; k <= kPoints / 2; ++k) {
      CAPTURE(c);
      CAPTURE(k);
      CHECK(made.shells()[c][k] == test::relative(given.shells()[c][k]).epsilon(0.05));
    }
  // Mode by mode, real and imaginary parts: 4000 fields leave 1/63 of a mode's power to chance.
  CHECK(relative(made.spectrum(), given.spectrum()) < 0.05);
  const torch::Tensor coherence =
      torch::view_as_complex(given.spectrum().contiguous()).select(2, 1).select(2, 0);
  CHECK(torch::imag(coherence).abs().max().item<double>() >
        0.05 * torch::real(coherence).abs().max().item<double>());
}

TEST_CASE(
    "coloured noise: a channel that follows from another one does so in the noise, and empty modes stay "
    "empty") {
  torch::manual_seed(3);
  std::vector<torch::Tensor> fields;
  for (int i = 0; i < 50; ++i) {
    const double phase = 0.37 * i;
    fields.push_back(torch::stack({wave(1, 3, 1, phase), wave(2, 3, 1, phase + 0.5)}));
  }
  const ColouredNoise coloured(FieldCovariance::of(torch::stack(fields)));
  const torch::Tensor noise = coloured(white_noise(2, 9));
  CHECK(torch::isfinite(noise).all().item<bool>());
  const torch::Tensor modes = torch::fft::rfft2(noise.to(torch::kFloat64));
  const double power = modes.abs().square().sum().item<double>();
  const torch::Tensor kept = modes.select(1, 3).select(1, 1),
                      opposite = modes.select(1, kPoints - 3).select(1, 1);
  CHECK(kept.abs().square().sum().item<double>() == test::relative(power).epsilon(1e-6));
  CHECK(opposite.abs().max().item<double>() < 1e-5 * std::sqrt(power));
  const auto ratio = (kept[1] / kept[0]).item<c10::complex<double>>();
  CHECK(ratio.real() == test::relative(2 * std::cos(0.5)).epsilon(1e-4));
  CHECK(ratio.imag() == test::relative(2 * std::sin(0.5)).epsilon(1e-4));
}

TEST_CASE("coloured noise is linear in the white noise, and white again for a white covariance") {
  const FieldCovariance white = FieldCovariance(torch::cat(
      {torch::ones({kPoints, kPoints / 2 + 1, 1, 1, 1}), torch::zeros({kPoints, kPoints / 2 + 1, 1, 1, 1})},
      -1));
  CHECK(white.rms() == test::relative(1));
  const ColouredNoise same(white);
  const torch::Tensor a = white_noise(1, 1), b = white_noise(1, 2);
  CHECK(relative(same(a), a) < 1e-6);
  CHECK(relative(same(2 * a + b), 2 * same(a) + same(b)) < 1e-6);
}

TEST_CASE("covariance: refusals") {
  const auto message = [](const auto& f) { return test::message_of<Error>(f); };
  CHECK(contains(message([] { FieldCovariance::of(torch::zeros({2, 1, 8, 6})); }), "the same along both axes"));
  CHECK(contains(message([] { FieldCovariance::of(torch::zeros({2, 1, 7, 7})); }), "even number"));
  CHECK(contains(message([] { FieldCovariance::of(torch::zeros({0, 1, 8, 8})); }), "wants fields"));
  CHECK(contains(message([] { FieldCovariance(torch::zeros({8, 4, 1, 1, 2})); }), "[n, n/2 + 1, C, C, 2]"));
  CHECK(contains(message([] { FieldCovariance(torch::full({8, 5, 1, 1, 2}, NAN)); }), "not finite"));
  const ColouredNoise coloured(FieldCovariance(torch::ones({8, 5, 1, 1, 2})));
  CHECK(contains(message([&] { coloured(white_noise(1, 1)); }), "1 channels of 8 x 8"));
}
