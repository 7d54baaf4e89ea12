// The rollout engine with made-up dynamics: files, failures, resume, memory. And with small networks:
// independence of batch mates.
#include "tests/support/torch_doctest.hpp"

#include "core/error.hpp"
#include "core/files.hpp"
#include "core/hdf5.hpp"
#include "core/random.hpp"
#include "core/stop.hpp"
#include "experiments/rollout.hpp"
#include "experiments/surrogate_stepper.hpp"
#include "tests/support/emulator_tolerances.hpp"
#include "tests/support/scratch.hpp"

#include <sys/wait.h>
#include <torch/utils.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

namespace fs = std::filesystem;

namespace {

/// x <- 0.9 x + noise(id, step): bounded, chaotic enough to show any difference, and keyed like the real one.
class NoisyDecay : public sns::RolloutStepper {
 public:
  sns::StepOutcome advance(const torch::Tensor&, const torch::Tensor& x, std::span<const std::int64_t> ids,
                           std::int64_t step) override {
    torch::Tensor noise = torch::empty(x.sizes());
    const auto width = static_cast<std::size_t>(x.numel() / x.size(0));
    for (std::size_t b = 0; b < ids.size(); ++b)
      sns::RandomStream(7, sns::Purpose::emulator_noise, static_cast<std::uint64_t>(ids[b]),
                        static_cast<std::uint64_t>(step))
          .fill_normal(std::span(noise.mutable_data_ptr<float>() + b * width, width));
    sns::StepOutcome out;
    out.next = 0.9 * x + 0.1 * noise;
    if (blow_up_id >= 0 && step >= blow_up_step)
      for (std::size_t b = 0; b < ids.size(); ++b)
        if (ids[b] == blow_up_id) out.next[static_cast<std::int64_t>(b)].fill_(blow_up_value);
    if (rewrite) out.previous = 2 * x;
    out.levels = torch::full({x.size(0), 2}, step % 3, torch::kInt64);
    out.evaluations = torch::tensor({1, 1, 4}, torch::kInt64).repeat({x.size(0), 1});
    calls += x.size(0);
    if (on_step) on_step(step);
    return out;
  }
  std::int64_t blow_up_id = -1, blow_up_step = 0, calls = 0;
  double blow_up_value = 0;
  bool rewrite = false;
  std::function<void(std::int64_t)> on_step;
};

std::vector<float> random_frames(std::int64_t count, std::int64_t points) {
  std::vector<float> out(static_cast<std::size_t>(count * points * points));
  sns::RandomStream(3, sns::Purpose::initial_condition).fill_normal(out);
  return out;
}

sns::RolloutJob job_for(const fs::path& output, std::int64_t steps, std::vector<std::int64_t> ids,
                        std::int64_t points = 8) {
  sns::RolloutJob job;
  job.output = output;
  job.steps = steps;
  const auto members = static_cast<std::int64_t>(ids.size());
  job.trajectories = std::move(ids);
  job.field_std = {3.5};
  std::vector<double> axis(static_cast<std::size_t>(points));
  for (std::size_t i = 0; i < axis.size(); ++i) axis[i] = static_cast<double>(i);
  job.axes = {{"x", axis}, {"y", axis}};
  job.initial = random_frames(members, points);
  job.frame_interval = 0.04;
  job.attributes = {{"method", "test"}};
  job.identity = "one";
  return job;
}

std::vector<float> frames(const fs::path& file) {
  return sns::h5::File::open_read(file).dataset("vorticity").read<float>();
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

/// Resident set of this process, bytes.
std::int64_t resident() {
  std::ifstream in("/proc/self/statm");
  std::int64_t total = 0, pages = 0;
  in >> total >> pages;
  return pages * sysconf(_SC_PAGESIZE);
}

}  // namespace

TEST_CASE("the file holds frames in physical units, times, levels and evaluations") {
  const sns::test::ScratchFolder folder;
  NoisyDecay dynamics;
  const sns::RolloutJob job = job_for(folder / "a.h5", 40, {1000000, 1000003});
  const sns::RolloutSummary summary = sns::run_rollout(job, dynamics);
  CHECK(summary.failed_step == std::vector<std::int64_t>{-1, -1});
  const auto file = sns::h5::File::open_read(job.output);
  CHECK(file.dataset("vorticity").shape() == sns::h5::Shape{2, 41, 8, 8});
  CHECK(file.dataset("member").read<std::int64_t>() == std::vector<std::int64_t>{1000000, 1000003});
  CHECK(file.dataset("time").read<double>()[40] == doctest::Approx(1.6));
  CHECK(file.attribute<bool>("complete"));
  CHECK(file.attribute<std::string>("method") == "test");
  const auto values = file.dataset("vorticity").read<float>();
  const auto levels = file.dataset("levels").read<std::int32_t>();
  const auto evaluations = file.dataset("evaluations").read<std::int64_t>();
  for (std::size_t m = 0; m < 2; ++m) {
    CHECK(values[m * 41 * 64] == doctest::Approx(job.initial[m * 64]));  // frame 0 is the initial state
    CHECK(levels[m * 82] == -1);
    CHECK(levels[(m * 41 + 5) * 2] == 5 % 3);
    CHECK(evaluations[m * 41 * 3] == 0);
    CHECK(evaluations[(m * 41 + 40) * 3 + 2] == 4);
  }
  // Frame 1 by hand: physical = std * (0.9 x / std + 0.1 xi).
  std::vector<float> xi(64);
  sns::RandomStream(7, sns::Purpose::emulator_noise, 1000003, 1).fill_normal(xi);
  CHECK(values[(41 + 1) * 64 + 9] ==
        doctest::Approx(0.9 * job.initial[64 + 9] + 3.5 * 0.1 * xi[9]).epsilon(1e-5));
  CHECK_FALSE(fs::exists(job.output.string() + ".partial"));
  CHECK_FALSE(fs::exists(job.output.string() + ".checkpoint"));
}

TEST_CASE("a failed member is blank from its failure on; the others do not notice") {
  const sns::test::ScratchFolder folder;
  for (const double bad : {std::nan(""), 50.5, -1e30}) {
    NoisyDecay healthy, failing;
    const sns::RolloutJob reference = job_for(folder / "good.h5", 30, {1, 2, 3});
    sns::run_rollout(reference, healthy);
    failing.blow_up_id = 2;
    failing.blow_up_step = 20;
    failing.blow_up_value = bad;
    sns::RolloutJob job = job_for(folder / "bad.h5", 30, {1, 2, 3});
    const auto summary = sns::run_rollout(job, failing);
    CHECK(summary.failed_step == std::vector<std::int64_t>{-1, 20, -1});
    CHECK(failing.calls == 3 * 20 + 2 * 10);  // the lost member is not evaluated any more
    const auto good = frames(reference.output), got = frames(job.output);
    for (std::size_t i = 0; i < got.size(); ++i) {
      const std::size_t member = i / (31 * 64), frame = i / 64 % 31;
      if (member == 1 && frame >= 20)
        REQUIRE(std::isnan(got[i]));
      else
        REQUIRE(got[i] == good[i]);
    }
    const auto file = sns::h5::File::open_read(job.output);
    CHECK(file.dataset("failed_step").read<std::int64_t>()[1] == 20);
    CHECK(file.dataset("evaluations").read<std::int64_t>()[(31 + 25) * 3] == 0);
    CHECK(file.dataset("levels").read<std::int32_t>()[(31 + 25) * 2] == -1);
  }
}

TEST_CASE("a stopped rollout continues bit for bit") {
  const sns::test::ScratchFolder folder;
  NoisyDecay dynamics;
  const sns::RolloutJob whole = job_for(folder / "whole.h5", 100, {5, 6});
  dynamics.rewrite = true;
  sns::run_rollout(whole, dynamics);

  sns::RolloutJob job = job_for(folder / "parts.h5", 100, {5, 6});
  dynamics.on_step = [](std::int64_t step) {
    if (step == 37) sns::request_stop();
  };
  CHECK_THROWS_AS(sns::run_rollout(job, dynamics), sns::Stopped);
  sns::reset_stop();
  CHECK_FALSE(fs::exists(job.output));
  dynamics.calls = 0;
  sns::run_rollout(job, dynamics);
  CHECK(dynamics.calls == 2 * 63);  // steps 38..100
  CHECK(same_bits(frames(whole.output), frames(job.output)));

  SUBCASE("another identity starts again") {
    dynamics.on_step = [](std::int64_t step) {
      if (step == 37) sns::request_stop();
    };
    CHECK_THROWS_AS(sns::run_rollout(job, dynamics), sns::Stopped);
    sns::reset_stop();
    job.identity = "two";
    dynamics.on_step = nullptr;
    dynamics.calls = 0;
    sns::run_rollout(job, dynamics);
    CHECK(dynamics.calls == 200);
  }
}

TEST_CASE("a rollout that is stopped before its first step loses nothing") {
  const sns::test::ScratchFolder folder;
  NoisyDecay dynamics;
  const sns::RolloutJob whole = job_for(folder / "whole.h5", 20, {5, 6}),
                        job = job_for(folder / "a.h5", 20, {5, 6});
  sns::run_rollout(whole, dynamics);
  dynamics.calls = 0;
  sns::request_stop();
  CHECK_THROWS_AS(sns::run_rollout(job, dynamics), sns::Stopped);
  sns::reset_stop();
  CHECK(dynamics.calls == 0);
  sns::run_rollout(job, dynamics);
  CHECK(same_bits(frames(whole.output), frames(job.output)));
}

TEST_CASE("a rollout that does not fit on the disk is not begun") {
  const sns::test::ScratchFolder folder;
  NoisyDecay dynamics;
  dynamics.on_step = [](std::int64_t) { throw sns::Error("it was begun"); };
  const sns::RolloutJob job = job_for(folder / "a.h5", std::int64_t{1} << 46, {5});
  CHECK_THROWS_WITH_AS(sns::run_rollout(job, dynamics), doctest::Contains("not enough disk space"), sns::Error);
  CHECK(dynamics.calls == 0);
  CHECK(fs::is_empty(folder.path()));
}

TEST_CASE("a rollout killed at any moment continues bit for bit") {
  const sns::test::ScratchFolder folder;
  const sns::RolloutJob whole = job_for(folder / "whole.h5", 400, {5, 6});
  NoisyDecay dynamics;
  sns::run_rollout(whole, dynamics);
  sns::RolloutJob job = job_for(folder / "killed.h5", 400, {5, 6});
  job.checkpoint_seconds = 0;  // after every chunk
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    NoisyDecay slow;
    slow.on_step = [](std::int64_t step) {
      if (step == 203) kill(getpid(), SIGKILL);
    };
    sns::run_rollout(job, slow);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  REQUIRE(WIFSIGNALED(status));
  dynamics.calls = 0;
  sns::run_rollout(job, dynamics);
  CHECK(dynamics.calls < 2 * 230);  // it did continue: checkpoint at step 192
  CHECK(same_bits(frames(whole.output), frames(job.output)));
}

TEST_CASE("a refiner may rewrite the previous frame, also across a chunk's end") {
  const sns::test::ScratchFolder folder;
  NoisyDecay plain, rewriting;
  rewriting.rewrite = true;
  sns::run_rollout(job_for(folder / "plain.h5", 40, {1}), plain);
  sns::run_rollout(job_for(folder / "rewritten.h5", 40, {1}), rewriting);
  const auto a = frames(folder / "plain.h5"), b = frames(folder / "rewritten.h5");
  for (std::size_t frame : {std::size_t{0}, std::size_t{1}, std::size_t{15}, std::size_t{16}, std::size_t{17},
                            std::size_t{39}, std::size_t{40}}) {
    const float factor =
        frame == 0 || frame == 40 ? 1.0F : 2.0F;  // neither the first nor the last is rewritten
    CHECK(b[frame * 64] == doctest::Approx(factor * a[frame * 64]));
  }
}

TEST_CASE("memory does not grow with the length of a rollout") {
  const sns::test::ScratchFolder folder;
  NoisyDecay dynamics;
  sns::run_rollout(job_for(folder / "warm.h5", 200, {1, 2}, 16), dynamics);
  std::int64_t early = 0, late = 0;
  constexpr std::int64_t kSteps = 20000;  // a file of 41 MB
  dynamics.on_step = [&](std::int64_t step) {
    if (step == 500) early = resident();
    if (step == kSteps) late = resident();
  };
  sns::run_rollout(job_for(folder / "long.h5", kSteps, {1, 2}, 16), dynamics);
  CHECK(fs::file_size(folder / "long.h5") > 40'000'000);
  CHECK(late - early < 4 * 1024 * 1024);
}

TEST_CASE("wrong sizes and bad initial states are refused") {
  const sns::test::ScratchFolder folder;
  NoisyDecay dynamics;
  sns::RolloutJob job = job_for(folder / "a.h5", 4, {1, 2});
  job.initial.pop_back();
  CHECK_THROWS_AS(sns::run_rollout(job, dynamics), sns::Error);
  job = job_for(folder / "a.h5", 4, {1, 2});
  job.initial[3] = std::nanf("");
  CHECK_THROWS_AS(sns::run_rollout(job, dynamics), sns::Error);
  CHECK_FALSE(fs::exists(job.output.string() + ".partial"));
}

namespace {

sns::ModelConfig tiny(const std::string& kind) {
  sns::ModelConfig config;
  config.kind = kind;
  config.network.hidden = 4;
  config.network.blocks = 1;
  config.diffusion.levels = 20;
  config.image = 16;
  config.field_std = {1.0};
  return config;
}

sns::SurrogateStepper tiny_stepper(bool refined, sns::Path path = sns::Path::A) {
  sns::SurrogateOptions options;
  options.seed = 11;
  options.noise = 0.01;
  sns::RefineOptions refine;
  refine.path = path;
  refine.level_floor = 2;
  return {std::make_unique<sns::GaussianEmulator>(tiny("gaussian"), 1, torch::kCPU),
          refined ? sns::make_sns_refiner(std::make_unique<sns::Sns>(tiny("sns"), 2, torch::kCPU), refine,
                                          {.seed = 11})
                  : nullptr,
          options};
}

}  // namespace

TEST_CASE("a member gets the same numbers alone and in a batch") {
  const sns::test::ScratchFolder folder;
  sns::RolloutJob all = job_for(folder / "all.h5", 5, {0, 1, 2, 3, 4, 5, 6, 7}, 16);
  all.limit = 1e30;  // untrained networks: the frames grow
  sns::RolloutJob one = job_for(folder / "one.h5", 5, {3}, 16);
  one.limit = all.limit;
  one.initial.assign(all.initial.begin() + 3 * 256, all.initial.begin() + 4 * 256);
  sns::SurrogateStepper stepper = tiny_stepper(true);
  sns::run_rollout(all, stepper);
  sns::run_rollout(one, stepper);
  const auto together = frames(all.output), alone = frames(one.output);
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < alone.size(); ++i) {
    const double d = alone[i] - together[3 * alone.size() + i];
    difference += d * d;
    size += static_cast<double>(alone[i]) * alone[i];
  }
  MESSAGE("relative difference of a member alone and among eight: " << std::sqrt(difference / size));
  CHECK(std::sqrt(difference / size) < sns::tolerance::kBatchMates);
  const auto levels = [](const fs::path& f) {
    return sns::h5::File::open_read(f).dataset("levels").read<std::int32_t>();
  };
  const auto of_all = levels(all.output), of_one = levels(one.output);
  CHECK(std::equal(of_one.begin(), of_one.end(),
                   of_all.begin() + 3 * static_cast<std::ptrdiff_t>(of_one.size())));
}

TEST_CASE("evaluations are counted per member and step") {
  const sns::test::ScratchFolder folder;
  sns::SurrogateStepper plain = tiny_stepper(false), refined = tiny_stepper(true);
  sns::run_rollout(job_for(folder / "plain.h5", 3, {0, 1}, 16), plain);
  sns::run_rollout(job_for(folder / "refined.h5", 3, {0, 1}, 16), refined);
  const auto of_plain =
      sns::h5::File::open_read(folder / "plain.h5").dataset("evaluations").read<std::int64_t>();
  const auto file = sns::h5::File::open_read(folder / "refined.h5");
  const auto of_refined = file.dataset("evaluations").read<std::int64_t>();
  const auto levels = file.dataset("levels").read<std::int32_t>();
  for (std::size_t member = 0; member < 2; ++member)
    for (std::size_t step = 1; step <= 3; ++step) {
      const std::size_t row = member * 4 + step;
      CHECK(of_plain[3 * row] == 1);
      CHECK(of_plain[3 * row + 1] == 0);
      CHECK(of_plain[3 * row + 2] == 0);
      CHECK(of_refined[3 * row + 1] == 1);
      // Inclusive rule: level p takes p + 1 reverse steps; levels below the floor of 2 are raised to it.
      CHECK(of_refined[3 * row + 2] == std::max(levels[2 * row], 2) + 1 + std::max(levels[2 * row + 1], 2) + 1);
    }
}

namespace {

/// Two fields of different size, a lagged refiner in other units than the emulator's.
sns::SurrogateStepper lagged_stepper(std::int64_t first_step = 1, int threshold = -1,
                                     sns::Gate gate = sns::Gate::either) {
  sns::ModelConfig emulator = tiny("gaussian"), refiner = tiny("sns");
  emulator.field_channels = refiner.field_channels = 2;
  emulator.field_std = {2.0, 5.0};
  refiner.field_std = {1.0, 10.0};
  refiner.network.lag = sns::LagConfig{.window = 5, .embedding = 8};
  sns::SurrogateOptions options;
  options.first_step = first_step;
  options.seed = 11;
  options.noise = 1e-3;
  sns::RefineOptions refine;
  refine.threshold = threshold;
  refine.gate = gate;
  return {std::make_unique<sns::GaussianEmulator>(emulator, 1, torch::kCPU),
          sns::make_sns_refiner(std::make_unique<sns::Sns>(refiner, 2, torch::kCPU), refine, {.seed = 11}),
          options};
}

sns::RolloutJob two_field_job(const fs::path& output, std::int64_t steps, std::vector<std::int64_t> ids) {
  sns::RolloutJob job = job_for(output, steps, std::move(ids), 16);
  job.fields = {"q_upper", "q_lower"};
  job.units = {"s^-1", "s^-1"};
  job.field_std = {2.0, 5.0};
  job.initial = random_frames(2 * static_cast<std::int64_t>(job.trajectories.size()), 16);
  job.limit = 1e30;
  return job;
}

std::vector<float> values_of(const fs::path& file, const std::string& name) {
  return sns::h5::File::open_read(file).dataset(name).read<float>();
}

}  // namespace

TEST_CASE("two fields: each is written in its own units under its own name") {
  const sns::test::ScratchFolder folder;
  const sns::RolloutJob job = two_field_job(folder / "a.h5", 3, {4, 9});
  sns::SurrogateStepper stepper = lagged_stepper();
  CHECK(stepper.field_std() == std::vector<double>{2.0, 5.0});
  sns::run_rollout(job, stepper);
  const auto upper = values_of(job.output, "q_upper"), lower = values_of(job.output, "q_lower");
  REQUIRE(upper.size() == 2 * 4 * 256);
  CHECK(upper[0] == doctest::Approx(job.initial[0]));
  CHECK(lower[0] == doctest::Approx(job.initial[256]));
  CHECK(upper[4 * 256 + 7] == doctest::Approx(job.initial[512 + 7]));
  CHECK(lower[4 * 256 + 7] == doctest::Approx(job.initial[768 + 7]));
  // Step 1 by hand: the lag is 1, so that the long frame is the initial one; frames go to the refiner's units.
  sns::SurrogateStepper again = lagged_stepper();
  const auto x =
      torch::tensor(job.initial).view({2, 2, 16, 16}) / torch::tensor({2.0F, 5.0F}).view({1, 2, 1, 1});
  const std::vector<std::int64_t> ids{4, 9};
  const torch::NoGradGuard no_grad;
  const auto next = again.advance(x, x, ids, 1).next;
  CHECK(upper[256 + 3] == doctest::Approx(2 * next[0][0][0][3].item<float>()).epsilon(1e-4));
  CHECK(lower[256 + 3] == doctest::Approx(5 * next[0][1][0][3].item<float>()).epsilon(1e-4));
}

TEST_CASE("a lagged rollout continues bit for bit, with the frames that it still needs") {
  const sns::test::ScratchFolder folder;
  const sns::RolloutJob whole = two_field_job(folder / "whole.h5", 12, {4, 9});
  sns::SurrogateStepper stepper = lagged_stepper();
  sns::run_rollout(whole, stepper);

  // The same in two parts, at a step where the window is full, through save and restore.
  sns::SurrogateStepper first = lagged_stepper(), second = lagged_stepper();
  const auto initial =
      torch::tensor(whole.initial).view({2, 2, 16, 16}) / torch::tensor({2.0F, 5.0F}).view({1, 2, 1, 1});
  const std::vector<std::int64_t> ids{4, 9};
  const torch::NoGradGuard no_grad;
  torch::Tensor x = initial;
  CHECK(first.save().empty());
  for (std::int64_t step = 1; step <= 7; ++step) x = first.advance(initial, x, ids, step).next;
  const auto saved = first.save();
  CHECK(saved.size() == 1 + 4 + 4 + 4 * 1024);  // members, ids, steps that lags count from, four frames
  second.restore(saved, torch::kCPU);
  torch::Tensor y = x, other = x;
  for (std::int64_t step = 8; step <= 12; ++step) {
    x = first.advance(initial, x, ids, step).next;
    y = second.advance(initial, y, ids, step).next;
  }
  CHECK(torch::equal(x, y));
  const auto upper = values_of(whole.output, "q_upper");
  CHECK(upper[12 * 256 + 5] == doctest::Approx(2 * x[0][0][0][5].item<float>()).epsilon(1e-3));
  // Without them the numbers are others.
  sns::SurrogateStepper forgetful = lagged_stepper();
  for (std::int64_t step = 8; step <= 12; ++step) other = forgetful.advance(initial, other, ids, step).next;
  CHECK_FALSE(torch::equal(x, other));

  SUBCASE("a member that leaves takes its past with it") {
    const std::vector<std::int64_t> one{9};
    const auto alone = first.advance(initial.narrow(0, 1, 1), x.narrow(0, 1, 1), one, 13).next;
    const auto both = second.advance(initial, y, ids, 13).next;
    CHECK(torch::allclose(alone[0], both[1], 1e-4, 1e-5));
    const std::vector<std::int64_t> stranger{5};
    CHECK_THROWS_AS(first.advance(initial.narrow(0, 0, 1), x.narrow(0, 0, 1), stranger, 14), sns::Error);
  }
}

TEST_CASE("refinement starts where it is told, and leaves what is below the threshold alone") {
  const sns::test::ScratchFolder folder;
  sns::SurrogateStepper late = lagged_stepper(3), never = lagged_stepper(1, 19);
  sns::run_rollout(two_field_job(folder / "late.h5", 4, {0, 1}), late);
  sns::run_rollout(two_field_job(folder / "never.h5", 4, {0, 1}), never);
  const auto evaluations = [](const fs::path& f) {
    return sns::h5::File::open_read(f).dataset("evaluations").read<std::int64_t>();
  };
  const auto of_late = evaluations(folder / "late.h5"), of_never = evaluations(folder / "never.h5");
  for (std::size_t step = 1; step <= 4; ++step) {
    CHECK(of_late[3 * step + 1] == (step >= 3 ? 1 : 0));
    CHECK((of_late[3 * step + 2] > 0) == (step >= 3));
    CHECK(of_never[3 * step + 1] == 1);
    CHECK(of_never[3 * step + 2] == 0);
  }
}

TEST_CASE("memory does not grow with the length of a lagged rollout") {
  struct Watched : sns::RolloutStepper {
    sns::SurrogateStepper stepper = lagged_stepper(1, 19);
    std::int64_t early = 0, late = 0;
    sns::StepOutcome advance(const torch::Tensor& initial, const torch::Tensor& x,
                             std::span<const std::int64_t> trajectories, std::int64_t step) override {
      if (step == 200) early = resident();
      late = resident();
      return stepper.advance(initial, x, trajectories, step);
    }
    std::vector<float> save() const override { return stepper.save(); }
    void restore(std::span<const float> saved, torch::Device device) override {
      stepper.restore(saved, device);
    }
  };
  torch::set_num_threads(1);  // more of them wait for one another over networks this small
  const sns::test::ScratchFolder folder;
  Watched watched;
  sns::run_rollout(two_field_job(folder / "long.h5", 1200, {1, 2}), watched);
  CHECK(fs::file_size(folder / "long.h5") > 4'800'000);
  CHECK(watched.late - watched.early < 2 * 1024 * 1024);
}
