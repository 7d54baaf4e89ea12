// Walks of every method, the sampler that executes them, and the models that plan them.
#include "core/files.hpp"
#include "emulator/models/acdm.hpp"
#include "emulator/models/sns.hpp"
#include "emulator/models/thermalizer.hpp"
#include "tests/support/scratch.hpp"
#include "tests/support/torch_doctest.hpp"

#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <set>

using namespace sns;
using test::contains;

namespace {

constexpr int kLevels = 12;

ModelConfig tiny(const std::string& kind) {
  ModelConfig config;
  config.kind = kind;
  config.network.hidden = 4;
  config.network.blocks = 1;
  config.network.embedding = 8;
  config.diffusion.levels = kLevels;
  config.diffusion.schedule = kind == "acdm" ? "linear" : "cosine";
  config.image = 16;
  return config;
}

torch::Tensor frames(std::int64_t batch, std::int64_t channels) {
  return torch::sin(torch::arange(batch * channels * 256, torch::kFloat32) * 0.37F)
      .view({batch, channels, 16, 16});
}

/// Constant noise, and a list of what was asked for.
class ConstantNoise : public NoiseSource {
 public:
  void forward(std::int64_t, Frame frame, std::span<float> out) override {
    starts.insert(frame);
    std::fill(out.begin(), out.end(), 1.0F);
  }
  void reverse(std::int64_t, Frame, int level, std::span<float> out) override {
    reversed.push_back(level);
    std::fill(out.begin(), out.end(), 1.0F);
  }
  void condition(std::int64_t, int draw, std::span<float> out) override {
    conditions.push_back(draw);
    std::fill(out.begin(), out.end(), 1.0F);
  }
  std::set<Frame> starts;
  std::vector<int> reversed, conditions;
};

double largest(const torch::Tensor& x) {
  return x.abs().max().item<double>();
}

using Steps = std::vector<std::pair<int, int>>;
Steps steps(const Walk& walk) {
  Steps out;
  for (const Move& move : walk.moves) out.emplace_back(move.past, move.present);
  return out;
}

Denoiser no_noise(const Layout& layout) {
  return [layout](const torch::Tensor& x, const Step&) {
    return torch::zeros({x.size(0), layout.frames * layout.channels, 16, 16});
  };
}

}  // namespace

TEST_CASE("walks: clean conditioning never noises the past") {
  const Walk walk = plan_walks(Path::clean_past, SweepRule::inclusive, {{3, 2}}, kLevels)[0];
  CHECK(walk.start.past == Levels::kClean);
  CHECK(walk.start.present == 2);
  CHECK(steps(walk) == Steps{{-1, 2}, {-1, 1}, {-1, 0}});
  CHECK(plan_walks(Path::fixed_past, SweepRule::inclusive, {{3, 2}}, kLevels)[0].start.past == 3);
}

TEST_CASE("walks: generation is a walk from pure noise") {
  const std::vector<Levels> levels = {{1, 3}};  // three levels: the present is pure noise
  const auto walk = [&](Path path) { return steps(plan_walks(path, SweepRule::inclusive, levels, 3)[0]); };
  CHECK(walk(Path::fixed_past) == Steps{{-1, 2}, {-1, 1}, {-1, 0}});
  CHECK(walk(Path::A) == Steps{{1, -1}, {0, -1}, {-1, 2}, {-1, 1}, {-1, 0}});
  CHECK(walk(Path::C) == Steps{{-1, 2}, {1, 1}, {0, 0}});
}

TEST_CASE("walks: a sweep that stops early, and one with a condition") {
  CHECK(steps(plan_walks(Path::clean_past, SweepRule::inclusive, {{0, 5}}, kLevels, 3)[0]) ==
        Steps{{-1, 5}, {-1, 4}, {-1, 3}});
  const Walk fresh = plan_conditioned_walk(3, 3, true), same = plan_conditioned_walk(2, 3, false);
  CHECK(fresh.start.present == 3);
  CHECK(same.start.present == 2);
  for (const Walk& walk : {fresh, same}) {
    REQUIRE(walk.moves.size() == 3);
    for (int k = 0; k < 3; ++k) {
      const Move& move = walk.moves[static_cast<std::size_t>(k)];
      CHECK(move.present == 2 - k);
      CHECK(move.condition->level == 2 - k);
    }
  }
  CHECK(fresh.moves[0].condition->draw != fresh.moves[1].condition->draw);
  CHECK(same.moves[0].condition->draw == same.moves[2].condition->draw);
}

TEST_CASE("names of gates, starts and spreads") {
  CHECK(bool(parse_gate("present") == Gate::present));
  CHECK(bool(parse_start("pure_noise") == Start::pure_noise));
  CHECK(bool(parse_conditioning("single") == Conditioning::single));
  CHECK(bool(parse_reverse_std("sqrt_beta") == ReverseStd::sqrt_beta));
  CHECK(contains(test::message_of<ConfigError>([] { parse_reverse_std("beta"); }), "posterior, sqrt_beta"));
}

TEST_CASE("a walk may begin at pure noise, and walks that stay are left alone") {
  const Schedule schedule = Schedule::cosine(kLevels);
  const Layout layout{2, 1};
  const torch::Tensor x = frames(2, 3);
  ConstantNoise noise;
  const std::vector<Walk> walks = {{.start = {Levels::kClean, kLevels}, .moves = {}}, {}};
  const Sampled out = follow(schedule, layout, no_noise(layout), x, walks, ReverseStd::posterior, noise);
  CHECK(torch::equal(out.x[1], x[1]));
  CHECK(torch::equal(out.x[0].narrow(0, 0, 2), x[0].narrow(0, 0, 2)));
  CHECK(torch::equal(out.x[0][2], torch::ones({16, 16})));
  CHECK(bool(noise.starts == std::set<Frame>{Frame::present}));
  CHECK(contains(test::message_of([&] {
                   const Walk beyond{.start = {0, kLevels + 1}, .moves = {}};
                   follow(schedule, layout, no_noise(layout), x, {beyond, {}}, ReverseStd::posterior, noise);
                 }),
                 "outside -1..12"));
}

TEST_CASE("estimates of clean frames are clipped where that is asked, and left alone within the limit") {
  const Schedule schedule = Schedule::cosine(200);
  const Layout layout{1, 1};
  const torch::Tensor clean = frames(1, 1);
  const Denoiser wrong = no_noise(layout);  // so that every step makes frames larger
  Walk walk{.start = {Levels::kClean, schedule.levels()}, .moves = {}};
  for (int s = schedule.levels() - 1; s >= 0; --s) walk.moves.push_back({.past = Move::kRest, .present = s});
  const auto made = [&](const Denoiser& denoiser) {
    PhiloxNoise noise(3, {7}, 1);
    return follow(schedule, layout, denoiser, clean, {walk}, ReverseStd::posterior, noise).x;
  };
  constexpr double kLimit = 6;
  REQUIRE(clean.abs().max().item<double>() < kLimit);
  CHECK(made(wrong).abs().max().item<double>() > 3 * kLimit);
  CHECK(made(clipped(schedule, layout, wrong, kLimit)).abs().max().item<double>() < 1.001 * kLimit);
  // The limit does nothing to the last bit where no estimate reaches it.
  CHECK(torch::equal(made(clipped(schedule, layout, wrong, 1e9)), made(wrong)));
}

TEST_CASE("the noise of a reverse step: posterior, or sqrt(beta) at every level") {
  const Schedule schedule = Schedule::cosine(kLevels);
  const Layout layout{1, 1};
  const torch::Tensor x = frames(1, 1);
  const Walk walk{.start = {Levels::kClean, 1},
                  .moves = {{.past = Move::kRest, .present = 1}, {.past = Move::kRest, .present = 0}}};
  const auto run = [&](ReverseStd which, ConstantNoise& noise) {
    return follow(schedule, layout, no_noise(layout), x, {walk}, which, noise).x;
  };
  ConstantNoise posterior, wide;
  const double r1 = std::sqrt(schedule.alpha[1]), r0 = std::sqrt(schedule.alpha[0]);
  const torch::Tensor a = run(ReverseStd::posterior, posterior), b = run(ReverseStd::sqrt_beta, wide);
  const torch::Tensor noised = schedule.signal(1) * x + schedule.noise_std(1);
  CHECK(posterior.reversed == std::vector<int>{1});
  CHECK(wide.reversed == std::vector<int>{1, 0});
  CHECK((a - (noised / r1 + schedule.posterior_std[1]) / r0).abs().max().item<double>() < 1e-6);
  CHECK((b - ((noised / r1 + std::sqrt(schedule.beta[1])) / r0 + std::sqrt(schedule.beta[0])))
            .abs()
            .max()
            .item<double>() < 1e-6);
}

TEST_CASE("frames may take turns in any way: a zig-zag walk ends at the clean frames") {
  // With eps = (x_s - sqrt(alpha_bar) x_0) / sigma the last step of each frame returns x_0 exactly.
  const Schedule schedule = Schedule::cosine(kLevels);
  const Layout layout{2, 1};
  const torch::Tensor x = frames(2, 3);
  const std::vector<Walk> walks = {
      {.start = {3, 2}, .moves = {{3, -1}, {-1, 2}, {2, 1}, {1, -1}, {-1, 0}, {0, -1}}},
      {.start = {0, 4}, .moves = {{-1, 4}, {0, 3}, {-1, 2}, {-1, 1}, {-1, 0}}}};
  const Denoiser perfect = [&](const torch::Tensor& active, const Step& step) {
    torch::Tensor eps = torch::zeros({active.size(0), 2, 16, 16});
    for (std::size_t r = 0; r < step.rows.size(); ++r)
      for (int frame = 0; frame < 2; ++frame) {
        const int s = frame == 0 ? step.moves[r].past : step.moves[r].present;
        const auto row = static_cast<std::int64_t>(r);
        CHECK(step.index[row].item<std::int64_t>() == step.rows[r]);
        CHECK(step.levels[row][frame].item<int>() == std::max(s, 0));
        if (s >= 0)
          eps[row][frame] = (active[row][1 + frame] - schedule.signal(s) * x[step.rows[r]][1 + frame]) /
                            schedule.noise_std(s);
      }
    return eps;
  };
  PhiloxNoise noise(3, {1, 2}, 0), again(3, {2}, 0);
  const Sampled out = follow(schedule, layout, perfect, x, walks, ReverseStd::posterior, noise);
  CHECK(largest(out.x - x) < 1e-4);
  CHECK(out.evaluations == std::vector<std::int64_t>{6, 5});
  // The order of the turns is all that differs from path A: each frame alone has the same steps and noise.
  const Sampled alone =
      follow(schedule, layout, no_noise(layout), x.narrow(0, 1, 1), {walks[1]}, ReverseStd::posterior, again);
  PhiloxNoise third(3, {2}, 0);
  const Sampled path_a =
      follow(schedule, layout, no_noise(layout), x.narrow(0, 1, 1),
             plan_walks(Path::A, SweepRule::inclusive, {{0, 4}}, kLevels), ReverseStd::posterior, third);
  CHECK(torch::equal(alone.x, path_a.x));
}

TEST_CASE("a walk that does not go down one by one from its start is refused") {
  const Schedule schedule = Schedule::cosine(kLevels);
  const Layout layout{2, 1};
  const auto problem = [&](const Walk& walk) {
    ConstantNoise noise;
    return test::message_of([&] {
      follow(schedule, layout, no_noise(layout), frames(1, 3), {walk}, ReverseStd::posterior, noise);
    });
  };
  CHECK(contains(problem({.start = {3, 2}, .moves = {{3, -1}, {3, -1}}}),
                 "the past frame at level 3; the next is 2"));
  CHECK(contains(problem({.start = {3, 2}, .moves = {{3, 2}, {1, -1}}}), "at level 1; the next is 2"));
  CHECK(
      contains(problem({.start = {3, 2}, .moves = {{-1, 0}}}), "the present frame at level 0; it stands at 2"));
  CHECK(contains(problem({.start = {3, 2}, .moves = {{4, -1}}}), "it stands at 3"));
  CHECK(contains(problem({.start = {-1, 2}, .moves = {{0, -1}}}), "it stands at -1"));
  CHECK(problem({.start = {3, 2}, .moves = {{2, 1}}}) ==
        "no exception");  // the step at the start may be skipped
  CHECK(contains(problem({.start = {-1, 1},
                          .moves = {{.past = -1, .present = 1, .condition = Move::Condition{1, 0}},
                                    {.past = -1, .present = 0, .condition = {}}}}),
                 "others have none"));
}

TEST_CASE("bfloat16: outputs stay float32 and within a few roundings of 2^-8") {
  torch::set_num_threads(1);
  Inference inference{.precision = torch::kBFloat16};
  const torch::Tensor x = frames(2, 3), levels = torch::zeros({2, 2}, torch::kInt64);
  Sns sns(tiny("sns"), 3, torch::kCPU);
  const c10::AutoGradMode no_grad(false);
  const torch::Tensor exact = sns.noise_estimate(x, levels);
  try {
    sns.use_for(inference);
  } catch (const Error& error) {
    CHECK(contains(error.what(), "no bfloat16 instructions"));
    CHECK_FALSE(contains(read_text("/proc/cpuinfo"), "avx512_bf16"));
    MESSAGE("not tested: " << error.what());
    return;
  }
  const torch::Tensor rounded = sns.noise_estimate(x, levels);
  CHECK(bool(rounded.scalar_type() == torch::kFloat32));
  const double error = ((rounded - exact).norm() / exact.norm()).item<double>();
  MESSAGE("relative error in bfloat16: " << error);
  CHECK(error < 0.02);
  CHECK(error > 1e-5);
  ModelConfig lagged = tiny("sns");
  lagged.network.lag = LagConfig{.window = 10, .embedding = 8};
  Sns of_lag(lagged, 3, torch::kCPU);
  Acdm acdm(tiny("acdm"), 3, torch::kCPU);
  of_lag.use_for(inference);
  acdm.use_for(inference);
  CHECK(of_lag.levels(x, {2, 5}).size() == 2);
  CHECK(acdm.noise_estimate(frames(2, 2), levels.select(1, 0)).isfinite().all().item<bool>());
}

TEST_CASE("the gate of the lagged variant: levels are dropped where the present looks cleaner") {
  const Schedule schedule = Schedule::cosine(kLevels);
  const Layout layout{2, 1};
  const torch::Tensor x = frames(4, 3);
  // present below past; present below the threshold; at the threshold; above it
  const std::vector<Levels> predicted = {{6, 5}, {0, 1}, {2, 2}, {1, 4}};
  RefineOptions options;
  options.gate = Gate::present;
  options.threshold = 2;
  ConstantNoise noise;
  const auto used = [&] {
    Steps out;
    for (const Levels& one : refine(schedule, layout, no_noise(layout), x, predicted, options, noise).used)
      out.emplace_back(one.past, one.present);
    return out;
  };
  CHECK(used() == Steps{{-1, -1}, {-1, -1}, {-1, -1}, {1, 4}});
  options.rule = SweepRule::reference;  // one refined, all refined
  CHECK(used() == Steps{{0, 0}, {0, 0}, {2, 2}, {1, 4}});
  options.threshold = 4;
  CHECK(used() == Steps{{-1, -1}, {-1, -1}, {-1, -1}, {-1, -1}});
  options.threshold = -1;  // as the reference code calls it: always
  CHECK(used() == Steps{{0, 0}, {0, 1}, {2, 2}, {1, 4}});
}

TEST_CASE("Tweedie's estimate inverts the noising where the noise is known") {
  const Schedule schedule = Schedule::cosine(kLevels);
  const torch::Tensor x = frames(2, 1), z = torch::cos(x * 3), levels = torch::tensor({0, 7}, torch::kInt64);
  const torch::Tensor noised = add_noise(schedule, x, levels, z);
  CHECK((tweedie(schedule, noised, levels, z) - x).abs().max().item<double>() < 1e-5);
}

TEST_CASE("the oracle: SNS estimates both clean frames at any pair of levels") {
  torch::set_num_threads(1);
  Sns sns(tiny("sns"), 3, torch::kCPU);
  const torch::Tensor x = frames(2, 3), levels = torch::tensor({2, 9, 0, 11}, torch::kInt64).view({2, 2});
  const torch::NoGradGuard no_grad;
  const torch::Tensor clean = sns.clean_estimate(x, levels), eps = sns.noise_estimate(x, levels);
  for (std::int64_t b = 0; b < 2; ++b)
    for (std::int64_t f = 0; f < 2; ++f) {
      const int s = levels[b][f].item<int>();
      const torch::Tensor expected =
          (x[b][1 + f] - sns.schedule().noise_std(s) * eps[b][f]) / sns.schedule().signal(s);
      CHECK(((clean[b][f] - expected).abs().max() / expected.abs().max()).item<double>() < 1e-5);
    }
}

TEST_CASE("thermalizer: only frames above the threshold, down to the stop level; rows keep their numbers") {
  torch::set_num_threads(1);
  Thermalizer thermalizer(tiny("thermalizer"), 4, torch::kCPU);
  const torch::Tensor x = frames(3, 1);
  RefineOptions options;
  options.threshold = 4;
  options.stop_level = 2;
  PhiloxNoise all(7, {10, 11, 12}, 5), one(7, {12}, 5);
  const Refined batch = thermalizer.refine(x, {{-1, 4}, {-1, 9}, {-1, 5}}, options, all);
  CHECK(batch.evaluations == std::vector<std::int64_t>{0, 7, 3});
  CHECK(torch::equal(batch.x[0], x[0]));
  CHECK(batch.used[0].present == -1);
  CHECK(batch.used[1].present == 9);
  CHECK(batch.used[1].past == -1);
  const Refined alone = thermalizer.refine(x.narrow(0, 2, 1), {{-1, 5}}, options, one);
  CHECK((alone.x[0] - batch.x[2]).abs().max().item<double>() < 1e-5);
  options.rule = SweepRule::reference;
  CHECK(thermalizer.refine(x, {{-1, 4}, {-1, 9}, {-1, 5}}, options, all).evaluations ==
        std::vector<std::int64_t>{0, 6, 3});
}

TEST_CASE("ACDM: one evaluation per level, noise by its options, two fields with the present's noise alone") {
  torch::set_num_threads(1);
  ModelConfig config = tiny("acdm");
  config.field_channels = 2;
  config.network.predicts = "present";
  Acdm acdm(config, 6, torch::kCPU);
  const torch::Tensor past = frames(2, 2);
  ConstantNoise per_step, single;
  const Sampled made = acdm.next(past, {}, per_step);
  CHECK(made.x.sizes() == past.sizes());
  CHECK(made.evaluations == std::vector<std::int64_t>{kLevels, kLevels});
  CHECK(bool(per_step.starts == std::set<Frame>{Frame::present}));
  CHECK(std::set<int>(per_step.conditions.begin(), per_step.conditions.end()).size() == kLevels);
  AcdmOptions options;
  options.conditioning = Conditioning::single;
  acdm.next(past, options, single);
  CHECK(std::set<int>(single.conditions.begin(), single.conditions.end()).size() == 1);

  PhiloxNoise two(3, {20, 21}, 9), one(3, {21}, 9), again(3, {20, 21}, 9), later(3, {20, 21}, 10);
  const torch::Tensor batch = acdm.next(past, {}, two).x;
  CHECK((acdm.next(past.narrow(0, 1, 1), {}, one).x[0] - batch[1]).abs().max().item<double>() < 1e-4);
  CHECK(torch::equal(acdm.next(past, {}, again).x, batch));
  CHECK_FALSE(torch::allclose(acdm.next(past, {}, later).x, batch, 1e-3, 1e-3));
  options = {};
  options.start = Start::pure_noise;
  CHECK_FALSE(torch::allclose(acdm.next(past, options, again).x, batch, 1e-3, 1e-3));
}

TEST_CASE("SNS generates a frame by Algorithm 2, by Figure 2 and with a clean past") {
  torch::set_num_threads(1);
  Sns sns(tiny("sns"), 8, torch::kCPU);
  const torch::Tensor past = frames(2, 1), far = frames(2, 1).flip(2);
  const auto make = [&](Path path, Start start = Start::pure_noise) {
    PhiloxNoise noise(3, {20, 21}, 9);
    GenerationOptions options;
    options.path = path;
    options.start = start;
    return sns.generate(far, past, options, noise);
  };
  const Generated fixed = make(Path::fixed_past), first = make(Path::A), clean = make(Path::clean_past);
  CHECK(torch::equal(fixed.x.narrow(1, 0, 1), far));
  for (std::size_t b = 0; b < 2; ++b) {
    CHECK(fixed.evaluations[b] == kLevels);
    CHECK(clean.evaluations[b] == kLevels);
    CHECK(fixed.predicted[b].present == -1);
    CHECK(first.evaluations[b] == kLevels + first.predicted[b].past + 1);
  }
  CHECK(clean.predicted.empty());
  CHECK(torch::equal(clean.x.narrow(1, 1, 1), past));
  CHECK_FALSE(torch::equal(fixed.x.narrow(1, 1, 1), past));
  CHECK_FALSE(torch::allclose(make(Path::fixed_past, Start::noised_past).x, fixed.x, 1e-3, 1e-3));

  // The level of the past is what the heads see beside the noise that the present starts from.
  PhiloxNoise noise(3, {20, 21}, 9);
  torch::Tensor start = torch::empty({2, 1, 16, 16});
  for (std::int64_t b = 0; b < 2; ++b)
    noise.forward(b, Frame::present, {start.data_ptr<float>() + b * 256, 256});
  const auto seen = sns.levels(torch::cat({far, past, start}, 1));
  for (std::size_t b = 0; b < 2; ++b) CHECK(seen[b].past == fixed.predicted[b].past);
}

TEST_CASE("clean conditioning: reverse steps from noise, beside the past frame as it is") {
  torch::set_num_threads(1);
  ModelConfig config = tiny("sns");
  config.trained_past = "clean";
  Sns sns(config, 8, torch::kCPU);
  const torch::Tensor past = frames(2, 1), far = frames(2, 1).flip(2);
  GenerationOptions options;
  options.path = Path::clean_past;
  ConstantNoise noise;
  const torch::Tensor made = sns.generate(far, past, options, noise).x.narrow(1, 2, 1);
  CHECK(bool(noise.starts == std::set<Frame>{Frame::present}));

  const torch::NoGradGuard no_grad;
  const Schedule& schedule = sns.schedule();
  torch::Tensor x = torch::ones({2, 1, 16, 16});
  for (std::size_t s = kLevels; s-- > 0;) {
    const torch::Tensor eps = sns.net().forward(torch::cat({far, past, x}, 1)).noise.narrow(1, 1, 1);
    const double std = schedule.noise_std(static_cast<int>(s));
    x = (x - schedule.beta[s] / std * eps) / std::sqrt(schedule.alpha[s]) + schedule.posterior_std[s];
  }
  CHECK(largest(made - x) < 1e-4 * largest(x));
}

TEST_CASE("an SNS that was trained beside clean past frames noises none") {
  ModelConfig config = tiny("sns");
  config.trained_past = "clean";
  Sns sns(config, 8, torch::kCPU);
  const torch::Tensor x = frames(2, 3), past = frames(2, 1);
  const std::vector<Levels> levels = {{1, 2}, {3, 0}};
  const auto refine = [&](Path path) {
    PhiloxNoise noise(3, {20, 21}, 9);
    RefineOptions options;
    options.path = path;
    return sns.refine(x, heeded(levels, path), options, noise);
  };
  const auto generate = [&](Path path) {
    PhiloxNoise noise(3, {20, 21}, 9);
    GenerationOptions options;
    options.path = path;
    return sns.generate(past, past, options, noise);
  };
  for (const Path& path : {Path::A, Path::B, Path::C, Path::fixed_past}) {
    const std::string name = "path " + path.text() + " noises them";
    CHECK(contains(test::message_of<ConfigError>([&] { refine(path); }), name));
    CHECK(contains(test::message_of<ConfigError>([&] { generate(path); }), name));
  }
  CHECK(contains(test::message_of<ConfigError>([&] {
                   sns.clean_estimate(x, torch::zeros({2, 2}, torch::kInt64));
                 }),
                 "the oracle noises them"));
  CHECK(refine(Path::clean_past).evaluations == std::vector<std::int64_t>{3, 1});
  CHECK(generate(Path::clean_past).x.size(0) == 2);
}

TEST_CASE("each row of a lagged model has its own lag, in subsets too") {
  torch::set_num_threads(1);
  ModelConfig config = tiny("sns");
  config.network.lag = LagConfig{.window = 10, .embedding = 8};
  Sns sns(config, 3, torch::kCPU);
  const torch::Tensor x = frames(2, 3);
  PhiloxNoise both(1, {5, 6}, 0), second(1, {6}, 0);
  const std::vector<Levels> levels = {{1, 0}, {4, 3}};
  const Refined together = sns.refine(x, levels, {}, both, {2, 9});
  const Refined alone = sns.refine(x.narrow(0, 1, 1), {levels[1]}, {}, second, {9});
  CHECK((together.x[1] - alone.x[0]).abs().max().item<double>() < 1e-5);
  CHECK(contains(test::message_of([&] { sns.levels(x, {1, 2, 3}); }), "3 lags for a batch of 2"));
}

TEST_CASE("configuration of thermalizer and ACDM: there and back, defaults and mistakes") {
  const test::ScratchFolder folder;
  ModelConfig config = tiny("acdm");
  config.network.predicts = "present";
  config.field_channels = 2;
  save_model_config(config, folder.path());
  const ModelConfig read = load_model_config(folder / "config.yaml");
  CHECK(to_yaml(read) == to_yaml(config));
  CHECK(read.network.predicts == "present");
  CHECK(*read.network.embedding == 8);
  const auto parse = [](const std::string& yaml) {
    const Config file = Config::parse(yaml);
    Section root = file.root();
    ModelConfig model = read_model(root);
    file.finish();
    return model;
  };
  const ModelConfig plain = parse("{kind: acdm}");
  CHECK(plain.diffusion.levels == 200);
  CHECK(plain.diffusion.schedule == "linear");
  CHECK(parse("{kind: thermalizer}").diffusion.schedule == "cosine");
  const auto problem = [&](const std::string& yaml) {
    return test::message_of<ConfigError>([&] { parse(yaml); });
  };
  CHECK(contains(problem("{kind: acdm, network: {embedding: 7}}"), "even"));
  CHECK(contains(problem("{kind: acdm, network: {predicts: past}}"), "both"));
  CHECK(contains(problem("{kind: thermalizer, network: {embedding: 8}}"), "embedding"));
}
