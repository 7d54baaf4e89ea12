// The diffusion models in rollouts: thermalizer and its safeguard, generators, the same bits in any batch and
// after a kill.
#include "tests/support/torch_doctest.hpp"

#include "core/hdf5.hpp"
#include "core/random.hpp"
#include "experiments/config.hpp"
#include "experiments/surrogate_stepper.hpp"
#include "tests/support/child.hpp"
#include "tests/support/emulator_tolerances.hpp"
#include "tests/support/same_bits.hpp"
#include "tests/support/scratch.hpp"
#include "tests/support/tiny_rollout.hpp"

#include <c10/core/GradMode.h>
#include <torch/utils.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <functional>

using namespace sns;
using namespace sns::test;

namespace {

/// A thermalizer whose head answers `level` to everything, the more surely the larger the bias.
std::unique_ptr<Thermalizer> thermalizer_that_says(int level) {
  auto model = std::make_unique<Thermalizer>(tiny("thermalizer"), 2, torch::kCPU);
  const c10::AutoGradMode no_grad(false);
  auto parameters = model->network().named_parameters();
  parameters["regressor_block.linear2.weight"].zero_();
  parameters["regressor_block.linear2.bias"].zero_()[level] = 10;
  return model;
}

/// Its head answers 3 to quiet frames and 16 to those that excite it.
std::unique_ptr<Thermalizer> thermalizer_that_fears_large_frames() {
  auto model = thermalizer_that_says(3);
  const c10::AutoGradMode no_grad(false);
  model->network().named_parameters()["regressor_block.linear2.weight"][16].fill_(1);
  return model;
}

RefineOptions from_to(int start, int stop, SweepRule rule = SweepRule::inclusive) {
  RefineOptions options;
  options.threshold = start;
  options.stop_level = stop;
  options.rule = rule;
  return options;
}

}  // namespace

TEST_CASE("thermalizer: levels and work are recorded; quiet frames stay the surrogate's") {
  const test::ScratchFolder folder;
  const auto stage = [](int says) {
    return make_thermalizer_refiner(thermalizer_that_says(says), from_to(6, 4), 15, 11);
  };
  const Log plain = run(tiny_job(folder / "plain.h5", 3, {0, 1}), emulator(), nullptr),
            quiet = run(tiny_job(folder / "quiet.h5", 3, {0, 1}), emulator(), stage(6)),
            noisy = run(tiny_job(folder / "noisy.h5", 3, {0, 1}), emulator(), stage(9));
  CHECK(quiet.frames == plain.frames);
  CHECK(noisy.frames != plain.frames);
  for (const std::size_t row : {1U, 3U, 5U, 7U}) {  // steps 1 and 3 of both members
    CHECK(noisy.levels[2 * row] == -1);
    CHECK(noisy.levels[2 * row + 1] == 9);
    CHECK(std::vector<std::int64_t>(noisy.evaluations.begin() + 3 * static_cast<std::ptrdiff_t>(row),
                                    noisy.evaluations.begin() + 3 * static_cast<std::ptrdiff_t>(row) + 3) ==
          std::vector<std::int64_t>{1, 1, 5});  // levels 9 to 5
    CHECK(quiet.evaluations[3 * row + 2] == 0);
  }
}

TEST_CASE("thermalizer: beyond the noise limit a member is given up, or the whole batch") {
  const test::ScratchFolder folder;
  const auto stage = [](SweepRule rule) {
    return make_thermalizer_refiner(thermalizer_that_says(16), from_to(6, 4, rule), 15, 11);
  };
  const Log all = run(tiny_job(folder / "all.h5", 3, {0, 1}), emulator(), stage(SweepRule::inclusive));
  CHECK(all.failed == std::vector<std::int64_t>{1, 1});
  CHECK(std::isnan(all.frames[256]));

  // A member that is given up leaves its mates alone.
  class Scripted : public DiffusionStage {
   public:
    explicit Scripted(std::unique_ptr<DiffusionStage> inner) : inner_(std::move(inner)) {}
    Model& model() override { return inner_->model(); }
    void apply(const StepInput& input, StepOutcome& out) override {
      if (input.x.size(0) > 1) out.stopped = {{1, "noise level 16 is above the noise limit 15"}};
      out.next = input.proposal;
    }

   private:
    std::unique_ptr<DiffusionStage> inner_;
  };
  const Log one = run(tiny_job(folder / "one.h5", 3, {0, 1, 2}), emulator(),
                      std::make_unique<Scripted>(stage(SweepRule::inclusive)));
  CHECK(one.failed == std::vector<std::int64_t>{-1, 1, 2});  // row 1 of those alive: 1, then 2 of {0, 2}
}

TEST_CASE("thermalizer: classify: noised shows the head the lowest level's noise") {
  const torch::Tensor frames = torch::zeros({8, 1, 16, 16});
  RandomStream(5, Purpose::initial_condition).fill_normal(std::span<float>(frames.data_ptr<float>(), 2048));
  const std::vector<std::int64_t> ids{4, 5, 6, 7, 8, 9, 10, 11};
  const auto model = [&frames] {
    ModelConfig config = tiny("thermalizer");
    config.diffusion.schedule = "geometric";
    config.diffusion.noise_range = {0.9, 0.95};
    auto made = std::make_unique<Thermalizer>(config, 2, torch::kCPU);
    const c10::AutoGradMode no_grad(false);
    // a head that answers otherwise to other frames: on average it finds all levels as likely
    made->network().named_parameters()["regressor_block.linear2.bias"] -=
        made->estimate(frames, torch::zeros({8}, torch::kInt64)).logits.mean(0);
    return made;
  };
  const auto levels = [&](Classify classify) {
    RefineOptions options = from_to(-1, -1);
    options.classify = classify;
    StepInput input;
    input.proposal = frames;
    input.trajectories = ids;
    input.step = 3;
    StepOutcome out;
    out.evaluations = torch::zeros({8, 3}, torch::kInt64);
    const c10::AutoGradMode no_grad(false);
    make_thermalizer_refiner(model(), options, kLevels - 1, 11)->apply(input, out);
    std::vector<int> present;
    for (int b = 0; b < 8; ++b) present.push_back(out.levels[b][1].item<int>());
    return present;
  };
  const auto named = [&](const torch::Tensor& of) {
    std::vector<int> present;
    for (const Levels& one : model()->levels(of)) present.push_back(one.present);
    return present;
  };
  PhiloxNoise noise(11, {ids.begin(), ids.end()}, 3);
  torch::Tensor begun = frames.clone();
  for (std::int64_t b = 0; b < 8; ++b) {
    std::vector<float> drawn(256);
    noise.forward(b, Frame::present, drawn);
    begun[b] = std::sqrt(1 - 0.81) * frames[b] + 0.9 * torch::from_blob(drawn.data(), {1, 16, 16});
  }
  CHECK(levels(Classify::as_given) == named(frames));
  CHECK(levels(Classify::noised) == named(begun));
  CHECK(levels(Classify::noised) != levels(Classify::as_given));
}

TEST_CASE("thermalizer: the noise limit stops single members, or the batch under the reference rule") {
  const std::vector<std::int64_t> ids{4, 5, 6, 7};
  torch::Tensor noise = torch::empty({4, 1, 16, 16});
  RandomStream(5, Purpose::initial_condition).fill_normal(std::span<float>(noise.data_ptr<float>(), 1024));
  StepInput input;
  input.proposal = noise * torch::tensor({0.F, 1e4F, 0.F, 1e4F}).view({4, 1, 1, 1});
  input.trajectories = ids;
  input.step = 1;
  const auto apply = [&](SweepRule rule, int limit, int start = 6, int stop = 4) {
    const auto stage =
        make_thermalizer_refiner(thermalizer_that_fears_large_frames(), from_to(start, stop, rule), limit, 11);
    StepOutcome out;
    out.evaluations = torch::zeros({4, 3}, torch::kInt64);
    const c10::AutoGradMode no_grad(false);
    stage->apply(input, out);
    return out;
  };
  const StepOutcome bold = apply(SweepRule::inclusive, 16), each = apply(SweepRule::inclusive, 15),
                    whole = apply(SweepRule::reference, 15);
  CHECK(bold.stopped.empty());
  for (std::int64_t b = 0; b < 4; ++b) {
    CHECK(bold.levels[b][1].item<int>() == (b % 2 == 0 ? 3 : 16));
    CHECK(bold.evaluations[b][2].item<int>() == (b % 2 == 0 ? 0 : 12));  // levels 16 to 5
  }
  REQUIRE(each.stopped.size() == 2);
  CHECK(each.stopped[0].row == 1);
  CHECK(each.stopped[1].row == 3);
  CHECK(each.stopped[0].why == "noise level 16 is above the noise limit 15");
  REQUIRE(whole.stopped.size() == 4);
  CHECK(whole.stopped[0].why == "noise level 16 of a batch mate is above the noise limit 15");
  // Those that are stopped are not denoised, wherever denoising starts.
  const StepOutcome all = apply(SweepRule::inclusive, 15, -1, -1);
  for (std::int64_t b = 0; b < 4; ++b) CHECK(all.evaluations[b][2].item<int>() == (b % 2 == 0 ? 4 : 0));
  CHECK(apply(SweepRule::reference, 15, -1, -1).evaluations.select(1, 2).sum().item<int>() == 0);
  CHECK(contains(test::message_of<ConfigError>([&] { apply(SweepRule::inclusive, 6); }),
                 "noise limit, 6, must lie above"));
}

TEST_CASE("generators need no emulator, and count their work") {
  const test::ScratchFolder folder;
  const auto acdm = [] {
    return make_acdm_generator(std::make_unique<Acdm>(tiny("acdm"), 2, torch::kCPU), {}, 11);
  };
  const Log made = run(tiny_job(folder / "acdm.h5", 2, {0, 1}), nullptr, acdm());
  for (const std::size_t row : {1U, 2U, 4U, 5U}) {
    CHECK(made.evaluations[3 * row] == 0);
    CHECK(made.evaluations[3 * row + 1] == 0);
    CHECK(made.evaluations[3 * row + 2] == kLevels);
    CHECK(made.levels[2 * row] == -1);
  }
  const Log again = run(tiny_job(folder / "again.h5", 2, {0, 1}), nullptr, acdm());
  CHECK(again.frames == made.frames);

  const Log sns = run(tiny_job(folder / "sns.h5", 2, {0, 1}), nullptr,
                      make_sns_generator(std::make_unique<Sns>(tiny("sns"), 2, torch::kCPU), {}, {.seed = 11}));
  CHECK(sns.evaluations[3 + 1] == 1);
  CHECK(sns.evaluations[3 + 2] == kLevels);
  CHECK(sns.levels[2] >= 0);
  CHECK(sns.levels[3] == -1);
  CHECK_THROWS_AS(SurrogateStepper(nullptr, nullptr, {}), Error);
}

namespace {

/// What a method consists of, made anew for every run: {surrogate, stage}.
using Parts = std::pair<std::unique_ptr<GaussianEmulator>, std::unique_ptr<DiffusionStage>>;

std::vector<std::pair<std::string, std::function<Parts()>>> every_method() {
  std::vector<std::pair<std::string, std::function<Parts()>>> methods;
  methods.emplace_back("gaussian", [] { return Parts(emulator(), nullptr); });
  for (const std::string path : {"A", "B", "C"})
    methods.emplace_back("sns " + path, [path] {
      RefineOptions options;
      options.path = parse_path(path);
      options.level_floor = 2;
      auto model = std::make_unique<Sns>(tiny("sns"), 2, torch::kCPU);
      return Parts(emulator(), make_sns_refiner(std::move(model), options, {.seed = 11}));
    });
  methods.emplace_back("lagged sns", [] {
    ModelConfig config = tiny("sns");
    config.network.lag = LagConfig{.window = 3, .embedding = 8};
    auto model = std::make_unique<Sns>(config, 2, torch::kCPU);
    return Parts(emulator(), make_sns_refiner(std::move(model), {}, {.seed = 11}));
  });
  methods.emplace_back("sns, classify: noised", [] {
    RefineOptions options;
    options.classify = Classify::noised;
    return Parts(emulator(),
                 make_sns_refiner(std::make_unique<Sns>(tiny("sns"), 2, torch::kCPU), options, {.seed = 11}));
  });
  methods.emplace_back("thermalizer", [] {
    return Parts(emulator(), make_thermalizer_refiner(thermalizer_that_says(9), from_to(6, 4), 15, 11));
  });
  methods.emplace_back("thermalizer, classify: noised", [] {
    RefineOptions options = from_to(6, 4);
    options.classify = Classify::noised;
    return Parts(emulator(), make_thermalizer_refiner(thermalizer_that_says(9), options, 15, 11));
  });
  methods.emplace_back("acdm", [] {
    return Parts(nullptr, make_acdm_generator(std::make_unique<Acdm>(tiny("acdm"), 2, torch::kCPU), {}, 11));
  });
  methods.emplace_back("sns generation", [] {
    auto model = std::make_unique<Sns>(tiny("sns"), 2, torch::kCPU);
    return Parts(nullptr, make_sns_generator(std::move(model), {}, {.seed = 11}));
  });
  return methods;
}

}  // namespace

TEST_CASE("deterministic: member 3 of eight has the same bits alone, with every method") {
  const test::ScratchFolder folder;
  torch::set_num_threads(2);
  for (const auto& [name, make] : every_method()) {
    CAPTURE(name);
    const RolloutJob all = tiny_job(folder / "all.h5", 3, {0, 1, 2, 3, 4, 5, 6, 7});
    RolloutJob one = tiny_job(folder / "one.h5", 3, {3});
    one.initial.assign(all.initial.begin() + 3 * 256, all.initial.begin() + 4 * 256);
    const auto run_with = [&](const RolloutJob& job, bool one_by_one) {
      auto [surrogate, stage] = make();
      return run(job, std::move(surrogate), std::move(stage), {.one_by_one = one_by_one});
    };
    const Log together = run_with(all, true), alone = run_with(one, true);
    const auto size = static_cast<std::ptrdiff_t>(alone.frames.size());
    CHECK(same_bits({together.frames.begin() + 3 * size, together.frames.begin() + 4 * size}, alone.frames));
    CHECK(std::equal(alone.levels.begin(), alone.levels.end(), together.levels.begin() + 3 * 8));
    // In batches it is the same rollout to rounding.
    const Log batched = run_with(all, false);
    double difference = 0, norm = 0;
    for (std::size_t i = 0; i < batched.frames.size(); ++i) {
      difference += std::pow(batched.frames[i] - together.frames[i], 2);
      norm += std::pow(together.frames[i], 2);
    }
    CHECK(std::sqrt(difference / norm) < tolerance::kBatchMates);
  }
}

TEST_CASE("two runs with one seed have the same bits on two threads") {
  const test::ScratchFolder folder;
  torch::set_num_threads(2);
  for (const auto& [name, make] : every_method()) {
    CAPTURE(name);
    const auto frames = [&] {
      auto [surrogate, stage] = make();
      return run(tiny_job(folder / "a.h5", 3, {0, 1, 2, 3}), std::move(surrogate), std::move(stage)).frames;
    };
    CHECK(same_bits(frames(), frames()));
  }
}

namespace {

/// Further ways of the same methods, whose runs carry more from step to step or rewrite what is on disk.
std::vector<std::pair<std::string, std::function<Parts()>>> every_way() {
  auto ways = every_method();
  const auto refined = [](const ModelConfig& config, const RefineOptions& options, const SnsConduct& conduct) {
    return Parts(emulator(), make_sns_refiner(std::make_unique<Sns>(config, 2, torch::kCPU), options, conduct));
  };
  ways.emplace_back("write_back: always",
                    [refined] { return refined(tiny("sns"), {}, {.seed = 11, .write_back = true}); });
  ways.emplace_back("lagged sns, gate: present", [refined] {
    ModelConfig config = tiny("sns");
    config.network.lag = LagConfig{.window = 4, .embedding = 8};
    RefineOptions options;
    options.gate = Gate::present;
    options.threshold = 9;
    return refined(config, options, {.seed = 11});
  });
  ways.emplace_back("path: clean_past", [refined] {
    RefineOptions options;
    options.path = Path::clean_past;
    return refined(tiny("sns"), options, {.seed = 11});
  });
  ways.emplace_back("lagged sns on a path by its corners", [] {
    ModelConfig config = tiny("sns");
    config.network.lag = LagConfig{.window = 4, .embedding = 8};
    RefineOptions options;
    options.path = parse_path("top,top 2,top 2,2 clean,clean");
    return Parts(emulator(),
                 make_sns_refiner(std::make_unique<Sns>(config, 2, torch::kCPU), options, {.seed = 11}));
  });
  ways.emplace_back("generation on a path by its corners", [] {
    GenerationOptions options;
    options.path = parse_path("top,top 5,top 5,5 clean,clean");
    auto model = std::make_unique<Sns>(tiny("sns"), 2, torch::kCPU);
    return Parts(nullptr, make_sns_generator(std::move(model), options, {.seed = 11}));
  });
  ways.emplace_back("generation on path clean_past", [] {
    GenerationOptions options;
    options.path = Path::clean_past;
    auto model = std::make_unique<Sns>(tiny("sns"), 2, torch::kCPU);
    return Parts(nullptr, make_sns_generator(std::move(model), options, {.seed = 11}));
  });
  ways.emplace_back("two fields", [] {
    ModelConfig surrogate = tiny("gaussian"), refiner = tiny("sns");
    surrogate.field_channels = refiner.field_channels = 2;
    RefineOptions options;
    options.path = Path::C;
    return Parts(std::make_unique<GaussianEmulator>(surrogate, 1, torch::kCPU),
                 make_sns_refiner(std::make_unique<Sns>(refiner, 2, torch::kCPU), options, {.seed = 11}));
  });
  return ways;
}

/// Ends this process as kill -9 does, within a step.
class Killed : public RolloutStepper {
 public:
  Killed(RolloutStepper& stepper, std::int64_t step) : stepper_(stepper), step_(step) {}
  StepOutcome advance(const torch::Tensor& initial, const torch::Tensor& x,
                      std::span<const std::int64_t> trajectories, std::int64_t step) override {
    StepOutcome out = stepper_.advance(initial, x, trajectories, step);
    if (step == step_) ::kill(::getpid(), SIGKILL);
    return out;
  }
  std::vector<float> save() const override { return stepper_.save(); }
  void restore(std::span<const float> saved, torch::Device device) override { stepper_.restore(saved, device); }

 private:
  RolloutStepper& stepper_;
  std::int64_t step_;
};

/// A job of ten steps in chunks of three, with a checkpoint after each, for frames of one field or two.
RolloutJob chunked_job(const std::filesystem::path& output, bool two_fields) {
  RolloutJob job = tiny_job(output, 10, {4, 9});
  job.chunk = 3;
  job.checkpoint_seconds = 0;
  if (two_fields) {
    job.fields = {"vorticity", "lower"};
    job.units = {"1", "1"};
    job.field_std = {1, 1};
    job.initial.resize(2 * job.initial.size());
    RandomStream(4, Purpose::initial_condition).fill_normal(std::span<float>(job.initial));
  }
  return job;
}

}  // namespace

TEST_CASE("a rollout that was killed goes on from its checkpoint with the same bits, in every way") {
  const test::ScratchFolder folder;
  torch::set_num_threads(1);  // a forked process has no others
  for (const auto& [name, make] : every_way()) {
    CAPTURE(name);
    const bool two_fields = name == "two fields";
    const RolloutJob whole = chunked_job(folder / (name + "_whole.h5"), two_fields),
                     parts = chunked_job(folder / (name + "_parts.h5"), two_fields);
    const auto stepper = [&make = make] {
      auto [surrogate, stage] = make();
      return SurrogateStepper(std::move(surrogate), std::move(stage), {});
    };
    SurrogateStepper uninterrupted = stepper();
    run_rollout(whole, uninterrupted);
    // The checkpoint is of step 6; that killed has rewritten frame 6, where it rewrites any, and made frame 8.
    const auto child = test::in_child([&] {
      SurrogateStepper some = stepper();
      Killed killed(some, 8);
      run_rollout(parts, killed);
      return 0;
    });
    REQUIRE_MESSAGE(child.signal == SIGKILL, child.err);
    REQUIRE(std::filesystem::exists(parts.output.string() + ".checkpoint"));
    const auto rest = test::in_child([&] {
      SurrogateStepper some = stepper();
      run_rollout(parts, some);
      return 0;
    });
    REQUIRE_MESSAGE(rest.exit_code == 0, rest.err);
    CHECK_MESSAGE(contains(rest.err, "continuing after step 6"), rest.err);
    const auto one = h5::File::open_read(whole.output), other = h5::File::open_read(parts.output);
    // Had members been lost, little would be compared.
    REQUIRE(one.dataset("failed_step").read<std::int64_t>() == std::vector<std::int64_t>{-1, -1});
    for (const std::string& field : whole.fields)
      CHECK(same_bits(one.dataset(field).read<float>(), other.dataset(field).read<float>()));
    CHECK(one.dataset("levels").read<std::int32_t>() == other.dataset("levels").read<std::int32_t>());
    CHECK(one.dataset("evaluations").read<std::int64_t>() == other.dataset("evaluations").read<std::int64_t>());
  }
}
