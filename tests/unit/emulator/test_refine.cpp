#include "emulator/diffusion/refine.hpp"
#include "emulator/models/sns.hpp"
#include "tests/support/scratch.hpp"
#include "tests/support/torch_doctest.hpp"

#include <torch/utils.h>

#include <cmath>
#include <map>

using namespace sns;
using test::contains;

namespace {

ModelConfig small_sns(const std::string& prediction = "eps") {
  ModelConfig config;
  config.kind = "sns";
  config.network.hidden = 4;
  config.network.blocks = 1;
  config.network.embedding = 8;
  config.diffusion.levels = 40;
  config.diffusion.prediction = prediction;
  config.image = 16;
  return config;
}

torch::Tensor waves(std::int64_t batch) {
  const auto index = torch::arange(16, torch::kFloat32) * (2 * M_PI / 16);
  std::vector<torch::Tensor> rows;
  for (std::int64_t b = 0; b < batch; ++b)
    for (int frame = 0; frame < 3; ++frame)
      rows.push_back(torch::sin(index * (1 + b % 3) + 0.1 * frame).unsqueeze(1) +
                     torch::cos(2 * index + b).unsqueeze(0));
  return torch::stack(rows).view({batch, 3, 16, 16});
}

std::vector<std::pair<int, int>> steps(Path path, SweepRule rule, std::vector<Levels> levels,
                                       std::size_t sample) {
  std::vector<std::pair<int, int>> out;
  const Walk walk = plan_walks(path, rule, levels, 40).at(sample);
  for (const Move& move : walk.moves) out.emplace_back(move.past, move.present);
  return out;
}

using Steps = std::vector<std::pair<int, int>>;

}  // namespace

TEST_CASE("walks: the inclusive rule starts every sample at its own level") {
  const std::vector<Levels> levels = {{1, 0}, {3, 2}};
  CHECK(steps(Path::A, SweepRule::inclusive, levels, 0) == Steps{{1, -1}, {0, -1}, {-1, 0}});
  CHECK(steps(Path::B, SweepRule::inclusive, levels, 0) == Steps{{-1, 0}, {1, -1}, {0, -1}});
  CHECK(steps(Path::C, SweepRule::inclusive, levels, 1) == Steps{{3, -1}, {2, 2}, {1, 1}, {0, 0}});
  CHECK(steps(Path::fixed_past, SweepRule::inclusive, levels, 1) == Steps{{-1, 2}, {-1, 1}, {-1, 0}});
}

TEST_CASE("walks: the exclusive rule skips the step at the level itself, and spares frames that get no step") {
  const std::vector<Levels> levels = {{1, 0}, {3, 2}, {0, 0}};
  CHECK(steps(Path::A, SweepRule::exclusive, levels, 0) == Steps{{0, -1}});
  CHECK(steps(Path::B, SweepRule::exclusive, levels, 1) == Steps{{-1, 1}, {-1, 0}, {2, -1}, {1, -1}, {0, -1}});
  CHECK(steps(Path::C, SweepRule::exclusive, levels, 1) == Steps{{2, -1}, {1, 1}, {0, 0}});
  CHECK(steps(Path::A, SweepRule::exclusive, levels, 1) == steps(Path::A, SweepRule::exclusive, {{3, 2}}, 0));
  const auto walks = plan_walks(Path::A, SweepRule::exclusive, levels, 40);
  CHECK(walks[0].start.past == 1);
  CHECK(walks[0].start.present == Levels::kClean);
  CHECK(walks[1].start.present == 2);
  CHECK(walks[2].stays());
  const auto fixed = plan_walks(Path::fixed_past, SweepRule::exclusive, {{0, 2}, {1, 2}}, 40);
  CHECK(fixed[0].start.past == Levels::kClean);
  CHECK(fixed[1].start.past == 1);
  // A batch of one under the reference rule gets the same steps, but on path C with unequal levels.
  for (const Path& path : {Path::A, Path::B, Path::C, Path::fixed_past})
    CHECK(steps(path, SweepRule::exclusive, {{4, 4}}, 0) == steps(path, SweepRule::reference, {{4, 4}}, 0));
  for (const Path& path : {Path::A, Path::B, Path::fixed_past})
    CHECK(steps(path, SweepRule::exclusive, {{3, 2}}, 0) == steps(path, SweepRule::reference, {{3, 2}}, 0));
  CHECK(steps(Path::C, SweepRule::exclusive, {{3, 2}}, 0) == Steps{{2, -1}, {1, 1}, {0, 0}});
  CHECK(steps(Path::C, SweepRule::reference, {{3, 2}}, 0) == Steps{{2, 2}, {1, 1}, {0, 0}});
  // A sweep that ends above the frame's first step leaves it alone.
  CHECK(plan_walks(Path::clean_past, SweepRule::exclusive, {{0, 5}}, 40, 5)[0].stays());
}

TEST_CASE("exclusive: a frame at level 0 stays bit for bit") {
  Sns sns(small_sns(), 5, torch::kCPU);
  const torch::Tensor x = waves(2);
  PhiloxNoise noise(1, {0, 1}, 0);
  RefineOptions options;
  options.rule = SweepRule::exclusive;
  const Refined refined = sns.refine(x, {{2, 0}, {0, 0}}, options, noise);
  CHECK(refined.evaluations == std::vector<std::int64_t>{2, 0});
  CHECK(torch::equal(refined.x[1], x[1]));
  CHECK(torch::equal(refined.x[0][2], x[0][2]));
  CHECK_FALSE(torch::equal(refined.x[0][1], x[0][1]));
}

TEST_CASE("walks: the reference rule starts at the batch maximum minus one") {
  const std::vector<Levels> levels = {{1, 0}, {3, 2}, {3, 0}};
  CHECK(steps(Path::A, SweepRule::reference, levels, 0) == Steps{{1, -1}, {0, -1}, {-1, 0}});
  CHECK(steps(Path::A, SweepRule::reference, levels, 1) == Steps{{2, -1}, {1, -1}, {0, -1}, {-1, 1}, {-1, 0}});
  CHECK(steps(Path::A, SweepRule::reference, {{0, 0}, {0, 0}}, 0).empty());
}

TEST_CASE("names of paths and rules") {
  CHECK(bool(parse_path("fixed_past") == Path::fixed_past));
  CHECK(bool(parse_rule("reference") == SweepRule::reference));
  CHECK(bool(parse_rule("exclusive") == SweepRule::exclusive));
  CHECK(contains(test::message_of<ConfigError>([] { parse_path("D"); }), "A, B, C, fixed_past, clean_past"));
}

TEST_CASE("paths by their corners") {
  CHECK(parse_path("top,top clean,top clean,clean") == Path::A);
  CHECK(parse_path("top,top top,clean clean,clean") == Path::B);
  CHECK(parse_path("top,top clean,clean") == Path::C);
  CHECK(parse_path("top,top top,clean") == Path::fixed_past);
  CHECK(parse_path("clean,top clean,clean") == Path::clean_past);
  for (const std::string& name : path_names()) CHECK(parse_path(name).text() == name);
  CHECK(parse_path("  top,top   3,top  clean,clean ").text() == "top,top 3,top clean,clean");

  // Each to level 1, then both together.
  const Path turns = parse_path("top,top 1,top 1,1 clean,clean");
  CHECK(steps(turns, SweepRule::inclusive, {{3, 4}}, 0) ==
        Steps{{3, -1}, {2, -1}, {-1, 4}, {-1, 3}, {-1, 2}, {1, 1}, {0, 0}});
  CHECK(steps(turns, SweepRule::exclusive, {{3, 4}}, 0) == Steps{{2, -1}, {-1, 3}, {-1, 2}, {1, 1}, {0, 0}});
  CHECK(steps(turns, SweepRule::inclusive, {{0, 2}}, 0) == Steps{{-1, 2}, {-1, 1}, {0, 0}});
  // Five levels beside three: the present one rests twice.
  CHECK(steps(parse_path("top,top 4,2 clean,clean"), SweepRule::inclusive, {{4, 2}}, 0) ==
        Steps{{4, -1}, {3, 2}, {2, -1}, {1, 1}, {0, 0}});
  // The past frame down to level 2, where it stays.
  const Path stays = parse_path("top,top 2,top 2,clean");
  CHECK(steps(stays, SweepRule::inclusive, {{4, 1}}, 0) == Steps{{4, -1}, {3, -1}, {-1, 1}, {-1, 0}});
  CHECK_FALSE(stays.cleans_past());
  CHECK_FALSE(stays.steps_together());
  CHECK(turns.steps_together());
  // Corners where it goes straight on are none.
  CHECK(parse_path("clean,top clean,4 clean,clean") == Path::clean_past);
  CHECK(parse_path("top,top 7,7 4,4 clean,clean") == Path::C);
  CHECK(parse_path("top,top 7,7 4,2 clean,clean").text() == "top,top 7,7 4,2 clean,clean");
}

TEST_CASE("paths that are refused") {
  const auto message = [](const std::string& text) {
    return test::message_of<ConfigError>([&] { parse_path(text); });
  };
  CHECK(contains(message(""), "two corners"));
  CHECK(contains(message("top,top"), "two corners"));
  CHECK(contains(message("top,top clean"), "in quotes"));
  CHECK(contains(message("top,top -1,clean"), "is none of A, B, C"));
  CHECK(contains(message("top,top 3x,clean"), "is none of A, B, C"));
  CHECK(contains(message("9,top clean,clean"), "begins at top,top or"));
  CHECK(contains(message("top,clean clean,clean"), "begins at top,top or"));
  CHECK(contains(message("top,top clean,4"), "ends with a clean present frame; this one at clean,4"));
  CHECK(contains(message("top,top 3,3 4,2 clean,clean"), "only goes down; this one goes from 3,3 to 4,2"));
  CHECK(contains(message("top,top 3,3 3,3 clean,clean"), "only goes down"));
  CHECK(contains(test::message_of<ConfigError>([] {
                   steps(parse_path("top,top 40,40 clean,clean"), SweepRule::inclusive, {{1, 1}}, 0);
                 }),
                 "corner at level 40; the model's levels are 0..39"));
}

TEST_CASE("a member is refined alike alone and in a batch") {
  torch::set_num_threads(1);
  Sns sns(small_sns(), 5, torch::kCPU);
  const torch::Tensor x = waves(8);
  std::vector<Levels> levels;
  for (int b = 0; b < 8; ++b) levels.push_back({b % 4, (b * 3) % 5});
  PhiloxNoise all(11, {100, 101, 102, 103, 104, 105, 106, 107}, 42), one(11, {103}, 42);
  const Refined batch = sns.refine(x, levels, {}, all);
  const Refined alone = sns.refine(x.slice(0, 3, 4), {levels[3]}, {}, one);
  CHECK((batch.x[3] - alone.x[0]).abs().max().item<float>() < 1e-5);
  CHECK(batch.evaluations[3] == levels[3].past + levels[3].present + 2);
  CHECK(alone.evaluations[0] == batch.evaluations[3]);

  PhiloxNoise later(11, {103}, 43), other(11, {104}, 42);
  CHECK((sns.refine(x.slice(0, 3, 4), {levels[3]}, {}, later).x - alone.x).abs().max().item<float>() > 1e-4);
  CHECK((sns.refine(x.slice(0, 3, 4), {levels[3]}, {}, other).x - alone.x).abs().max().item<float>() > 1e-4);
}

TEST_CASE("threshold leaves samples alone, floor raises levels, long channel stays") {
  Sns sns(small_sns(), 5, torch::kCPU);
  const torch::Tensor x = waves(3), before = x.clone();
  PhiloxNoise noise(1, {0, 1, 2}, 0);
  RefineOptions options;
  options.threshold = 1;
  options.level_floor = 2;
  const Refined refined = sns.refine(x, {{1, 1}, {0, 2}, {5, 0}}, options, noise);
  CHECK(torch::equal(x, before));
  CHECK(torch::equal(refined.x[0], x[0]));
  CHECK(refined.used[0].past == -1);
  CHECK(refined.used[1].past == 2);
  CHECK(refined.used[2].present == 2);
  CHECK(refined.evaluations == std::vector<std::int64_t>{0, 6, 9});
  CHECK(torch::equal(refined.x.select(1, 0), x.select(1, 0)));
  CHECK(!torch::equal(refined.x[1], x[1]));
}

TEST_CASE("clean conditioning: what the head says of the past frame plays no part") {
  Sns sns(small_sns(), 5, torch::kCPU);
  const torch::Tensor x = waves(3);
  for (const Gate gate : {Gate::either, Gate::present}) {
    PhiloxNoise noise(1, {0, 1, 2}, 0);
    RefineOptions options;
    options.path = Path::clean_past;
    options.threshold = 1;
    options.level_floor = 4;
    options.gate = gate;
    const Refined refined = sns.refine(x, {{9, 0}, {9, 3}, {0, 6}}, options, noise);
    CHECK(refined.evaluations == std::vector<std::int64_t>{0, 5, 7});
    CHECK(torch::equal(refined.x[0], x[0]));
    for (const Levels& used : refined.used) CHECK(used.past == -1);
    CHECK(refined.used[0].present == -1);
    CHECK(refined.used[1].present == 4);
    CHECK(refined.used[2].present == 6);
  }
}

TEST_CASE("fixed levels: what the heads say plays no part, but for frames that are left alone") {
  Sns sns(small_sns(), 5, torch::kCPU);
  const torch::Tensor x = waves(3);
  RefineOptions options;
  options.fixed_levels = Levels{1, 3};
  PhiloxNoise noise(1, {0, 1, 2}, 0), again(1, {0, 1, 2}, 0);
  const Refined refined = sns.refine(x, {{9, 0}, {0, 12}, {4, Levels::kClean}}, options, noise);
  const auto same = [](const std::vector<Levels>& used, const std::vector<Levels>& wanted) {
    return used == wanted;
  };
  CHECK(same(refined.used, {{1, 3}, {1, 3}, {-1, -1}}));
  CHECK(torch::equal(refined.x[2], x[2]));
  // as if the heads had said so
  const Refined said = sns.refine(x, {{1, 3}, {1, 3}, {4, Levels::kClean}}, {}, again);
  CHECK(torch::equal(refined.x, said.x));
  CHECK(refined.evaluations == said.evaluations);

  options.path = Path::clean_past;
  const Refined clean = sns.refine(x, {{9, 0}, {0, 12}, {4, 1}}, options, noise);
  CHECK(same(clean.used, {{-1, 3}, {-1, 3}, {-1, 3}}));
}

namespace {

/// Philox noise that counts what begins walks.
class Counting : public PhiloxNoise {
 public:
  using PhiloxNoise::PhiloxNoise;
  void forward(std::int64_t sample, Frame frame, std::span<float> out) override {
    PhiloxNoise::forward(sample, frame, out);
    ++begun[{sample, frame}];
  }
  std::map<std::pair<std::int64_t, Frame>, int> begun;
};

}  // namespace

TEST_CASE("classify: noised shows the heads the frames that a refinement from the lowest level begins with") {
  ModelConfig config = small_sns();
  config.diffusion.schedule = "geometric";
  config.diffusion.noise_range = {0.5, 0.9};
  Sns sns(config, 5, torch::kCPU);
  const torch::Tensor x = waves(3);
  {  // heads that answer otherwise to other frames: on average they find all levels as likely
    const c10::AutoGradMode no_grad(false);
    const SnsLogits logits = sns.estimate(x, torch::zeros({3, 2}, torch::kInt64)).logits;
    auto parameters = sns.network().named_parameters();
    parameters["regressor_block_1.linear2.bias"] -= logits.past.mean(0);
    parameters["regressor_block_2.linear2.bias"] -= logits.present.mean(0);
  }
  RefineOptions options;
  Counting untouched(1, {0, 1, 2}, 7);
  const auto given = sns.predicted_levels(x, options, untouched);
  CHECK(untouched.begun.empty());
  CHECK((given == sns.levels(x)));

  options.classify = Classify::noised;
  Counting noise(1, {0, 1, 2}, 7);
  const auto noised = sns.predicted_levels(x, options, noise);
  // The frames as they should be: sqrt(1 - 0.5^2) x + 0.5 z, z being what a walk would begin with.
  const auto begun = [&x](bool past) {
    PhiloxNoise numbers(1, {0, 1, 2}, 7);
    torch::Tensor frames = x.clone();
    for (std::int64_t b = 0; b < 3; ++b)
      for (const Frame frame : {Frame::past, Frame::present}) {
        if (frame == Frame::past && !past) continue;
        std::vector<float> z(256);
        numbers.forward(b, frame, z);
        const std::int64_t channel = frame == Frame::past ? 1 : 2;
        frames[b][channel] = std::sqrt(0.75) * x[b][channel] + 0.5 * torch::from_blob(z.data(), {16, 16});
      }
    return frames;
  };
  CHECK((noised == sns.levels(begun(true))));
  CHECK((noised != given));
  CHECK(noise.begun.size() == 6);
  sns.refine(x, {{0, 0}, {0, 0}, {0, 0}}, options, noise);
  for (const auto& [_, draws] : noise.begun) CHECK(draws == 2);  // refine() draws once more

  options.path = Path::clean_past;  // the past stays clean, for the heads, too
  Counting of_present(1, {0, 1, 2}, 7);
  const auto beside_clean = sns.predicted_levels(x, options, of_present);
  const auto seen = sns.levels(begun(false));
  for (std::size_t b = 0; b < 3; ++b) CHECK((beside_clean[b] == Levels{Levels::kClean, seen[b].present}));
  CHECK(of_present.begun.size() == 3);
}

TEST_CASE("rows without a level are left alone whatever the options say") {
  Sns sns(small_sns(), 5, torch::kCPU);
  const torch::Tensor x = waves(2);
  for (const Gate gate : {Gate::either, Gate::present})
    for (const SweepRule rule : {SweepRule::inclusive, SweepRule::reference}) {
      PhiloxNoise noise(1, {0, 1}, 0);
      RefineOptions options;
      options.gate = gate;
      options.rule = rule;
      options.level_floor = 3;
      const Refined refined = sns.refine(x, {{7, Levels::kClean}, {2, 5}}, options, noise);
      CHECK(torch::equal(refined.x[0], x[0]));
      CHECK(refined.evaluations[0] == 0);
      CHECK(refined.used[0].past == -1);
      CHECK(refined.evaluations[1] > 0);
    }
}

TEST_CASE("options that do not fit the schedule are refused") {
  Sns sns(small_sns(), 5, torch::kCPU);
  PhiloxNoise noise(1, {0}, 0);
  const auto problem = [&](const RefineOptions& options) {
    return test::message_of<ConfigError>([&] { sns.refine(waves(1), {{2, 3}}, options, noise); });
  };
  CHECK(contains(problem({.level_floor = 40}), "level floor is 40; it must be in 0..39"));
  CHECK(contains(problem({.level_floor = -1}), "0..39"));
  CHECK(contains(problem({.fixed_levels = Levels{0, 40}}), "fixed level is 40; it must be in 0..39"));
  CHECK(contains(problem({.fixed_levels = Levels{-1, 0}}), "0..39"));
  CHECK(contains(problem({.threshold = 40}), "threshold is 40; it must be in -1..39"));
  CHECK(contains(problem({.threshold = 6, .stop_level = -2}), "-1..39"));
  CHECK(contains(problem({.threshold = 6, .stop_level = 7}),
                 "7, lies above the level that refinement starts from, 6"));
}

TEST_CASE("only the active subset is evaluated") {
  const Schedule schedule = Schedule::cosine(40);
  std::vector<std::int64_t> sizes;
  const Denoiser denoiser = [&](const torch::Tensor& active, const Step& moving) {
    CHECK(active.size(0) == static_cast<std::int64_t>(moving.moves.size()));
    CHECK(moving.rows.size() == moving.moves.size());
    sizes.push_back(active.size(0));
    return torch::zeros({active.size(0), 2, 16, 16});
  };
  PhiloxNoise noise(1, {0, 1, 2}, 0);
  refine(schedule, {2, 1}, denoiser, waves(3), {{0, 0}, {2, 0}, {0, 1}}, {}, noise);
  CHECK(sizes == std::vector<std::int64_t>{3, 3, 2, 1});
}

TEST_CASE("a perfect denoiser brings noised frames back") {
  // With eps = (x_s - sqrt(alpha_bar) x_0) / sigma the last step returns x_0 exactly, whatever noise came
  // before.
  const Schedule schedule = Schedule::cosine(40);
  const torch::Tensor x = waves(2);
  std::size_t step = 0;
  const std::vector<Levels> levels = {{6, 3}, {6, 3}};
  const Denoiser denoiser = [&](const torch::Tensor& active, const Step& moving) {
    torch::Tensor eps = torch::zeros({2, 2, 16, 16});
    ++step;
    for (std::int64_t b = 0; b < 2; ++b)
      for (int frame = 0; frame < 2; ++frame) {
        const Move& move = moving.moves[static_cast<std::size_t>(b)];
        const int s = frame == 0 ? move.past : move.present;
        if (s >= 0)
          eps[b][frame] = (active[b][1 + frame] - schedule.signal(s) * x[b][1 + frame]) / schedule.noise_std(s);
      }
    return eps;
  };
  for (const Path& path : {Path::A, Path::B, Path::C}) {
    PhiloxNoise noise(1, {0, 1}, 0);
    RefineOptions options;
    options.path = path;
    const Refined refined = refine(schedule, {2, 1}, denoiser, x, levels, options, noise);
    CHECK((refined.x - x).abs().max().item<float>() < 1e-4);
  }
  CHECK(step == 11 + 11 + 7);
}

TEST_CASE("scaled prediction is the same model with another output scale") {
  torch::set_num_threads(1);
  Sns plain(small_sns(), 5, torch::kCPU), scaled(small_sns("scaled_eps"), 5, torch::kCPU);
  const torch::Tensor x = waves(2), levels = torch::tensor({3, 9, 20, 0}, torch::kInt64).view({2, 2});
  const torch::NoGradGuard no_grad;
  const torch::Tensor sigma = torch::tensor({plain.schedule().noise_std(3), plain.schedule().noise_std(9),
                                             plain.schedule().noise_std(20), plain.schedule().noise_std(0)},
                                            torch::kFloat32)
                                  .view({2, 2, 1, 1});
  const torch::Tensor raw = plain.noise_estimate(x, levels);
  CHECK((scaled.noise_estimate(x, levels) * sigma - raw).abs().max().item<float>() < 1e-6);

  const torch::Tensor noise = torch::ones({2, 2, 16, 16});
  const torch::Tensor frames = add_noise(plain.schedule(), x.narrow(1, 1, 2).reshape({4, 1, 16, 16}),
                                         levels.view(-1), noise.view({4, 1, 16, 16}));
  const torch::Tensor input = torch::cat({x.narrow(1, 0, 1), frames.view({2, 2, 16, 16})}, 1);
  const auto mse = (plain.net().forward(input).noise / sigma - noise).square().mean().item<float>();
  CHECK(scaled.loss(x, levels, noise, 0.1).mse.item<float>() == test::relative(mse).epsilon(1e-5));
}

TEST_CASE("levels outside the schedule are refused") {
  Sns sns(small_sns(), 5, torch::kCPU);
  PhiloxNoise noise(1, {0}, 0);
  CHECK(contains(test::message_of([&] { sns.refine(waves(1), {{0, 40}}, {}, noise); }), "0..39"));
  CHECK(contains(test::message_of([&] { sns.refine(waves(2), {{0, 0}}, {}, noise); }), "batch of 2"));
}
