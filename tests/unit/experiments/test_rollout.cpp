// The rollout engine with made-up dynamics: files, failures, resume, memory.
#include "tests/support/torch_doctest.hpp"

#include "core/error.hpp"
#include "core/files.hpp"
#include "core/hdf5.hpp"
#include "core/random.hpp"
#include "core/stop.hpp"
#include "experiments/metrics/rollout_log.hpp"
#include "experiments/rollout.hpp"
#include "experiments/rollout_file.hpp"
#include "tests/support/child.hpp"
#include "tests/support/same_bits.hpp"
#include "tests/support/scratch.hpp"
#include "tests/support/small_rollouts.hpp"

#include <sys/wait.h>
#include <torch/utils.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <numeric>
#include <thread>

namespace fs = std::filesystem;
using sns::test::frames, sns::test::job_for, sns::test::resident, sns::test::same_bits;

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
  CHECK(file.dataset("time").read<double>()[40] == sns::test::relative(1.6));
  CHECK(file.attribute<bool>("complete"));
  CHECK(file.attribute<std::string>("method") == "test");
  const auto values = file.dataset("vorticity").read<float>();
  const auto levels = file.dataset("levels").read<std::int32_t>();
  const auto evaluations = file.dataset("evaluations").read<std::int64_t>();
  for (std::size_t m = 0; m < 2; ++m) {
    CHECK(values[m * 41 * 64] == sns::test::relative(job.initial[m * 64]));  // frame 0 is the initial state
    CHECK(levels[m * 82] == -1);
    CHECK(levels[(m * 41 + 5) * 2] == 5 % 3);
    CHECK(evaluations[m * 41 * 3] == 0);
    CHECK(evaluations[(m * 41 + 40) * 3 + 2] == 4);
  }
  // Frame 1 by hand: physical = std * (0.9 x / std + 0.1 xi).
  std::vector<float> xi(64);
  sns::RandomStream(7, sns::Purpose::emulator_noise, 1000003, 1).fill_normal(xi);
  CHECK(values[(41 + 1) * 64 + 9] ==
        sns::test::relative(0.9 * job.initial[64 + 9] + 3.5 * 0.1 * xi[9]).epsilon(1e-5));
  CHECK_FALSE(fs::exists(job.output.string() + ".partial"));
  CHECK_FALSE(fs::exists(job.output.string() + ".checkpoint"));
}

TEST_CASE("frames that are written when all members are lost cost a method nothing") {
  const sns::test::ScratchFolder folder;
  NoisyDecay failing;
  failing.blow_up_id = 1;
  failing.blow_up_step = 2;
  failing.blow_up_value = std::nan("");
  const sns::RolloutJob job = job_for(folder / "a.h5", 4000, {1});
  failing.on_step = [](std::int64_t) { std::this_thread::sleep_for(std::chrono::milliseconds(50)); };
  const sns::RolloutSummary summary = sns::run_rollout(job, failing);
  CHECK(summary.failed_step == std::vector<std::int64_t>{2});
  const auto file = sns::h5::File::open_read(job.output);
  CHECK(file.dataset("step_seconds").shape() == sns::h5::Shape{4001, 2});
  const auto seconds = file.dataset("step_seconds").read<double>();
  CHECK(seconds[0] == 0);
  CHECK(seconds[1] == 0);
  // The steps slept, which takes no CPU time.
  const double wall = seconds[2] + seconds[4], cpu = seconds[3] + seconds[5];
  CHECK(wall >= 0.1);
  CHECK(wall < summary.wall_seconds);
  CHECK(cpu > 0);
  CHECK(cpu < wall / 2);
  CHECK(std::accumulate(seconds.begin() + 6, seconds.end(), 0.0) > 0);  // the rest is written, too
  const auto log = sns::metrics::read_rollout_log(job.output, 100);
  CHECK(log.milliseconds_per_step == sns::test::relative(1e3 * wall / 2));
  CHECK(log.blocks.size() == 2);
  CHECK(sns::metrics::milliseconds_per_step(log.blocks, sns::metrics::CostClock::cpu) ==
        sns::test::relative(1e3 * cpu / 2));
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
  // What every step took is on record, of those before the stop, too.
  const auto seconds = sns::h5::File::open_read(job.output).dataset("step_seconds").read<double>();
  CHECK(std::count_if(seconds.begin() + 2, seconds.end(), [](double s) { return s > 0; }) == 200);

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

TEST_CASE("a rollout that goes on still says how many members were lost before") {
  const sns::test::ScratchFolder folder;
  const sns::RolloutJob job = job_for(folder / "a.h5", 30, {1, 2, 3});
  NoisyDecay dynamics;
  dynamics.blow_up_id = 2;
  dynamics.blow_up_step = 10;
  dynamics.blow_up_value = std::nan("");
  dynamics.on_step = [](std::int64_t step) {
    if (step == 20) sns::request_stop();
  };
  CHECK_THROWS_AS(sns::run_rollout(job, dynamics), sns::Stopped);
  sns::reset_stop();
  const sns::test::ChildResult child = sns::test::in_child([&] {
    dynamics.on_step = nullptr;
    sns::run_rollout(job, dynamics);
    return 0;
  });
  CHECK(child.exit_code == 0);
  CHECK_MESSAGE(sns::test::contains(child.err, "30/30 steps (100 %)"), child.err);
  CHECK_MESSAGE(sns::test::contains(child.err, "1 failed"), child.err);
}

TEST_CASE("a rollout that goes on elsewhere says so, and with other weights starts again") {
  const sns::test::ScratchFolder folder;
  const auto stop_at = [&](std::int64_t step, sns::RolloutJob job) {
    NoisyDecay dynamics;
    dynamics.on_step = [step](std::int64_t now) {
      if (now == step) sns::request_stop();
    };
    CHECK_THROWS_AS(sns::run_rollout(job, dynamics), sns::Stopped);
    sns::reset_stop();
  };
  sns::RolloutJob job = job_for(folder / "a.h5", 40, {1, 2});
  job.attributes.insert(job.attributes.end(), {{"device", "cuda:0"}, {"weights_emulator_sha256", "abc"}});
  job.threads = 2;
  stop_at(20, job);
  std::int64_t first = 0;
  NoisyDecay dynamics;
  dynamics.on_step = [&](std::int64_t step) {
    if (first == 0) first = step;
  };
  SUBCASE("other threads") {
    job.threads = 1;
    sns::run_rollout(job, dynamics);
    CHECK(first > 1);
    CHECK(sns::metrics::read_rollout_log(job.output, 10).threads == sns::kMixedThreads);
  }
  SUBCASE("another device, and back") {
    job.attributes[job.attributes.size() - 2].second = "cpu";
    stop_at(30, job);
    job.attributes[job.attributes.size() - 2].second = "cuda:0";
    sns::run_rollout(job, dynamics);
    const auto log = sns::metrics::read_rollout_log(job.output, 10);
    CHECK(log.threads == sns::kMixedThreads);
    CHECK(log.attributes.at("device") == "cuda:0, cpu, cuda:0");
  }
  SUBCASE("other weights") {
    job.attributes.back().second = "def";
    sns::run_rollout(job, dynamics);
    CHECK(first == 1);
    CHECK(sns::metrics::read_rollout_log(job.output, 10).threads == 2);
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
  dynamics.rewrite = true;
  sns::run_rollout(whole, dynamics);
  sns::RolloutJob job = job_for(folder / "killed.h5", 400, {5, 6});
  job.checkpoint_seconds = 0;  // after every chunk
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    NoisyDecay slow;
    slow.rewrite = true;
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
  const auto seconds = sns::h5::File::open_read(job.output).dataset("step_seconds").read<double>();
  CHECK(std::count_if(seconds.begin() + 2, seconds.end(), [](double s) { return s > 0; }) == 2 * 400);
}

TEST_CASE("a chunk is written by the step that fills it, so that its time counts") {
  const sns::test::ScratchFolder folder;
  sns::RolloutJob job = job_for(folder / "a.h5", 8, {1});
  job.chunk = 3;
  auto file = sns::RolloutFile::create(job.output, job);
  const std::vector<std::int32_t> levels(2, -1);
  const std::vector<std::int64_t> evaluations(3, 0);
  std::vector<std::int64_t> pending;
  for (std::int64_t step = 1; step <= 4; ++step) {
    file.append(step, job.initial, levels, evaluations);
    pending.push_back(file.pending());
  }
  CHECK(pending == std::vector<std::int64_t>{1, 2, 0, 1});
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
    CHECK(b[frame * 64] == sns::test::relative(factor * a[frame * 64]));
  }
}

TEST_CASE(
    "what a lost member's refinement made of the frame before is not kept, nor what is no frame of the flow") {
  const sns::test::ScratchFolder folder;
  const auto run = [&](const char* name, bool rewrite, double limit) {
    NoisyDecay dynamics;
    dynamics.rewrite = rewrite;
    dynamics.blow_up_id = 2;
    dynamics.blow_up_step = 7;
    dynamics.blow_up_value = 1e6;
    sns::RolloutJob job = job_for(folder / name, 9, {1, 2});
    job.limit = limit;
    CHECK(sns::run_rollout(job, dynamics).failed_step == std::vector<std::int64_t>{-1, 7});
    return frames(folder / name);
  };
  const auto plain = run("plain.h5", false, 50), rewritten = run("rewritten.h5", true, 50);
  const auto at = [](const std::vector<float>& all, std::size_t member, std::size_t frame) {
    return all[(member * 10 + frame) * 64];
  };
  CHECK(at(rewritten, 0, 6) == sns::test::relative(2 * at(plain, 0, 6)));
  CHECK(at(rewritten, 1, 5) == sns::test::relative(2 * at(plain, 1, 5)));
  CHECK(at(rewritten, 1, 6) == at(plain, 1, 6));
  CHECK(std::isnan(at(rewritten, 1, 7)));
  // A limit that all frames keep to, and twice the largest does not.
  const auto largest = [&](std::size_t first, std::size_t last) {
    float found = 0;
    for (std::size_t i = 64 * first; i < 64 * last; ++i) found = std::fmax(found, std::abs(plain[i]));
    return found;
  };
  const float limit = 1.01F * largest(0, 20);
  const auto limited = run("limited.h5", true, limit / job_for(folder / "a.h5", 9, {1, 2}).field_std[0]);
  int kept = 0;
  for (std::size_t frame = 1; frame < 9; ++frame) {
    const bool within = 2 * largest(frame, frame + 1) <= limit;
    CHECK(at(limited, 0, frame) == sns::test::relative((within ? 2 : 1) * at(plain, 0, frame)));
    kept += within ? 0 : 1;
  }
  CHECK(kept > 0);
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
