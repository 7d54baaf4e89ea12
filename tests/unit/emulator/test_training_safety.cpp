#include "tests/support/torch_doctest.hpp"

#include "core/error.hpp"
#include "core/files.hpp"
#include "core/stop.hpp"
#include "emulator/dataset.hpp"
#include "emulator/models/model.hpp"
#include "emulator/safetensors.hpp"
#include "emulator/training/checkpoint.hpp"
#include "emulator/training/trainer.hpp"
#include "tests/support/child.hpp"
#include "tests/support/scratch.hpp"
#include "tests/support/small_training.hpp"
#include "tests/support/synthetic_dataset.hpp"

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

using namespace sns;
using namespace sns::test;

namespace {

/// Training frames of a data set, some of whose reads give NaN.
class Poisoned : public TrainingFrames {
 public:
  Poisoned(std::unique_ptr<TrainingFrames> frames, int first, int last)
      : frames_(std::move(frames)), first_(first), last_(last) {}
  const std::string& name() const override { return frames_->name(); }
  std::string origin() const override { return frames_->origin(); }
  std::int64_t channels() const override { return frames_->channels(); }
  std::int64_t nx() const override { return frames_->nx(); }
  std::int64_t ny() const override { return frames_->ny(); }
  std::int64_t trajectories() const override { return frames_->trajectories(); }
  std::int64_t frames(std::int64_t trajectory) const override { return frames_->frames(trajectory); }
  int reads() const { return reads_; }

 protected:
  void do_read(std::int64_t trajectory, std::int64_t first, std::int64_t count, std::span<float> out,
               std::uint64_t pass) const override {
    frames_->read(trajectory, first, count, out, pass);
    const int number = reads_++;
    if (number >= first_ && number <= last_) out[0] = std::numeric_limits<float>::quiet_NaN();
  }

 private:
  std::unique_ptr<TrainingFrames> frames_;
  int first_, last_;
  mutable std::atomic<int> reads_{0};
};

/// Training frames of which a read ends this process as kill -9 does.
class Deadly : public Poisoned {
 public:
  Deadly(std::unique_ptr<TrainingFrames> frames, int nan, int last)
      : Poisoned(std::move(frames), nan, nan), last_(last) {}

 protected:
  void do_read(std::int64_t trajectory, std::int64_t first, std::int64_t count, std::span<float> out,
               std::uint64_t pass) const override {
    Poisoned::do_read(trajectory, first, count, out, pass);
    if (reads() > last_) ::kill(::getpid(), SIGKILL);
  }

 private:
  int last_;
};

/// A data set whose training reads number first to last give NaN.
TrainingSource poisoned(const std::filesystem::path& dataset, int first, int last) {
  return [=](const std::vector<double>& field_std, const std::optional<std::filesystem::path>& checkpoint) {
    TrainingData data = dataset_source(dataset, DataSplit::kDefaultBudget)(field_std, checkpoint);
    data.training = std::make_unique<Poisoned>(std::move(data.training), first, last);
    return data;
  };
}

}  // namespace

TEST_CASE("one NaN that passes is overcome by a return to the last checkpoint; NaN without end is an error") {
  ScratchFolder scratch;
  write_synthetic_dataset(scratch / "dataset");
  const auto spec = small_spec("gaussian");
  constexpr int kRead = 15 * 4 + 1;  // in step 16 of batch 4; checkpoints are at 10 and 20
  SUBCASE("one") {
    const auto result =
        train_model(spec, poisoned(scratch / "dataset", kRead, kRead), scratch / "model", cpu_run());
    CHECK(result.rollbacks == 1);
    CHECK(result.steps == 30);
    load_model(scratch / "model", Weights::raw, torch::kCPU);
    load_model(scratch / "model", Weights::ema, torch::kCPU);
    std::istringstream lines(loss_curve(scratch / "model"));
    std::string line;
    std::int64_t next = 1;
    while (std::getline(lines, line)) {
      const auto entry = nlohmann::json::parse(line);
      if (entry.contains("validation")) continue;
      CHECK(entry["step"] == next++);
      CHECK(entry["loss"].is_number());
      CHECK(entry["lr"].get<double>() == test::relative(next <= 11 ? 3e-3 : 1.5e-3));
    }
    CHECK(next == 31);
    CHECK(contains(read_text(scratch / "model/model_card.md"), "restarts after non-finite steps | 1"));
  }
  SUBCASE("without end") {
    const auto message = message_of([&] {
      train_model(spec, poisoned(scratch / "dataset", kRead, std::numeric_limits<int>::max()),
                  scratch / "model", cpu_run());
    });
    CHECK(contains(message, "not finite at step 10"));
    CHECK(contains(message, "3 restarts"));
    CHECK(contains(message, "learning_rate"));
    const auto last = scratch / "model/checkpoints/last";
    CHECK(read_training_state(last).step == 10);
    for (const auto& [name, tensor] : load_safetensors(last / "model.safetensors")) CHECK(all_finite(tensor));
    CHECK_FALSE(std::filesystem::exists(scratch / "model/model.safetensors"));
  }
}

TEST_CASE("where a run returns to after trouble does not depend on where it was stopped") {
  ScratchFolder scratch;
  write_synthetic_dataset(scratch / "dataset");
  auto spec = small_spec("gaussian");  // checkpoints are at 10 and 20
  spec.training.keep_checkpoints = 1;
  spec.training.validate_every = 4;
  const auto trained = [&](const char* folder, int steps, int poison) {
    spec.training.steps = steps;
    return train_model(spec, poisoned(scratch / "dataset", poison, poison), scratch / folder, cpu_run());
  };
  CHECK(trained("whole", 30, 15 * 4 + 1).rollbacks == 1);
  CHECK(trained("parts", 12, 1000).rollbacks == 0);
  CHECK(read_training_state(scratch / "parts/checkpoints/last").step == 12);
  CHECK(trained("parts", 30, 3 * 4 + 1).rollbacks == 1);
  CHECK(loss_curve(scratch / "parts") == loss_curve(scratch / "whole"));
  for (const char* file : {"model.safetensors", "ema.safetensors"})
    CHECK(sha256_file(scratch / "parts" / file) == sha256_file(scratch / "whole" / file));
  CHECK_FALSE(std::filesystem::exists(scratch / "parts/checkpoints/ckpt-00000012"));
}

TEST_CASE("a run whose checkpoint_every was changed returns to what there is") {
  ScratchFolder scratch;
  write_synthetic_dataset(scratch / "dataset");
  auto spec = small_spec("gaussian");
  spec.training.steps = 20;
  train_model(spec, poisoned(scratch / "dataset", 1000, 1000), scratch / "model", cpu_run());
  spec.training.steps = 30;
  spec.training.checkpoint_every = 7;  // neither 10 nor 20 is a multiple
  const auto result = train_model(spec, poisoned(scratch / "dataset", 0, 0), scratch / "model", cpu_run());
  CHECK(result.rollbacks == 1);
  CHECK(result.steps == 30);
  CHECK(std::filesystem::exists(scratch / "model/checkpoints/ckpt-00000028"));
  CHECK_FALSE(std::filesystem::exists(scratch / "model/checkpoints/ckpt-00000020"));
}

TEST_CASE("a halving of the learning rate is taken back after long enough without trouble") {
  ScratchFolder scratch;
  write_synthetic_dataset(scratch / "dataset");
  auto spec = small_spec("gaussian");
  spec.training.steps = 60;
  spec.training.checkpoint_every = 5;
  spec.training.recover_after = 12;
  constexpr int kRead = 15 * 4 + 1;  // in step 16 of batch 4; a checkpoint is at 15
  const auto source = poisoned(scratch / "dataset", kRead, kRead);
  const auto result = train_model(spec, source, scratch / "whole", cpu_run());
  CHECK(result.rollbacks == 1);
  std::istringstream lines(loss_curve(scratch / "whole"));
  std::string line;
  while (std::getline(lines, line)) {
    const auto entry = nlohmann::json::parse(line);
    if (entry.contains("validation")) continue;
    const auto step = entry["step"].get<int>();
    CAPTURE(step);
    CHECK(entry["lr"].get<double>() == test::relative(step > 15 && step <= 15 + 12 ? 1.5e-3 : 3e-3));
  }
  const auto state = read_training_state(scratch / "whole/checkpoints/last");
  CHECK(state.rollbacks == 1);
  CHECK(state.halvings == 0);

  SUBCASE("a run that is resumed under the halved rate goes on alike") {
    spec.training.steps = 20;
    train_model(spec, poisoned(scratch / "dataset", kRead, kRead), scratch / "parts", cpu_run());
    CHECK(read_training_state(scratch / "parts/checkpoints/last").halvings == 1);
    spec.training.steps = 60;
    train_model(spec, scratch / "dataset", scratch / "parts", cpu_run());
    CHECK(sha256_file(scratch / "parts/model.safetensors") == sha256_file(scratch / "whole/model.safetensors"));
  }
  SUBCASE("and so does one that was killed there") {
    const auto killed = in_child([&] {
      const TrainingSource deadly = [&](const auto& field_std, const auto& checkpoint) {
        TrainingData data =
            dataset_source(scratch / "dataset", DataSplit::kDefaultBudget)(field_std, checkpoint);
        data.training = std::make_unique<Deadly>(std::move(data.training), kRead, kRead + 9 * 4);
        return data;
      };
      train_model(spec, deadly, scratch / "killed", cpu_run());
      return 0;
    });
    REQUIRE_MESSAGE(killed.signal == SIGKILL, killed.err);
    const auto there = read_training_state(scratch / "killed/checkpoints/last");
    CHECK(there.step == 20);
    CHECK(there.rollbacks == 1);
    CHECK(there.halvings == 1);
    const auto resumed = train_model(spec, scratch / "dataset", scratch / "killed", cpu_run());
    CHECK(resumed.rollbacks == 1);
    CHECK(loss_curve(scratch / "killed") == loss_curve(scratch / "whole"));
    CHECK(sha256_file(scratch / "killed/model.safetensors") ==
          sha256_file(scratch / "whole/model.safetensors"));
    CHECK(sha256_file(scratch / "killed/ema.safetensors") == sha256_file(scratch / "whole/ema.safetensors"));
  }
}

TEST_CASE("a checkpoint knows its number of threads, and one of an older version does not") {
  ScratchFolder scratch;
  write_synthetic_dataset(scratch / "dataset");
  auto spec = small_spec("gaussian");
  spec.training.steps = 3;
  RunConfig run = cpu_run();
  run.threads = 2;
  train_model(spec, scratch / "dataset", scratch / "model", run);
  const auto file = scratch / "model/checkpoints/last/state.json";
  CHECK(read_training_state(file.parent_path()).threads == 2);
  auto json = nlohmann::ordered_json::parse(read_text(file));
  for (const char* key : {"threads", "halvings", "troubled_step"}) json.erase(key);
  json["rollbacks"] = 2;
  write_text(file, json.dump());
  const auto old = read_training_state(file.parent_path());
  CHECK(old.threads == 0);
  CHECK(old.halvings == 2);
  CHECK(old.troubled_step == 3);
}

TEST_CASE("checkpoints that the disk has no room for are foretold") {
  const ScratchFolder scratch;
  const CheckpointFolder folder(scratch / "checkpoints", 2, 10);
  CHECK(folder.disk_warning(1000, 2).empty());
  // 2e12 parameters: four numbers of 4 bytes each in a checkpoint, three checkpoints at a time, and weights
  // twice.
  const auto warning = folder.disk_warning(2'000'000'000'000, 2);
  CHECK(contains(warning, "will take up to 128 TB more"));
  CHECK(contains(warning, "training.keep_checkpoints is 2; 32 TB each"));
}

TEST_CASE("weights that overflow in an update are not saved") {
  ScratchFolder scratch;
  write_synthetic_dataset(scratch / "dataset");
  auto spec = small_spec("gaussian");
  spec.training.learning_rate = 1e40;  // the gradient is finite, the update is not
  spec.training.checkpoint_every = 1;
  const auto message =
      message_of([&] { train_model(spec, scratch / "dataset", scratch / "model", cpu_run()); });
  CHECK(contains(message, "weights are not finite at step 1"));
  CHECK(read_training_state(scratch / "model/checkpoints/last").step == 0);
  CHECK_FALSE(std::filesystem::exists(scratch / "model/best-1"));
}

TEST_CASE("training.select is honoured by a finished folder, and its card is of the weights it holds") {
  ScratchFolder scratch;
  write_synthetic_dataset(scratch / "dataset");
  auto spec = small_spec("gaussian");
  spec.training.learning_rate = 0.5;  // far too fast: the last weights are not the best
  spec.training.ema = 0.5;
  spec.training.validate_every = 1;
  const auto folder = scratch / "model";
  const auto last = train_model(spec, scratch / "dataset", folder, cpu_run());
  REQUIRE(last.best_step < last.steps);
  CHECK(last.selected_step == 30);
  const auto last_hash = sha256_file(folder / "ema.safetensors");
  CHECK(last_hash == sha256_file(folder / "checkpoints/last/ema.safetensors"));

  spec.training.select = "best";
  const auto best = train_model(spec, scratch / "dataset", folder, cpu_run());
  CHECK(best.images_per_second == 0);
  CHECK(best.selected_step == last.best_step);
  CHECK(metric(best.validation, "loss") == last.best_loss);
  CHECK(sha256_file(folder / "ema.safetensors") ==
        sha256_file(folder / fmt::format("best-{}", last.best_step) / "ema.safetensors"));
  const auto card = read_text(folder / "model_card.md");
  CHECK(contains(card, fmt::format("| selected weights | best (step {}) |", last.best_step)));
  CHECK(contains(card, fmt::format("| loss | {:.6g} |", last.best_loss)));

  spec.training.select = "last";
  const auto again = train_model(spec, scratch / "dataset", folder, cpu_run());
  CHECK(again.validation == last.validation);
  CHECK(sha256_file(folder / "ema.safetensors") == last_hash);
  CHECK(contains(read_text(folder / "model_card.md"), "| selected weights | last (step 30) |"));
}

TEST_CASE("without a validation of the longest rollouts the last weights are taken, and the card says so") {
  ScratchFolder scratch;
  write_synthetic_dataset(scratch / "dataset");
  auto spec = small_spec("gaussian");
  spec.training.rollout.max_length = 2;
  spec.training.rollout.steps_per_length = 1000;
  spec.training.select = "best";
  const auto result = train_model(spec, scratch / "dataset", scratch / "model", cpu_run());
  CHECK(result.best_step < 0);
  CHECK(result.selected_step == 30);
  CHECK(contains(read_text(scratch / "model/model_card.md"), "| selected weights | last (step 30) |"));
}

TEST_CASE("a stop before the first step of a resumed run leaves its checkpoint as it is") {
  ScratchFolder scratch;
  write_synthetic_dataset(scratch / "dataset");
  auto spec = small_spec("gaussian");
  spec.training.steps = 3;
  train_model(spec, scratch / "dataset", scratch / "model", cpu_run());
  const auto state = read_text(scratch / "model/checkpoints/last/state.json");
  spec.training.steps = 6;
  const TrainingSource stops = [&](const auto& field_std, const auto& checkpoint) {
    TrainingData data = dataset_source(scratch / "dataset", DataSplit::kDefaultBudget)(field_std, checkpoint);
    request_stop();
    return data;
  };
  CHECK_THROWS_AS(train_model(spec, stops, scratch / "model", cpu_run()), Stopped);
  reset_stop();
  CHECK(read_text(scratch / "model/checkpoints/last/state.json") == state);
}

TEST_CASE("training from nothing leaves no weights of an earlier run") {
  ScratchFolder scratch;
  write_synthetic_dataset(scratch / "dataset");
  auto spec = small_spec("gaussian");
  spec.training.steps = 3;
  train_model(spec, scratch / "dataset", scratch / "model", cpu_run());
  write_text(scratch / "model/stage.json", "{}");
  TrainOptions options;
  options.outdated = {scratch / "model/stage.json"};
  train_model(spec, scratch / "dataset", scratch / "model", cpu_run(), options);
  CHECK(std::filesystem::exists(scratch / "model/stage.json"));  // nothing was trained
  options.resume = false;
  // Data that cannot be read: what is there stays.
  CHECK_THROWS_AS(train_model(spec, scratch / "nowhere", scratch / "model", cpu_run(), options), Error);
  CHECK(std::filesystem::exists(scratch / "model/checkpoints/last/state.json"));
  spec.training.learning_rate = 1e40;
  CHECK_THROWS_AS(train_model(spec, scratch / "dataset", scratch / "model", cpu_run(), options), Error);
  for (const char* file : {"stage.json", "model.safetensors", "ema.safetensors", "model_card.md"})
    CHECK_FALSE(std::filesystem::exists(scratch / "model" / file));
}
