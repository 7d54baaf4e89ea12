// What the batches of a training hold: lengths of rollouts, levels, pairs, lags, fields.
#include "tests/support/torch_doctest.hpp"

#include "emulator/models/gaussian.hpp"
#include "emulator/models/sns.hpp"
#include "emulator/training/gaussian_task.hpp"
#include "emulator/training/one_level_task.hpp"
#include "emulator/training/sns_task.hpp"
#include "emulator/training/trainer.hpp"
#include "tests/support/scratch.hpp"
#include "tests/support/small_training.hpp"
#include "tests/support/synthetic_dataset.hpp"

#include <algorithm>
#include <map>

using namespace sns;
using namespace sns::test;

TEST_CASE("the rollout grows by one every steps_per_length up to its limit") {
  const RolloutTrainingConfig rollout{.max_length = 3, .steps_per_length = 10};
  CHECK(rollout_length(rollout, 0) == 1);
  CHECK(rollout_length(rollout, 9) == 1);
  CHECK(rollout_length(rollout, 10) == 2);
  CHECK(rollout_length(rollout, 500) == 3);
}

TEST_CASE("levels follow their distributions") {
  constexpr int kDraws = 40000;
  RandomStream stream(1, Purpose::diffusion_level);
  std::vector<int> uniform(20), low(20);
  for (int i = 0; i < kDraws; ++i) {
    ++uniform.at(static_cast<std::size_t>(sample_level({}, 20, stream)));
    ++low.at(static_cast<std::size_t>(
        sample_level({.sampling = "low", .max_level = 9, .log_fraction = 0.5}, 20, stream)));
  }
  // Five standard deviations of a count of 40,000 draws.
  const auto near = [](int count, double p) {
    return std::abs(count - kDraws * p) < 5 * std::sqrt(kDraws * p * (1 - p));
  };
  for (std::size_t s = 0; s < 20; ++s) CHECK(near(uniform[s], 0.05));
  for (std::size_t s = 0; s < 10; ++s) {
    const double log_part = std::log((s + 2.0) / (s + 1.0)) / std::log(11.0);
    CHECK(near(low[s], 0.5 * 0.1 + 0.5 * log_part));
  }
  CHECK(std::count(low.begin() + 10, low.end(), 0) == 10);
  // The counts' own entropy scatters by 0.002, and is smaller by 0.0001 on average.
  const auto entropy = [](const std::vector<int>& counts) {
    double sum = 0;
    for (const int count : counts)
      if (count > 0) sum -= count / double{kDraws} * std::log(count / double{kDraws});
    return sum;
  };
  CHECK(level_entropy({}, 20) == test::relative(std::log(20.0)));
  CHECK(level_entropy({.sampling = "but_last"}, 20) == test::relative(std::log(19.0)));
  CHECK(std::abs(level_entropy({.sampling = "low", .max_level = 9, .log_fraction = 0.5}, 20) - entropy(low)) <
        0.01);
}

TEST_CASE("batches are pure functions of the pass, and the pairs are the data's") {
  ScratchFolder scratch;
  write_synthetic_dataset(scratch.path());
  const auto info = describe_dataset(scratch.path());
  const DataSplit training(info, "train", info.field_std);
  SUBCASE("gaussian") {
    auto spec = small_spec("gaussian");
    spec.model.image = 8;
    spec.training.rollout = {.max_length = 3, .steps_per_length = 10, .noise = 0.1};
    GaussianEmulator model(spec.model, 1, torch::kCPU);
    GaussianTask task(model, spec.training, training, nullptr, 7),
        again(model, spec.training, training, nullptr, 7);
    const auto one = task.make_batch(5, 5, 0), three = task.make_batch(25, 25, 0),
               repeat = again.make_batch(25, 25, 0);
    CHECK(one.frames.size(1) == 2);
    CHECK_FALSE(one.noise.defined());
    CHECK(three.frames.size(1) == 4);
    CHECK(three.noise.size(1) == 2);
    CHECK(three.noise.std().item<double>() == test::relative(0.1).epsilon(0.1));
    CHECK(torch::equal(three.frames, repeat.frames));
    CHECK(torch::equal(three.noise, repeat.noise));
    CHECK_FALSE(torch::equal(three.frames, task.make_batch(25, 25, 1).frames));
  }
  SUBCASE("sns") {
    auto spec = small_spec("sns");
    spec.model.image = 8;
    Sns model(spec.model, 1, torch::kCPU);
    SnsTask task(model, spec.training, training, nullptr, 7), again(model, spec.training, training, nullptr, 7);
    const auto batch = task.make_batch(3, 3, 0), repeat = again.make_batch(3, 3, 0),
               next = task.make_batch(4, 4, 0);
    CHECK(torch::equal(batch.frames, repeat.frames));
    CHECK(torch::equal(batch.noise, repeat.noise));
    CHECK(torch::equal(batch.levels, repeat.levels));
    CHECK_FALSE(torch::equal(batch.noise, next.noise));
    // Consecutive frames of the waves differ by far less than unrelated ones.
    const auto near = (batch.frames.select(1, 2) - batch.frames.select(1, 1)).square().mean({1, 2});
    const auto far = (batch.frames.select(1, 2) - batch.frames.select(1, 0)).square().mean({1, 2});
    CHECK(near.max().item<double>() < far.min().item<double>());
    CHECK(near.min().item<double>() > 0);
  }
}

TEST_CASE("a lagged sample holds a frame, and the pair its lag later, of one trajectory") {
  ScratchFolder scratch;
  write_synthetic_dataset(scratch.path(), {.fields = {"q_upper", "q_lower"}});
  const auto info = describe_dataset(scratch.path());
  const DataSplit training(info, "train", info.field_std);
  auto spec = small_spec("sns");
  spec.model.image = 8;
  spec.model.field_channels = 2;
  spec.model.network.lag = LagConfig{.window = 6, .embedding = 4};
  spec.training.batch = 16;
  Sns model(spec.model, 1, torch::kCPU);
  SnsTask task(model, spec.training, training, nullptr, 7), again(model, spec.training, training, nullptr, 7);
  CHECK(task.windows() == 6 * 7);
  const auto batch = task.make_batch(2, 2, 0);
  CHECK(torch::equal(batch.frames, again.make_batch(2, 2, 0).frames));
  std::map<std::int64_t, int> seen;
  for (std::int64_t b = 0; b < 16; ++b) {
    const auto lag = batch.lags[b].item<std::int64_t>();
    ++seen[lag];
    bool found = false;
    for (int trajectory = 0; trajectory < 6; ++trajectory)
      for (int first = 0; first + 6 <= 12; ++first) {
        bool same = true;
        const int times[] = {first, first + static_cast<int>(lag) - 1, first + static_cast<int>(lag)};
        for (int frame = 0; frame < 3; ++frame)
          for (int field = 0; field < 2; ++field)
            same = same && batch.frames[b][2 * frame + field][3][5].item<float>() ==
                               test::relative(wave(field, trajectory, times[frame], 3, 5, 8) /
                                              (field == 0 ? 2.0F : 4.0F));
        found = found || same;
      }
    CHECK(found);
  }
  CHECK(seen.begin()->first >= 1);
  CHECK(seen.rbegin()->first <= 5);
  CHECK(seen.size() > 2);
  spec.model.network.lag->window = 13;
  Sns longer(spec.model, 1, torch::kCPU);
  CHECK(contains(message_of([&] { SnsTask(longer, spec.training, training, nullptr, 7); }),
                 "network.lag.window"));
}

TEST_CASE("samples of thermalizer and ACDM are consecutive frames, each with noise of its own and one level") {
  ScratchFolder scratch;
  write_synthetic_dataset(scratch.path());
  const auto info = describe_dataset(scratch.path());
  const DataSplit training(info, "train", info.field_std);
  auto spec = small_spec("acdm");
  spec.model.image = 8;
  spec.training.batch = 16;
  spec.training.levels.sampling = "but_last";
  Acdm acdm(spec.model, 1, torch::kCPU);
  AcdmTask task(acdm, spec.training, training, nullptr, 7), again(acdm, spec.training, training, nullptr, 7);
  std::int64_t highest = 0;
  for (std::int64_t pass = 0; pass < 20; ++pass) {
    const auto batch = task.make_batch(pass, pass, 0);
    highest = std::max(highest, batch.levels.max().item<std::int64_t>());
    CHECK(torch::equal(batch.frames, again.make_batch(pass, pass, 0).frames));
    CHECK_FALSE(torch::equal(batch.noise.select(1, 0), batch.noise.select(1, 1)));
    CHECK(batch.levels.sizes() == at::IntArrayRef{16});
  }
  CHECK(highest == 18);  // of levels 0 to 19, the last is left out
  std::vector<float> pair(2 * 64);
  const auto batch = task.make_batch(0, 0, 0);
  bool found = false;
  for (std::int64_t w = 0; w < training.windows(2) && !found; ++w) {
    training.read_window(w, 2, pair);
    found = std::equal(pair.begin(), pair.end(), batch.frames.data_ptr<float>());
  }
  CHECK(found);

  Thermalizer thermalizer(small_spec("thermalizer").model, 1, torch::kCPU);
  ThermalizerTask single(thermalizer, spec.training, training, nullptr, 7);
  CHECK(single.make_batch(0, 0, 0).frames.sizes() == at::IntArrayRef({16, 1, 8, 8}));
  CHECK(single.windows() > task.windows());
}

TEST_CASE("two fields of different size train, each by its own standard deviation") {
  ScratchFolder scratch;
  write_synthetic_dataset(scratch / "dataset", {.fields = {"q_upper", "q_lower"}});
  const std::map<std::string, std::string> reported{
      {"gaussian", "rms_penalty"}, {"sns", "ce_past"}, {"thermalizer", "ce"}, {"acdm", "mse"}};
  for (const auto& [kind, loss] : reported) {
    CAPTURE(kind);
    auto spec = small_spec(kind);
    spec.training.steps = 20;
    spec.model.network.predicts = "present";
    if (kind == "sns") spec.model.network.lag = LagConfig{.window = 4, .embedding = 4};
    spec.training.rollout = {.max_length = 2, .steps_per_length = 10, .noise = 0.01, .rms_penalty = 1};
    train_model(spec, scratch / "dataset", scratch / kind, cpu_run());
    const auto model = load_model(scratch / kind, Weights::raw, torch::kCPU);
    CHECK(model->field_std() == std::vector<double>{2.0, 4.0});
    CHECK(model->config().field_channels == 2);
    const auto first = loss_curve(scratch / kind).substr(0, 200);
    CHECK(contains(first, "\"" + loss + "\""));
    CHECK(contains(read_text(scratch / kind / "model_card.md"), "divided by 2, 4"));
  }
}

TEST_CASE("level bands reach exactly to the highest level") {
  const auto names = [](int highest) {
    std::string text;
    for (const auto& band : level_bands(highest)) text += band.name() + " ";
    return text;
  };
  CHECK(names(199) == "0 1-2 3-5 6-10 11-20 21-50 51+ ");
  CHECK(names(50) == "0 1-2 3-5 6-10 11-20 21-50 ");
  CHECK(names(3) == "0 1-2 3 ");
}
