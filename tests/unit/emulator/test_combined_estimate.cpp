// Estimates that a denoiser and a surrogate make together: in a world of Gaussian fields refinement along them
// leaves the law of the frames as it is, also where neither of the two has learned its trade.
#include "emulator/diffusion/sampler.hpp"
#include "emulator/models/combined_estimate.hpp"
#include "emulator/models/shell_covariance.hpp"
#include "tests/support/gaussian_pairs.hpp"
#include "tests/support/scratch.hpp"
#include "tests/support/torch_doctest.hpp"

#include <ATen/Functions.h>
#include <torch/fft.h>
#include <torch/utils.h>

#include <numeric>
#include <string>
#include <vector>

using namespace sns;
using test::contains;
using test::kPoints;
using test::kSchedule;
using test::law;
using test::over_law;
using test::pairs_of_law;
using test::shell_of_mode;

namespace {

/// What a denoiser and a surrogate are: linear filters, [shells].
struct World {
  torch::Tensor denoiser(int level) const {
    const torch::Tensor power = law().select(1, 1).select(1, 1);
    const double signal = kSchedule.signal(level), noise = kSchedule.noise_std(level);
    return skill * noise / (signal * signal * power + noise * noise);  // knows nothing of the past
  }
  torch::Tensor surrogate() const {
    return trust * law().select(1, 0).select(1, 1) / law().select(1, 0).select(1, 0);
  }
  double skill = 1;  ///< 1: the best that sees the present frame alone
  double trust = 1;  ///< 1: the best prediction
};

torch::Tensor filtered(const torch::Tensor& frames, const torch::Tensor& gain) {
  const torch::Tensor modes = torch::fft::rfft2(frames.to(torch::kFloat64));
  return torch::fft::irfft2(modes * gain.index_select(0, shell_of_mode().flatten()).view_as(shell_of_mode()),
                            std::vector<std::int64_t>{kPoints, kPoints})
      .to(torch::kFloat32);
}

/// Measured exactly: from the law's own moments, at all levels beside a clean past.
CombinedEstimate exact(const World& world) {
  const std::int64_t shells = law().size(0);
  std::vector<int> levels(static_cast<std::size_t>(kSchedule.levels()) + 1);
  std::iota(levels.begin(), levels.end(), Levels::kClean);
  const auto count = static_cast<std::int64_t>(levels.size());
  torch::Tensor table = torch::zeros({count, count, shells, 1, 4}, torch::kFloat64);
  for (std::int64_t j = 1; j < count; ++j) {
    const int level = levels[static_cast<std::size_t>(j)];
    const torch::Tensor zero = torch::zeros({shells}, torch::kFloat64), one = torch::ones_like(zero);
    // of (past, clean present, noise): rows of what is seen
    const torch::Tensor noisy =
        torch::stack({zero, kSchedule.signal(level) * one, kSchedule.noise_std(level) * one}, 1);
    const torch::Tensor rows =
        torch::stack({world.denoiser(level).unsqueeze(1) * noisy, noisy,
                      torch::stack({world.surrogate(), zero, zero}, 1), torch::stack({zero, zero, one}, 1)},
                     1);
    torch::Tensor sources = torch::zeros({shells, 3, 3}, torch::kFloat64);
    sources.narrow(1, 0, 2).narrow(2, 0, 2).copy_(law());
    sources.select(1, 2).select(1, 2).fill_(1);
    table.select(1, j).copy_(
        best_combination(torch::matmul(rows, torch::matmul(sources, rows.transpose(1, 2))), kSchedule, level));
  }
  return CombinedEstimate(kSchedule, levels, table, kPoints);
}

/// Pairs of the law whose present frame is refined from `level` beside its clean past, over the law.
std::vector<std::vector<double>> refined_over_law(const World& world, int level,
                                                  const CombinedEstimate& estimate, bool use) {
  constexpr int kPairs = 3000;
  const torch::Tensor x = pairs_of_law(kPairs);
  std::vector<std::uint64_t> ids(kPairs);
  std::iota(ids.begin(), ids.end(), 0U);
  PhiloxNoise noise(11, ids, 1);
  const Denoiser denoiser = [&](const torch::Tensor& active, const Step& step) {
    const int now = step.moves.front().present;
    const torch::Tensor present = filtered(active.narrow(1, 1, 1), world.denoiser(now));
    return torch::cat({torch::zeros_like(present), present}, 1);
  };
  const torch::Tensor prediction = filtered(x.narrow(1, 0, 1), world.surrogate());
  const std::vector<Walk> walks =
      plan_walks(Path::clean_past, SweepRule::inclusive,
                 std::vector<Levels>(kPairs, Levels{Levels::kClean, level}), kSchedule.levels());
  if (!use)
    return over_law(
        follow(kSchedule, {2, 1}, denoiser, x, walks, ReverseStd::measured, noise, &estimate.errors()).x);
  return over_law(follow(kSchedule, {2, 1}, combined(estimate, 1, denoiser, prediction), x, walks,
                         ReverseStd::measured, noise, &estimate.errors())
                      .x);
}

}  // namespace

TEST_CASE("combined estimates: refinement leaves the law of the frames as it is, however bad the networks") {
  for (const World& world : {World{1, 1}, World{0.4, 1}, World{1, 0.3}, World{0.4, 1.7}}) {
    const CombinedEstimate estimate = exact(world);
    for (const int level : {0, 2, 4}) {
      CAPTURE(world.skill);
      CAPTURE(world.trust);
      CAPTURE(level);
      for (const auto& entry : refined_over_law(world, level, estimate, true))
        for (const double ratio : entry) CHECK(ratio == test::relative(1).epsilon(0.035));
    }
  }
  // A denoiser that does not look at the past forgets it without the surrogate.
  const World best{1, 1};
  const auto alone = refined_over_law(best, 4, exact(best), false);
  CHECK(alone[2].front() < 0.7);
}

TEST_CASE("combined estimates: what a network cannot tell is the other's") {
  const Levels low{Levels::kClean, 0}, high{Levels::kClean, 4};
  const auto rms = [](const CombinedEstimate& estimate, const Levels& at) {
    return estimate.errors().rms(at, Frame::present);
  };
  // The more noise, the more weight has the surrogate; a denoiser that is half as sure is doubled.
  const CombinedEstimate good = exact({1, 1}), timid = exact({0.5, 1});
  const auto weight = [](const CombinedEstimate& estimate, int place, int of) {
    return estimate.table()[0][place][1][0][of].item<double>();
  };
  CHECK(weight(good, 5, 2) > 2 * weight(good, 1, 2));
  CHECK(rms(timid, low) == test::relative(rms(good, low)));
  CHECK(rms(timid, high) == test::relative(rms(good, high)));
  // A prediction that is zero tells nothing: the filter of the present frame is left.
  const CombinedEstimate blind = exact({1, 0});
  CHECK(rms(blind, high) > 1.2 * rms(good, high));
  CHECK(weight(blind, 5, 2) == 0);
}

TEST_CASE("combined estimates: each row of a batch has its own levels and prediction") {
  const CombinedEstimate estimate = exact({0.7, 0.8});
  const torch::Tensor x = pairs_of_law(3),
                      prediction = filtered(x.narrow(1, 0, 1), World{0.7, 0.8}.surrogate());
  const Denoiser denoiser = [](const torch::Tensor& active, const Step&) { return 0.1 * active; };
  Step step;
  step.rows = {2, 0};
  step.moves = {Move{.present = 3}, Move{.present = 1}};
  step.at = {Levels{Levels::kClean, 3}, Levels{Levels::kClean, 1}};
  step.index = torch::tensor({2, 0}, torch::kInt64);
  const torch::Tensor active = x.index_select(0, step.index);
  const torch::Tensor eps = combined(estimate, 1, denoiser, prediction)(active, step);
  CHECK(torch::equal(eps.select(1, 0), 0.1 * active.select(1, 0)));  // the past frame's is the denoiser's
  for (std::int64_t b = 0; b < 2; ++b) {
    const auto row = step.rows[static_cast<std::size_t>(b)];
    CHECK(torch::equal(eps[b].narrow(0, 1, 1),
                       estimate.eps(active[b].narrow(0, 1, 1), 0.1 * active[b].narrow(0, 1, 1), prediction[row],
                                    step.at[static_cast<std::size_t>(b)])));
  }
}

TEST_CASE("combined estimates: fields of a frame help each other") {
  // Two fields, of which the denoiser names the noise of each as that of the other.
  const std::int64_t shells = law().size(0);
  const double signal = kSchedule.signal(2), noise_std = kSchedule.noise_std(2);
  const torch::Tensor p = torch::eye(2, torch::kFloat64), swap = p.flip(0), zero = torch::zeros_like(p);
  const torch::Tensor rows =
      torch::cat({torch::cat({zero, swap}, 1), torch::cat({signal * p, noise_std * p}, 1),
                  torch::cat({zero, zero}, 1), torch::cat({zero, p}, 1)});
  const torch::Tensor moments = torch::matmul(rows, rows.transpose(0, 1)).expand({shells, 8, 8});
  const torch::Tensor found = best_combination(moments, kSchedule, 2);
  REQUIRE(found.sizes() == torch::IntArrayRef({shells, 2, 8}));
  CHECK(torch::allclose(found[1].narrow(1, 6, 2), zero, 0, 1e-12));  // nothing is left of the error
  torch::Tensor table = torch::zeros({4, 4, shells, 2, 8}, torch::kFloat64);
  table[0][3].copy_(found);
  const CombinedEstimate estimate(kSchedule, {-1, 0, 1, 2}, table, kPoints);
  const torch::Tensor clean = pairs_of_law(1)[0], noise = pairs_of_law(2)[1];
  const torch::Tensor eps = estimate.eps(signal * clean + noise_std * noise, noise.flip(0),
                                         torch::zeros_like(clean), {Levels::kClean, 2});
  CHECK(torch::allclose(eps, noise, 1e-4, 1e-4));
}

TEST_CASE(
    "combined estimates: between measured levels, and above them, what adds up at known scales still does") {
  const CombinedEstimate all = exact({0.7, 0.8});
  const torch::Tensor rows = torch::tensor({0, 1, 4}, torch::kInt64);  // clean, level 0 and level 3
  const CombinedEstimate few(kSchedule, {-1, 0, 3}, all.table().index_select(0, rows).index_select(1, rows),
                             kPoints);
  // A frame that network, surrogate and what is seen agree on comes through with the sum of the three.
  const torch::Tensor frame = pairs_of_law(1)[0].narrow(0, 0, 1);
  const auto through = [&](const CombinedEstimate& estimate, int level) {
    const double signal = kSchedule.signal(level), noise = kSchedule.noise_std(level);
    const torch::Tensor eps =
        estimate.eps(signal * frame, torch::zeros_like(frame), frame, {Levels::kClean, level});
    return (signal * frame - noise * eps) / signal;
  };
  CHECK(torch::allclose(through(few, 0), through(all, 0), 1e-4, 1e-4));
  CHECK(torch::allclose(through(few, 3), through(all, 3), 1e-4, 1e-4));
  CHECK(torch::allclose(through(few, 1), (2 * through(few, 0) + through(few, 3)) / 3, 1e-4, 1e-4));
  CHECK(torch::allclose(through(few, 4), through(few, 3), 1e-4, 1e-4));
}

TEST_CASE("combined estimates: tables that are none") {
  const std::int64_t shells = law().size(0);
  const auto message = [&](const torch::Tensor& table) {
    return test::message_of<Error>([&] { CombinedEstimate(kSchedule, {-1, 0}, table, kPoints); });
  };
  CHECK(message(torch::ones({2, 2, shells, 1, 4})) == "no exception");
  CHECK(contains(message(torch::ones({2, 2, shells, 1, 3})), "must have the shape"));
  CHECK(contains(message(torch::ones({2, 2, 9, 1, 4})), "must have the shape"));
  CHECK(contains(message(torch::ones({2, 3, shells, 1, 4})), "must have the shape"));
  torch::Tensor holed = torch::ones({2, 2, shells, 1, 4});
  holed[0][0][0][0][0] = std::nan("");
  CHECK(contains(message(holed), "not finite"));
}
