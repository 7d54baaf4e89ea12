#include "emulator/models/gaussian.hpp"
#include "emulator/models/whitened_error.hpp"
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

/// amplitude * cos(kx x + ky y), [1, 1, n, n] float64.
torch::Tensor wave(double amplitude, int kx, int ky) {
  const torch::Tensor x = torch::arange(kPoints, torch::kFloat64) * (2 * std::numbers::pi / kPoints);
  return amplitude * torch::cos(kx * x.unsqueeze(1) + ky * x.unsqueeze(0)).view({1, 1, kPoints, kPoints});
}

/// Random frames [3, 2, n, n] with all modes, the second channel and the small scales weaker.
torch::Tensor frames(std::int64_t seed) {
  torch::manual_seed(static_cast<std::uint64_t>(seed));
  torch::Tensor modes = torch::fft::rfft2(torch::randn({3, 2, kPoints, kPoints}, torch::kFloat64));
  const torch::Tensor k = (torch::fft::fftfreq(kPoints, 1.0 / kPoints, torch::kFloat64).square().unsqueeze(1) +
                           torch::fft::rfftfreq(kPoints, 1.0 / kPoints, torch::kFloat64).square().unsqueeze(0));
  modes = modes / (1 + k);
  return torch::fft::irfft2(modes, std::vector<std::int64_t>{kPoints, kPoints}) *
         torch::tensor({1.0, 0.01}, torch::kFloat64).view({1, 2, 1, 1});
}

/// Modes of a 16 x 16 image with round(|k|) = shell.
double modes_of_shell(int shell) {
  int modes = 0;
  for (int kx = -7; kx <= 8; ++kx)
    for (int ky = -7; ky <= 8; ++ky) modes += std::lround(std::hypot(kx, ky)) == shell ? 1 : 0;
  return modes;
}

double value(const torch::Tensor& error, const torch::Tensor& change, double exponent) {
  return whitened_error(error, change, exponent).item<double>();
}

}  // namespace

TEST_CASE("whitened error: exponent 0 is the mean square") {
  const torch::Tensor error = frames(1), change = frames(2);
  CHECK(value(error, change, 0) == test::relative(error.square().mean().item<double>()).epsilon(1e-12));
  const torch::Tensor odd = error.slice(2, 0, 15).slice(3, 0, 15),
                      odd_change = change.slice(2, 0, 15).slice(3, 0, 15);
  CHECK(value(odd, odd_change, 0) == test::relative(odd.square().mean().item<double>()).epsilon(1e-12));
}

TEST_CASE("whitened error: no change predicted costs the mean square of the change, whatever the exponent") {
  const torch::Tensor change = frames(3);
  for (const double exponent : {0.0, 0.3, 1.0})
    CHECK(value(change, change, exponent) ==
          test::relative(change.square().mean().item<double>()).epsilon(1e-12));
  CHECK(value(0.1 * change, change, 1) ==
        test::relative(0.01 * change.square().mean().item<double>()).epsilon(1e-12));
}

TEST_CASE("whitened error: a mode counts by its error relative to its shell's change") {
  const torch::Tensor change = wave(2, 1, 0) + wave(0.02, 3, 4);  // shells 1 and 5
  const double whole = change.square().mean().item<double>(), first = modes_of_shell(1),
               fifth = modes_of_shell(5);
  CHECK(first == 8);  // the diagonal (1, 1) too
  CHECK(value(wave(2, 1, 0), change, 1) == test::relative(whole * first / (first + fifth)).epsilon(1e-9));
  CHECK(value(wave(0.02, 3, 4), change, 1) == test::relative(whole * fifth / (first + fifth)).epsilon(1e-9));
  // The error may stand in another mode of the shell.
  CHECK(value(wave(0.01, 5, 0), change, 1) ==
        test::relative(0.25 * whole * fifth / (first + fifth)).epsilon(1e-9));
  // Half way: weights are the inverse roots of the shells' mean powers.
  const double power = 1e4, root = 100 * std::sqrt(fifth / first);
  CHECK(value(wave(2, 1, 0), change, 0.5) == test::relative(whole * power / (power + root)).epsilon(1e-9));
}

TEST_CASE("whitened error: each channel has its own spectrum and its own scale") {
  // Upper channel: shells 1 and 5; lower: shell 1 alone, a hundred times weaker. The error is in the lower one.
  const torch::Tensor change = torch::cat({wave(2, 1, 0) + wave(0.02, 3, 4), wave(0.02, 1, 0)}, 1),
                      error = torch::cat({wave(0, 1, 0), wave(0.01, 1, 0)}, 1);
  // Half the lower channel's change: a quarter of its mean square, a mean over two channels.
  CHECK(value(error, change, 1) == test::relative(0.25 * (0.5 * 0.02 * 0.02) / 2).epsilon(1e-9));
}

TEST_CASE("whitened error: a shell's power is the mean over the batch") {
  // Shell 1 changes in the first member only, shell 5 in the second only; each pays for what it misses of both.
  const torch::Tensor change = torch::cat({wave(2, 1, 0), wave(0.02, 3, 4)}, 0),
                      error = torch::cat({wave(0.02, 3, 4), wave(0, 1, 0)}, 0);
  const double whole = change.square().mean().item<double>(), first = modes_of_shell(1),
               fifth = modes_of_shell(5);
  CHECK(value(error, change, 1) == test::relative(whole * fifth / (first + fifth)).epsilon(1e-9));
}

TEST_CASE("whitened error: gradients reach the error, of modes that the change lacks too") {
  torch::Tensor error = (wave(1e-3, 2, 2) + 1e-3).requires_grad_();
  const torch::Tensor change = wave(2, 1, 0) + wave(0.02, 3, 4);
  const torch::Tensor loss = whitened_error(error, change, 1);
  loss.backward();
  // Shell 3 and the mean, where nothing changes, have the weight of shell 5, the largest. The mean has twice
  // the power of a wave of its amplitude.
  const double per_power = value(wave(0.02, 3, 4), change, 1) / (0.5 * 0.02 * 0.02);
  CHECK(loss.item<double>() == test::relative(per_power * 1.5e-6).epsilon(1e-9));
  const torch::Tensor gradient = error.grad();
  CHECK(gradient.isfinite().all().item<bool>());
  // The loss is a quadratic form: error . gradient = 2 loss.
  CHECK((error.detach() * gradient).sum().item<double>() ==
        test::relative(2 * loss.item<double>()).epsilon(1e-9));
  CHECK(value(wave(0, 1, 0), wave(0, 1, 0), 1) == 0);
  CHECK(contains(test::message_of([] {
                   whitened_error(torch::zeros({1, 1, 4, 6}), torch::zeros({1, 1, 4, 6}), 1);
                 }),
                 "square"));
}

TEST_CASE("whitened error: the loss of a surrogate sums it over the steps and leaves mse what it was") {
  torch::set_num_threads(1);
  ModelConfig config;
  config.kind = "gaussian";
  config.network.hidden = 4;
  config.network.blocks = 1;
  config.image = kPoints;
  config.field_std = {1, 1};
  config.field_channels = 2;
  GaussianEmulator emulator(config, 3, torch::kCPU);
  const torch::Tensor window = torch::stack({frames(4), frames(5), frames(6)}, 1).to(torch::kFloat32);
  const torch::Tensor noise;
  const GaussianLoss plain = emulator.loss(window, 2),
                     white = emulator.loss(window, 2, noise, {.penalty = {}, .whitening = 1});
  CHECK(white.mse.item<double>() == plain.mse.item<double>());
  CHECK(white.one_step.item<double>() == plain.one_step.item<double>());
  CHECK(plain.error.item<double>() == plain.mse.item<double>());
  torch::Tensor state = window.select(1, 0);
  double expected = 0;
  const torch::NoGradGuard no_grad;
  for (int a = 0; a < 2; ++a) {
    const torch::Tensor next = emulator.step(state), target = window.select(1, a + 1) - window.select(1, a);
    expected += value(next - state - target, target, 1);
    state = next;
  }
  CHECK(white.total.item<double>() == test::relative(expected).epsilon(1e-4));
  CHECK(white.total.item<double>() != plain.total.item<double>());
}
