// Reverse steps that draw for what the estimate of the clean frame gets wrong: in a world of Gaussian fields,
// where the best denoiser is a linear filter and its error is known, refinement must leave the law of the
// frames as it is.
#include "emulator/diffusion/sampler.hpp"
#include "emulator/models/estimate_errors.hpp"
#include "emulator/half_spectrum.hpp"
#include "tests/support/gaussian_pairs.hpp"
#include "tests/support/scratch.hpp"
#include "tests/support/torch_doctest.hpp"

#include <ATen/Functions.h>
#include <torch/fft.h>
#include <torch/utils.h>

#include <cmath>
#include <numeric>
#include <string>

using namespace sns;
using test::contains;
using test::kPoints;
using test::kSchedule;
using test::law;
using test::pairs_of_law;
using test::shell_of_mode;

namespace {

/// Signal and noise of a frame at a level, 1 and 0 of a clean one.
std::pair<double, double> signal_and_noise(int level) {
  if (level == Levels::kClean) return {1.0, 0.0};
  return {kSchedule.signal(level), kSchedule.noise_std(level)};
}

/// The best estimate of eps from the modes of both frames is gain [shells, 2, 2] times them; its error has the
/// covariance error [shells, 2, 2].
struct Filter {
  torch::Tensor gain, error;
};
Filter best_filter(const Levels& at) {
  const auto [signal_past, noise_past] = signal_and_noise(at.past);
  const auto [signal_present, noise_present] = signal_and_noise(at.present);
  const torch::Tensor d = torch::diag(torch::tensor({signal_past, signal_present}, torch::kFloat64)),
                      n = torch::diag(torch::tensor({noise_past, noise_present}, torch::kFloat64));
  const torch::Tensor gain =
      torch::matmul(n, at::linalg_inv(torch::matmul(d, torch::matmul(law(), d)) + torch::matmul(n, n)));
  return {gain, torch::eye(2, torch::kFloat64) - torch::matmul(gain, n)};
}

/// Errors of the best filter, of two frames of one field, at all pairs of these levels.
EstimateErrors errors_of_filter(const std::vector<int>& levels) {
  const auto count = static_cast<std::int64_t>(levels.size());
  torch::Tensor table = torch::zeros({count, count, 2, law().size(0), 1, 1}, torch::kFloat64);
  for (std::int64_t i = 0; i < count; ++i)
    for (std::int64_t j = 0; j < count; ++j) {
      const torch::Tensor error =
          best_filter({levels[static_cast<std::size_t>(i)], levels[static_cast<std::size_t>(j)]}).error;
      for (std::int64_t f = 0; f < 2; ++f) table[i][j][f] = error.select(1, f).select(1, f).view({-1, 1, 1});
    }
  return EstimateErrors(kSchedule, levels, table, kPoints);
}

std::vector<int> all_levels() {
  std::vector<int> levels(static_cast<std::size_t>(kSchedule.levels()) + 1);
  std::iota(levels.begin(), levels.end(), Levels::kClean);
  return levels;
}

/// The best filter as a network, for samples that all walk path A from `start`.
Denoiser filter_on_path_a(const Levels& start) {
  return [start](const torch::Tensor& x, const Step& step) {
    const Move& move = step.moves.front();
    const Levels at{move.past, move.past == Move::kRest ? move.present : start.present};
    const torch::Tensor gain =
        best_filter(at).gain.index_select(0, shell_of_mode().flatten()).view({kPoints, kPoints / 2 + 1, 2, 2});
    const torch::Tensor modes = torch::fft::rfft2(x.to(torch::kFloat64)).permute({2, 3, 1, 0});
    const torch::Tensor estimate = torch::matmul(gain.to(torch::kComplexDouble), modes).permute({3, 2, 0, 1});
    return torch::fft::irfft2(estimate, std::vector<std::int64_t>{kPoints, kPoints}).to(torch::kFloat32);
  };
}

/// What path A from `start` makes of pairs with the law, over the law.
std::vector<std::vector<double>> refined_over_law(const Levels& start, ReverseStd reverse_std,
                                                  const ReverseNoise* errors) {
  constexpr int kPairs = 3000;
  const torch::Tensor x = pairs_of_law(kPairs);
  std::vector<std::uint64_t> ids(kPairs);
  std::iota(ids.begin(), ids.end(), 0U);
  PhiloxNoise noise(11, ids, 1);
  const std::vector<Walk> walks =
      plan_walks(Path::A, SweepRule::inclusive, std::vector<Levels>(kPairs, start), kSchedule.levels());
  const torch::Tensor refined =
      follow(kSchedule, {2, 1}, filter_on_path_a(start), x, walks, reverse_std, noise, errors).x;
  return test::over_law(refined);
}

/// Notes which noise is asked for.
class Listener : public ReverseNoise {
 public:
  void shape(const Levels& at, Frame frame, std::span<float>) const override {
    asked.push_back(fmt::format("{} {} {}", at.past, at.present, frame == Frame::past ? 'p' : 'P'));
  }
  mutable std::vector<std::string> asked;  ///< levels of past and present, p(ast) or P(resent)
};

/// What is asked for in the walks of a batch, in order.
std::vector<std::string> asked(const Path& path, SweepRule rule, const std::vector<Levels>& levels,
                               int lowest = 0, std::int64_t frames = 2) {
  const auto batch = static_cast<std::int64_t>(levels.size());
  std::vector<std::uint64_t> ids(levels.size());
  std::iota(ids.begin(), ids.end(), 0U);
  PhiloxNoise noise(1, ids, 1);
  const Listener listener;
  const Denoiser silent = [](const torch::Tensor& x, const Step&) { return torch::zeros_like(x); };
  follow(kSchedule, {frames, 1}, silent, torch::zeros({batch, frames, kPoints, kPoints}),
         plan_walks(path, rule, levels, kSchedule.levels(), lowest), ReverseStd::measured, noise, &listener);
  return listener.asked;
}

}  // namespace

TEST_CASE("errors of estimates: each step asks for those of the levels that it is at, along every way") {
  using Asks = std::vector<std::string>;
  constexpr auto inclusive = SweepRule::inclusive;
  CHECK(asked(Path::A, inclusive, {{1, 2}}) == Asks{"1 2 p", "0 2 p", "-1 2 P", "-1 1 P", "-1 0 P"});
  CHECK(asked(Path::B, inclusive, {{1, 2}}) == Asks{"1 2 P", "1 1 P", "1 0 P", "1 -1 p", "0 -1 p"});
  CHECK(asked(Path::C, inclusive, {{1, 2}}) == Asks{"1 2 P", "1 1 p", "1 1 P", "0 0 p", "0 0 P"});
  CHECK(asked(Path::fixed_past, inclusive, {{1, 2}}) == Asks{"1 2 P", "1 1 P", "1 0 P"});
  CHECK(asked(Path::clean_past, inclusive, {{1, 1}}) == Asks{"-1 1 P", "-1 0 P"});
  CHECK(asked(Path::clean_past, inclusive, {{0, 2}}, 1) == Asks{"-1 2 P", "-1 1 P"});
  CHECK(asked(Path::clean_past, inclusive, {{-1, 1}}, 0, 1) == Asks{"-1 1 P", "-1 0 P"});  // one frame
  // A frame that skips its first step rests at the level that it was noised to.
  CHECK(asked(Path::A, SweepRule::exclusive, {{1, 2}}) == Asks{"0 2 p", "-1 1 P", "-1 0 P"});
  // Two samples, of which the one at the batch's maximum skips a step; the other's walk is shorter.
  CHECK(asked(Path::A, SweepRule::reference, {{0, 1}, {2, 3}}) ==
        Asks{"0 1 p", "1 3 p", "-1 1 P", "0 3 p", "-1 0 P", "-1 2 P", "-1 1 P", "-1 0 P"});
}

TEST_CASE("errors of estimates: refinement that draws from them leaves the law of the frames as it is") {
  const EstimateErrors errors = errors_of_filter(all_levels());
  for (const Levels start : {Levels{0, 0}, Levels{2, 4}, Levels{4, 1}}) {
    CAPTURE(start.past);
    CAPTURE(start.present);
    const auto drawn = refined_over_law(start, ReverseStd::measured, &errors);
    for (const auto& entry : drawn)
      for (const double ratio : entry) CHECK(ratio == test::relative(1).epsilon(0.03));
    // The last step's mean is smoother than frames are.
    const auto mean = refined_over_law(start, ReverseStd::posterior, nullptr);
    CHECK(mean[0].back() < 0.93);
    CHECK(mean[1].back() < 0.93);
  }
}

TEST_CASE("errors of estimates: the noise of a step has what is known and what is not") {
  const EstimateErrors errors = errors_of_filter(all_levels());
  const Levels at{2, 3};
  const double known = std::pow(kSchedule.posterior_std[3], 2),
               part = std::pow(kSchedule.beta[3], 2) / (kSchedule.alpha[3] * (1 - kSchedule.alpha_bar[3]));
  const torch::Tensor error = best_filter(at).error.select(1, 1).select(1, 1);
  const torch::Tensor spectrum = errors.covariance(at, Frame::present).spectrum();
  for (const auto& [i, j] : {std::pair{0, 0}, {1, 2}, {5, 1}, {4, 4}}) {
    const auto shell = shell_of_mode()[i][j].item<std::int64_t>();
    CHECK(spectrum[i][j][0][0][0].item<double>() == test::relative(known + part * error[shell].item<double>()));
    CHECK(spectrum[i][j][0][0][1].item<double>() == 0);
  }
  // At level 0 nothing is known to be left but what the estimate gets wrong.
  const double all = kSchedule.noise_std(0) / kSchedule.signal(0);
  CHECK(errors.covariance({Levels::kClean, 0}, Frame::present).spectrum()[1][1][0][0][0].item<double>() ==
        test::relative(all * all * best_filter({Levels::kClean, 0}).error[1][1][1].item<double>()));
  CHECK(contains(test::message_of<Error>([&] {
                   errors.covariance({1, Levels::kClean}, Frame::present);
                 }),
                 "level -1"));
  CHECK(errors.rms({Levels::kClean, 4}, Frame::present) < errors.rms({Levels::kClean, 0}, Frame::present));
}

TEST_CASE(
    "errors of estimates: between levels that were measured they are linear, above them as at the highest") {
  const EstimateErrors few = errors_of_filter({-1, 0, 3});
  const auto power = [](const EstimateErrors& errors, const Levels& at) {
    return std::pow(errors.rms(at, Frame::present), 2);
  };
  CHECK(power(few, {-1, 3}) == test::relative(power(errors_of_filter(all_levels()), {-1, 3})));
  CHECK(power(few, {-1, 1}) == test::relative((2 * power(few, {-1, 0}) + power(few, {-1, 3})) / 3));
  CHECK(power(few, {2, 1}) == test::relative((2 * power(few, {0, 0}) + 4 * power(few, {3, 0}) +
                                              power(few, {0, 3}) + 2 * power(few, {3, 3})) /
                                             9));
  CHECK(power(few, {-1, 4}) == power(few, {-1, 3}));
  CHECK(power(few, {-1, 0}) != test::relative(power(few, {0, 0})));  // a clean past frame tells more
}

TEST_CASE("errors of estimates: tables that are none") {
  const std::int64_t shells = law().size(0);
  const auto message = [&](const std::vector<int>& levels, const torch::Tensor& table,
                           std::int64_t points = kPoints) {
    return test::message_of<Error>([&] { EstimateErrors(kSchedule, levels, table, points); });
  };
  const torch::Tensor table = torch::ones({2, 2, 2, shells, 1, 1});
  CHECK(message({-1, 0}, table) == "no exception");
  CHECK(contains(message({0, 1}, table), "a clean frame, level 0"));
  CHECK(contains(message({-1, 0, 5}, torch::ones({3, 3, 2, shells, 1, 1})), "at most 4"));
  CHECK(contains(message({-1, 0}, torch::ones({2, 2, 2, shells, 1})), "must have the shape"));
  CHECK(contains(message({-1, 0}, table, 16), "must have the shape"));
  CHECK(contains(message({-1, 0}, table * std::nan("")), "not finite"));
  const std::vector<Walk> walk = plan_walks(Path::A, SweepRule::inclusive, {Levels{0, 0}}, kSchedule.levels());
  PhiloxNoise noise(1, {0}, 1);
  CHECK(contains(test::message_of<Error>([&] {
                   follow(kSchedule, {2, 1}, filter_on_path_a({0, 0}), torch::zeros({1, 2, kPoints, kPoints}),
                          walk, ReverseStd::measured, noise);
                 }),
                 "measured noise"));
}
