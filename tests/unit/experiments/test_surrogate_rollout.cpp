// Rollouts of small networks: independence of batch mates, work, several fields, lags.
#include "tests/support/torch_doctest.hpp"

#include "core/error.hpp"
#include "core/hdf5.hpp"
#include "experiments/surrogate_stepper.hpp"
#include "tests/support/emulator_tolerances.hpp"
#include "tests/support/scratch.hpp"
#include "tests/support/small_rollouts.hpp"

#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

namespace fs = std::filesystem;
using sns::test::frames, sns::test::job_for, sns::test::random_frames, sns::test::resident;

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

sns::SurrogateStepper tiny_stepper(bool refined, const sns::Path& path = sns::Path::A,
                                   std::int64_t first_step = 1, std::int64_t every = 1,
                                   bool conserve_mean = false) {
  sns::SurrogateOptions options;
  options.first_step = first_step;
  options.every = every;
  options.conserve_mean = conserve_mean;
  options.noise.seed = 11;
  options.noise.white = 0.01;
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

TEST_CASE("the mean over the domain is conserved where that is asked for, and nothing else changes") {
  torch::manual_seed(5);
  const std::vector<std::int64_t> ids = {0, 1};
  const auto off = [](const torch::Tensor& frame, const torch::Tensor& from) {
    const torch::Tensor size = frame.abs().amax({2, 3}, true);  // of rounding, in sums
    return ((frame.mean({2, 3}, true) - from).abs() / size).max().item<float>();
  };
  const torch::Tensor x = torch::randn({2, 1, 16, 16}) + torch::tensor({0.5, -2.0}).view({2, 1, 1, 1});
  const torch::Tensor initial = torch::randn({2, 1, 16, 16}), mean = initial.mean({2, 3}, true);
  for (const bool refined : {false, true}) {
    CAPTURE(refined);
    // Path C rewrites the previous frame, too.
    const sns::Path path = sns::Path::C;
    sns::SurrogateStepper keeps = tiny_stepper(refined, path, 1, 1, true),
                          wanders = tiny_stepper(refined, path);
    const auto kept = keeps.advance(initial, x, ids, 1), wandered = wanders.advance(initial, x, ids, 1);
    CHECK(off(kept.next, mean) < 1e-6);
    CHECK(off(wandered.next, mean) > 1e-3);
    if (!refined) {
      const torch::Tensor change = kept.next - wandered.next;
      CHECK((change - change.mean({2, 3}, true)).abs().max().item<float>() < 1e-5);
    } else {
      REQUIRE(kept.previous.defined());
      CHECK(off(kept.previous, mean) < 1e-6);
    }
  }
}

TEST_CASE("scales that a surrogate does not predict are held after the surrogate and after the refiner") {
  torch::manual_seed(6);
  const torch::Tensor power = sns::FieldCovariance::of(torch::randn({64, 1, 16, 16})).shell_power();
  torch::Tensor error = 0.1 * power;
  error[0][7] = 2 * power[0][7];
  const auto stepper = [&](bool holds, bool refined, bool one_by_one) {
    sns::SurrogateOptions options;
    options.noise.white = 0.01;
    options.conserve_mean = true;
    options.inference.one_by_one = one_by_one;
    if (holds) options.unpredicted.emplace(error, power, power, 16);
    sns::RefineOptions refine;
    refine.path = sns::Path::C;  // rewrites the previous frame, too
    refine.level_floor = 2;
    return sns::SurrogateStepper(
        std::make_unique<sns::GaussianEmulator>(tiny("gaussian"), 1, torch::kCPU),
        refined ? sns::make_sns_refiner(std::make_unique<sns::Sns>(tiny("sns"), 2, torch::kCPU), refine,
                                        {.seed = 11})
                : nullptr,
        options);
  };
  const std::vector<std::int64_t> ids = {0, 1};
  const torch::Tensor x = 3 * torch::randn({2, 1, 16, 16});
  const auto off = [&](const torch::Tensor& frames, std::int64_t shell) {
    double most = 0;
    for (const torch::Tensor& member : frames.split(1)) {
      const double found = sns::FieldCovariance::of(member).shell_power()[0][shell].item<double>();
      most = std::max(most, std::abs(found / power[0][shell].item<double>() - 1));
    }
    return most;
  };
  for (const bool refined : {false, true}) {
    CAPTURE(refined);
    sns::SurrogateStepper holds = stepper(true, refined, false), free = stepper(false, refined, false),
                          alone = stepper(true, refined, true);
    const auto held = holds.advance(x, x, ids, 1), let = free.advance(x, x, ids, 1);
    CHECK(off(held.next, 7) < 1e-4);
    CHECK(off(let.next, 7) > 0.1);
    CHECK(off(held.next, 5) > 0.1);  // one that it predicts
    CHECK((held.next - x).mean({2, 3}).abs().max().item<double>() < 1e-6);
    if (refined) {
      REQUIRE(held.previous.defined());
      CHECK(off(held.previous, 7) < 1e-4);
    }
    const auto each = alone.advance(x, x, ids, 1);
    CHECK((each.next - held.next).abs().max().item<double>() < 1e-3);
    CHECK(torch::equal(stepper(true, refined, true)
                           .advance(x.narrow(0, 1, 1), x.narrow(0, 1, 1), std::vector<std::int64_t>{1}, 1)
                           .next,
                       each.next.narrow(0, 1, 1)));
  }
}

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

TEST_CASE("a sampled surrogate adds noise with the error's covariance, of the member and the step alone") {
  // All noise in the waves with two periods along x and none along y.
  torch::Tensor spectrum = torch::zeros({16, 9, 1, 1, 2});
  spectrum[2][0][0][0][0] = spectrum[14][0][0][0][0] = 40.0;
  const auto stepper = [&](bool sampled) {
    sns::SurrogateOptions options;
    options.noise.seed = 11;
    if (sampled) options.noise.error.emplace(sns::FieldCovariance(spectrum));
    return sns::SurrogateStepper(std::make_unique<sns::GaussianEmulator>(tiny("gaussian"), 1, torch::kCPU),
                                 nullptr, options);
  };
  sns::SurrogateStepper mean = stepper(false), samples = stepper(true);
  const std::vector<float> values = random_frames(3, 16);
  const torch::Tensor x = torch::tensor(values).view({3, 1, 16, 16});
  const auto noise = [&](const std::vector<std::int64_t>& ids, std::int64_t step) {
    const torch::Tensor rows = x.narrow(0, 0, static_cast<std::int64_t>(ids.size()));
    return samples.advance(rows, rows, ids, step).next - mean.advance(rows, rows, ids, step).next;
  };
  const torch::Tensor of_three = noise({5, 6, 7}, 4);
  CHECK(of_three.std(2).abs().max().item<double>() > 0.1);
  CHECK((of_three - of_three.select(3, 0).unsqueeze(3)).abs().max().item<double>() < 1e-5);  // constant along y
  CHECK((of_three + of_three.roll(4, 2)).abs().max().item<double>() < 1e-5);  // half a wave on: the opposite
  CHECK(torch::allclose(noise({6}, 4)[0], of_three[1], 0, 1e-6));
  CHECK_FALSE(torch::allclose(noise({6}, 5)[0], of_three[1], 0, 1e-2));
  double square = 0;
  for (std::int64_t step = 1; step <= 300; ++step)
    square += noise({5, 6, 7}, step).square().mean().item<double>() / 300;
  CHECK(square == sns::test::relative(2 * 40.0 / 256).epsilon(0.1));
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

TEST_CASE("fixed levels in a share of the frames, drawn for each member and step alone") {
  sns::RefineOptions refine;
  refine.fixed_levels = sns::Levels{1, 4};
  const auto stepper = [&](double share) {
    return sns::SurrogateStepper(std::make_unique<sns::GaussianEmulator>(tiny("gaussian"), 1, torch::kCPU),
                                 sns::make_sns_refiner(std::make_unique<sns::Sns>(tiny("sns"), 2, torch::kCPU),
                                                       refine, {.seed = 11, .fixed_share = share}),
                                 {});
  };
  sns::SurrogateStepper some = stepper(0.25), all = stepper(1);
  const std::vector<std::int64_t> ids = {3, 4, 5, 6}, one = {4};
  const torch::Tensor x = torch::from_blob(random_frames(4, 16).data(), {4, 1, 16, 16}).clone();
  int fixed = 0;
  for (std::int64_t step = 1; step <= 100; ++step) {
    const torch::Tensor evaluations = some.advance(x, x, ids, step).evaluations.select(1, 2);
    for (std::int64_t b = 0; b < 4; ++b) {
      const auto taken = evaluations[b].item<std::int64_t>();  // path A, inclusive: one more than each level
      CHECK((taken == 2 || taken == 7));
      fixed += taken == 7 ? 1 : 0;
    }
    const auto alone = some.advance(x.narrow(0, 1, 1), x.narrow(0, 1, 1), one, step);
    CHECK(alone.evaluations[0][2].item<std::int64_t>() == evaluations[1].item<std::int64_t>());
  }
  CHECK(fixed > 70);  // of 400; 100 +- 9 are expected
  CHECK(fixed < 130);
  CHECK((all.advance(x, x, ids, 1).evaluations.select(1, 2) == 7).all().item<bool>());
}

TEST_CASE("paths that bring both frames down together to the end rewrite the past one") {
  const torch::Tensor x = torch::from_blob(random_frames(2, 16).data(), {2, 1, 16, 16}).clone();
  const std::vector<std::int64_t> ids = {0, 1};
  for (const auto& [text, rewrites] :
       {std::pair("C", true), std::pair("top,top 2,top 2,2 clean,clean", true), std::pair("A", false),
        std::pair("top,top 1,1 1,clean", false), std::pair("clean_past", false)}) {
    CAPTURE(text);
    sns::SurrogateStepper stepper = tiny_stepper(true, sns::parse_path(text));
    CHECK(stepper.advance(x, x, ids, 1).previous.defined() == rewrites);
  }
}

TEST_CASE("every n-th frame is refined, the others are the surrogate's") {
  const sns::test::ScratchFolder folder;
  const auto log = [&](const std::string& name, sns::SurrogateStepper stepper) {
    sns::run_rollout(job_for(folder / name, 6, {0, 1}, 16), stepper);
    return sns::h5::File::open_read(folder / name);
  };
  const auto some = log("some.h5", tiny_stepper(true, sns::Path::A, 2, 3)),
             from_second = log("from_second.h5", tiny_stepper(true, sns::Path::A, 2, 100));
  const auto evaluations = some.dataset("evaluations").read<std::int64_t>();
  const auto levels = some.dataset("levels").read<std::int32_t>();
  for (std::size_t step = 1; step <= 6; ++step) {
    const bool refined = step == 2 || step == 5;
    CHECK(evaluations[3 * step] == 1);
    CHECK(evaluations[3 * step + 1] == (refined ? 1 : 0));
    CHECK((evaluations[3 * step + 2] > 0) == refined);
    CHECK((levels[2 * step] >= 0) == refined);
  }
  // The same frames until the second refined one.
  const auto a = frames(folder / "some.h5"), b = frames(folder / "from_second.h5");
  const auto until = static_cast<std::ptrdiff_t>(5 * 256);
  CHECK(std::equal(a.begin(), a.begin() + until, b.begin()));
  CHECK_FALSE(std::equal(a.begin() + until, a.begin() + until + 256, b.begin() + until));
}

namespace {

/// Two fields of different size, a lagged refiner in other units than the emulator's.
sns::SurrogateStepper lagged_stepper(std::int64_t first_step = 1, int threshold = -1,
                                     sns::Gate gate = sns::Gate::either, int levels = 20,
                                     const sns::Path& path = sns::Path::A, bool conserve_mean = false) {
  sns::ModelConfig emulator = tiny("gaussian"), refiner = tiny("sns");
  emulator.field_channels = refiner.field_channels = 2;
  emulator.field_std = {2.0, 5.0};
  refiner.field_std = {1.0, 10.0};
  refiner.network.lag = sns::LagConfig{.window = 5, .embedding = 8};
  refiner.diffusion.levels = levels;
  sns::SurrogateOptions options;
  options.first_step = first_step;
  options.conserve_mean = conserve_mean;
  options.noise.seed = 11;
  options.noise.white = 1e-3;
  sns::RefineOptions refine;
  refine.path = path;
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
  CHECK(upper[0] == sns::test::relative(job.initial[0]));
  CHECK(lower[0] == sns::test::relative(job.initial[256]));
  CHECK(upper[4 * 256 + 7] == sns::test::relative(job.initial[512 + 7]));
  CHECK(lower[4 * 256 + 7] == sns::test::relative(job.initial[768 + 7]));
  // Step 1 by hand: the lag is 1, so that the long frame is the initial one; frames go to the refiner's units.
  sns::SurrogateStepper again = lagged_stepper();
  const auto x =
      torch::tensor(job.initial).view({2, 2, 16, 16}) / torch::tensor({2.0F, 5.0F}).view({1, 2, 1, 1});
  const std::vector<std::int64_t> ids{4, 9};
  const torch::NoGradGuard no_grad;
  const auto next = again.advance(x, x, ids, 1).next;
  CHECK(upper[256 + 3] == sns::test::relative(2 * next[0][0][0][3].item<float>()).epsilon(1e-4));
  CHECK(lower[256 + 3] == sns::test::relative(5 * next[0][1][0][3].item<float>()).epsilon(1e-4));
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
  CHECK(upper[12 * 256 + 5] == sns::test::relative(2 * x[0][0][0][5].item<float>()).epsilon(1e-3));
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

TEST_CASE("a lagged refiner looks back at rewritten frames as the trajectory has them") {
  torch::manual_seed(5);
  const torch::NoGradGuard no_grad;
  const std::vector<std::int64_t> ids{4, 9};
  const torch::Tensor initial = torch::randn({2, 2, 16, 16}),
                      scale = torch::tensor({2.0F, 0.5F}).view({1, 2, 1, 1});
  for (const bool conserve_mean : {false, true}) {
    CAPTURE(conserve_mean);
    sns::SurrogateStepper stepper = lagged_stepper(1, -1, sns::Gate::either, 20, sns::Path::C, conserve_mean);
    const auto newest = [&] {
      const std::vector<float> saved = stepper.save();
      return torch::tensor(std::vector<float>(saved.end() - 1024, saved.end())).view({2, 2, 16, 16}) / scale;
    };
    const auto first = stepper.advance(initial, initial, ids, 1);
    CHECK(torch::equal(newest() * scale, initial * scale));  // never the initial condition
    const auto second = stepper.advance(initial, first.next, ids, 2);
    REQUIRE(second.previous.defined());
    CHECK_FALSE(torch::allclose(second.previous, first.next, 1e-2, 1e-3));
    CHECK(torch::allclose(newest(), second.previous, 1e-5, 1e-6));
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

TEST_CASE("memory does not grow with the length of a refined, lagged rollout") {
  struct Watched : sns::RolloutStepper {
    sns::SurrogateStepper stepper = lagged_stepper(1, -1, sns::Gate::either, 3);
    std::int64_t early = 0, late = 0;
    sns::StepOutcome advance(const torch::Tensor& initial, const torch::Tensor& x,
                             std::span<const std::int64_t> trajectories, std::int64_t step) override {
      if (step == 200) early = resident();
      late = resident();
      sns::StepOutcome out = stepper.advance(initial, x, trajectories, step);
      // Of untrained networks frames grow until members are lost, and are refined no more.
      out.next = out.next / out.next.std({1, 2, 3}, /*unbiased=*/false, /*keepdim=*/true);
      return out;
    }
    std::vector<float> save() const override { return stepper.save(); }
    void restore(std::span<const float> saved, torch::Device device) override {
      stepper.restore(saved, device);
    }
  };
  torch::set_num_threads(1);  // more of them wait for one another over networks this small
  const sns::test::ScratchFolder folder;
  Watched watched;
  sns::run_rollout(two_field_job(folder / "long.h5", 700, {1, 2}), watched);
  CHECK(fs::file_size(folder / "long.h5") > 2'800'000);
  CHECK(watched.late - watched.early < 2 * 1024 * 1024);
  const auto evaluations =
      sns::h5::File::open_read(folder / "long.h5").dataset("evaluations").read<std::int64_t>();
  CHECK(evaluations.back() >= 2);  // denoiser evaluations of the last member's last step
}
