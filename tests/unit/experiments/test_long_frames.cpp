// Long frames of lagged networks in rollouts, and what is written back to the past.
#include "tests/support/torch_doctest.hpp"

#include "core/error.hpp"
#include "tests/support/same_bits.hpp"
#include "tests/support/scratch.hpp"
#include "tests/support/tiny_rollout.hpp"

#include <algorithm>

using namespace sns;
using namespace sns::test;

TEST_CASE("the long frame: each trajectory's own beginning, or one for all") {
  const test::ScratchFolder folder;
  const RolloutJob job = tiny_job(folder / "a.h5", 2, {0, 1});
  const auto frames = [&](const torch::Tensor& long_frame) {
    auto model = std::make_unique<Sns>(tiny("sns"), 2, torch::kCPU);
    return run(job, emulator(), make_sns_refiner(std::move(model), {}, {.seed = 11, .long_frame = long_frame}))
        .frames;
  };
  const auto own = frames({});
  const auto same = frames(torch::tensor(job.initial).view({2, 1, 16, 16}).narrow(0, 0, 1));
  const std::size_t member = own.size() / 2;
  CHECK(same_bits({own.begin(), own.begin() + static_cast<std::ptrdiff_t>(member)},
                  {same.begin(), same.begin() + static_cast<std::ptrdiff_t>(member)}));  // it is its own
  CHECK(own != same);

  ModelConfig config = tiny("sns");
  config.network.lag = LagConfig{.window = 5, .embedding = 8};
  CHECK_THROWS_AS(make_sns_refiner(std::make_unique<Sns>(config, 2, torch::kCPU), {},
                                   {.long_frame = torch::zeros({1, 1, 16, 16})}),
                  Error);
}

TEST_CASE("write-back changes the stored past and nothing that follows") {
  const test::ScratchFolder folder;
  const auto frames = [&](bool write_back) {
    auto model = std::make_unique<Sns>(tiny("sns"), 2, torch::kCPU);
    return run(tiny_job(folder / "a.h5", 3, {0}), emulator(),
               make_sns_refiner(std::move(model), {}, {.seed = 11, .write_back = write_back}))
        .frames;
  };
  const auto plain = frames(false), rewritten = frames(true);
  const auto frame = [](const std::vector<float>& all, std::ptrdiff_t step) {
    return std::vector<float>(all.begin() + 256 * step, all.begin() + 256 * (step + 1));
  };
  CHECK(same_bits(frame(plain, 0), frame(rewritten, 0)));  // frame 0 is given
  CHECK_FALSE(same_bits(frame(plain, 1), frame(rewritten, 1)));
  CHECK_FALSE(same_bits(frame(plain, 2), frame(rewritten, 2)));
  CHECK(same_bits(frame(plain, 3), frame(rewritten, 3)));
}

TEST_CASE("what a lagged model writes back never is another initial condition for it to look back at") {
  const test::ScratchFolder folder;
  const auto last_frame = [&](bool write_back) {
    ModelConfig config = tiny("sns");
    config.network.lag = LagConfig{.window = 6, .embedding = 8};
    const auto frames = run(tiny_job(folder / "a.h5", 4, {0}), emulator(),
                            make_sns_refiner(std::make_unique<Sns>(config, 2, torch::kCPU), {},
                                             {.seed = 11, .write_back = write_back}))
                            .frames;
    return std::vector<float>(frames.end() - 256, frames.end());
  };
  // Up to here it looks back at frame 0 alone, and what is written back changes nothing else that follows.
  CHECK(same_bits(last_frame(false), last_frame(true)));
}

TEST_CASE("a lagged model that classifies refined frames is not shown them noised") {
  ModelConfig config = tiny("sns");
  config.network.lag = LagConfig{.window = 3, .embedding = 8};
  RefineOptions options;
  options.classify = Classify::noised;
  const auto make = [&] {
    make_sns_refiner(std::make_unique<Sns>(config, 2, torch::kCPU), options, {.seed = 11});
  };
  CHECK_NOTHROW(make());
  options.gate = Gate::present;
  CHECK_THROWS_AS(make(), Error);
}

TEST_CASE("long frames: lags count from the last clean step of each member") {
  LongFrames past(3);
  const std::vector<std::int64_t> ids{7, 1LL << 40};
  const auto frame = [](float value) { return torch::full({2, 1, 4, 4}, value); };
  past.remember(frame(0), ids);
  CHECK(past.lags(1) == std::vector<int>{1, 1});
  past.remember(frame(1), ids);
  past.move(1, 1);
  CHECK(past.lags(2) == std::vector<int>{2, 1});
  const torch::Tensor mixed = past.frames({2, 1});
  CHECK(mixed[0][0][0][0].item<float>() == 0);
  CHECK(mixed[1][0][0][0].item<float>() == 1);
  for (int step = 2; step < 5; ++step) past.remember(frame(static_cast<float>(step)), ids);
  CHECK(past.lags(5) == std::vector<int>{3, 3});

  LongFrames other(3);
  other.restore(past.save(), 1, 4, torch::kCPU);
  past.move(0, 4);
  other.move(0, 4);
  for (LongFrames* frames : {&past, &other}) {
    CHECK(frames->lags(5) == std::vector<int>{1, 3});
    CHECK(torch::equal(frames->frames({3, 3}), frame(2)));
  }
  const std::vector<std::int64_t> survivor{1LL << 40};
  other.remember(frame(5).narrow(0, 1, 1), survivor);
  CHECK(other.lags(6) == std::vector<int>{3});
  CHECK(LongFrames(0).lags(4).empty());
}

TEST_CASE("lagged SNS with the gate on the present: a second classification, and long frames that move up") {
  const test::ScratchFolder folder;
  const auto stage = [](Gate gate, int threshold) {
    ModelConfig config = tiny("sns");
    config.network.lag = LagConfig{.window = 5, .embedding = 8};
    RefineOptions options;
    options.gate = gate;
    options.threshold = threshold;
    return make_sns_refiner(std::make_unique<Sns>(config, 2, torch::kCPU), options, {.seed = 11});
  };
  const Log either = run(tiny_job(folder / "either.h5", 4, {0}), emulator(), stage(Gate::either, kLevels - 1)),
            present =
                run(tiny_job(folder / "present.h5", 4, {0}), emulator(), stage(Gate::present, kLevels - 1)),
            always = run(tiny_job(folder / "always.h5", 4, {0}), emulator(), stage(Gate::present, -1));
  for (const std::size_t step : {1U, 2U, 3U, 4U}) {
    CHECK(either.evaluations[3 * step + 1] == 1);
    CHECK(present.evaluations[3 * step + 1] == 2);
    CHECK(either.evaluations[3 * step + 2] == 0);
    CHECK(present.evaluations[3 * step + 2] == 0);
    CHECK(always.evaluations[3 * step + 2] > 0);
  }
  CHECK(present.frames == either.frames);  // nothing is refined in either

  // What is refined by the same levels beside long frames that move up and that stay where they are: the first
  // step has the initial condition beside it in both.
  const auto refined = [&](const char* file, Gate gate) {
    ModelConfig config = tiny("sns");
    config.network.lag = LagConfig{.window = 5, .embedding = 8};
    RefineOptions options;
    options.gate = gate;
    options.threshold = kLevels - 2;  // what the heads say of refined frames is below
    options.fixed_levels = Levels{0, kLevels - 1};
    return run(tiny_job(folder / file, 3, {0}), emulator(),
               make_sns_refiner(std::make_unique<Sns>(config, 2, torch::kCPU), options, {.seed = 11}));
  };
  const Log moving = refined("moving.h5", Gate::present), staying = refined("staying.h5", Gate::either);
  const std::size_t size = moving.frames.size() / 4;
  const auto same_until = [&](std::size_t frames) {
    return std::equal(moving.frames.begin(), moving.frames.begin() + static_cast<std::ptrdiff_t>(frames * size),
                      staying.frames.begin());
  };
  CHECK(moving.evaluations[3 * 1 + 2] > 0);
  CHECK(same_until(2));
  CHECK_FALSE(same_until(3));
}
