#include "tests/support/torch_doctest.hpp"

#include "core/error.hpp"
#include "core/files.hpp"
#include "emulator/training/checkpoint.hpp"
#include "emulator/training/metrics.hpp"
#include "tests/support/scratch.hpp"

#include <torch/nn/modules/linear.h>

#include <cmath>
#include <limits>
#include <set>

using namespace sns;
using namespace sns::test;

namespace {

/// A layer in the middle of being trained.
struct Trained {
  explicit Trained(std::uint64_t seed, int updates) {
    torch::manual_seed(seed);
    layer = torch::nn::Linear(4, 3);
    parameters = std::make_unique<FlatParameters>(*layer);
    ema = std::make_unique<Ema>(*layer, 0.9);
    optimizer = std::make_unique<AdamW>(*parameters, 0.01);
    for (int i = 0; i < updates; ++i) update();
  }
  void update() {
    parameters->zero_gradients();
    layer->forward(torch::ones({2, 4})).square().sum().backward();
    optimizer->step(0.01);
    ema->update();
  }
  torch::nn::Linear layer{nullptr};
  std::unique_ptr<FlatParameters> parameters;
  std::unique_ptr<Ema> ema;
  std::unique_ptr<AdamW> optimizer;
};

std::set<std::string> names(const std::filesystem::path& folder) {
  std::set<std::string> found;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) found.insert(entry.path().filename());
  return found;
}

TrainingState state_at(std::int64_t step) {
  TrainingState state;
  state.step = step;
  state.identity = "a: 1\nb: 2";
  return state;
}

}  // namespace

TEST_CASE("a checkpoint restores everything that later updates depend on") {
  ScratchFolder scratch;
  CheckpointFolder checkpoints(scratch / "checkpoints", 2, 1);
  CHECK_FALSE(checkpoints.latest().has_value());
  Trained original(1, 5), copy(2, 0);
  auto state = state_at(5);
  state.best_loss = 0.1;
  state.best_step = 4;
  state.rollbacks = 1;
  state.learning_rate = 1.0 / 3;
  checkpoints.save(state, *original.parameters, *original.ema, *original.optimizer);
  REQUIRE(checkpoints.latest().has_value());
  const auto read = read_training_state(*checkpoints.latest());
  CHECK(read.step == 5);
  CHECK(read.best_loss == 0.1);
  CHECK(read.best_step == 4);
  CHECK(read.rollbacks == 1);
  CHECK(read.learning_rate == 1.0 / 3);
  CHECK(read.identity == state.identity);
  load_checkpoint(*checkpoints.latest(), *copy.parameters, *copy.ema, *copy.optimizer);
  original.update();
  copy.update();
  CHECK(torch::equal(original.layer->weight, copy.layer->weight));
  CHECK(torch::equal(original.layer->bias, copy.layer->bias));
  CHECK(torch::equal(original.ema->shadow()[0].second, copy.ema->shadow()[0].second));
}

TEST_CASE("the newest checkpoints stay, and `last` names the newest") {
  ScratchFolder scratch;
  CheckpointFolder checkpoints(scratch.path(), 2, 1);
  Trained model(1, 1);
  for (const int step : {0, 10, 20, 30}) {
    checkpoints.save(state_at(step), *model.parameters, *model.ema, *model.optimizer);
  }
  CHECK(names(scratch.path()) == std::set<std::string>{"ckpt-00000020", "ckpt-00000030", "last"});
  CHECK(read_training_state(*checkpoints.latest()).step == 30);
  // After a return to step 20 the run saves step 25: what was later is gone.
  checkpoints.save(state_at(25), *model.parameters, *model.ema, *model.optimizer);
  CHECK(read_training_state(*checkpoints.latest()).step == 25);
  CHECK(names(scratch.path()) == std::set<std::string>{"ckpt-00000020", "ckpt-00000025", "last"});
  // The same step again replaces the checkpoint.
  checkpoints.save(state_at(25), *model.parameters, *model.ema, *model.optimizer);
  CHECK(names(scratch.path()).size() == 3);
}

TEST_CASE("what a killed process left half written is ignored and removed") {
  ScratchFolder scratch;
  Trained model(1, 1);
  {
    CheckpointFolder checkpoints(scratch.path(), 2, 1);
    checkpoints.save(state_at(7), *model.parameters, *model.ema, *model.optimizer);
  }
  std::filesystem::create_directory(scratch / "ckpt-00000009.tmp");
  std::filesystem::remove(scratch / "last");
  std::filesystem::create_directory_symlink("ckpt-00000008", scratch / "last");  // dangling
  CheckpointFolder reopened(scratch.path(), 2, 1);
  CHECK_FALSE(std::filesystem::exists(scratch / "ckpt-00000009.tmp"));
  REQUIRE(reopened.latest().has_value());
  CHECK(read_training_state(*reopened.latest()).step == 7);
}

TEST_CASE("a checkpoint of which a killed process removed a part does not count") {
  ScratchFolder scratch;
  std::filesystem::create_directories(scratch / "ckpt-00000002");
  write_text(scratch / "ckpt-00000002/state.json", "{}");
  std::filesystem::create_directories(scratch / "ckpt-00000004");
  write_text(scratch / "ckpt-00000004/model.safetensors", "");
  CheckpointFolder folder(scratch.path(), 1, 2);
  CHECK(folder.latest() == scratch / "ckpt-00000002");
  folder.clear();
  CHECK_FALSE(folder.latest());
  CHECK_FALSE(std::filesystem::exists(scratch / "ckpt-00000002"));
  CHECK_FALSE(std::filesystem::exists(scratch / "ckpt-00000002.tmp"));
}

TEST_CASE("a process killed while it replaced its only checkpoint leaves that checkpoint") {
  ScratchFolder scratch;
  Trained model(1, 1);
  {
    CheckpointFolder checkpoints(scratch.path(), 1, 1);
    checkpoints.save(state_at(7), *model.parameters, *model.ema, *model.optimizer);
  }
  // Between the two renames of a second save of step 7: the old one moved away, the new one not yet in place.
  const auto checkpoint = scratch / "ckpt-00000007";
  std::filesystem::rename(checkpoint, scratch / "ckpt-00000007.old.tmp");
  std::filesystem::create_directory(scratch / "ckpt-00000007.tmp");
  {
    CheckpointFolder reopened(scratch.path(), 1, 1);
    REQUIRE(reopened.latest().has_value());
    CHECK(read_training_state(*reopened.latest()).step == 7);
    CHECK(names(scratch.path()) == std::set<std::string>{"ckpt-00000007", "last"});
  }
  // After the second rename: the new one is there, the old one goes.
  std::filesystem::create_directory(scratch / "ckpt-00000007.old.tmp");
  CheckpointFolder again(scratch.path(), 1, 1);
  CHECK(read_training_state(*again.latest()).step == 7);
  CHECK(names(scratch.path()) == std::set<std::string>{"ckpt-00000007", "last"});
}

TEST_CASE("in a copy that followed its links, `last` is a folder: it is read, replaced and cleared") {
  ScratchFolder scratch;
  Trained model(1, 1);
  {
    CheckpointFolder original(scratch / "run", 2, 1);
    original.save(state_at(7), *model.parameters, *model.ema, *model.optimizer);
  }
  std::filesystem::create_directory(scratch / "copy");
  std::filesystem::copy(scratch / "run/ckpt-00000007", scratch / "copy/ckpt-00000007",
                        std::filesystem::copy_options::recursive);
  std::filesystem::copy(scratch / "run/ckpt-00000007", scratch / "copy/last",
                        std::filesystem::copy_options::recursive);
  CheckpointFolder copy(scratch / "copy", 2, 1);
  CHECK(read_training_state(*copy.latest()).step == 7);
  SUBCASE("saved to") {
    copy.save(state_at(9), *model.parameters, *model.ema, *model.optimizer);
    CHECK(std::filesystem::is_symlink(scratch / "copy/last"));
    CHECK(read_training_state(*copy.latest()).step == 9);
  }
  SUBCASE("cleared") {
    copy.clear();
    CHECK_FALSE(copy.latest().has_value());
  }
}

TEST_CASE("a checkpoint holds what the source of the samples adds, and the metrics of the validation") {
  ScratchFolder scratch;
  CheckpointFolder checkpoints(scratch.path(), 1, 1);
  Trained model(1, 1);
  auto state = state_at(4);
  state.validated_step = 4;
  state.validation = {{"loss", 1.0 / 3}, {"a", std::numeric_limits<double>::infinity()}};
  state.best_validation = {{"loss", 0.1}};
  checkpoints.save(state, *model.parameters, *model.ema, *model.optimizer,
                   [](const std::filesystem::path& folder) { write_text(folder / "more", "of it"); });
  CHECK(read_text(*checkpoints.latest() / "more") == "of it");
  const auto read = read_training_state(*checkpoints.latest());
  CHECK(read.validated_step == 4);
  CHECK(read.validation[0] == std::pair<std::string, double>("loss", 1.0 / 3));
  CHECK(std::isnan(read.validation[1].second));
  CHECK(read.best_validation == state.best_validation);
}

TEST_CASE("damaged checkpoints give one clear line") {
  ScratchFolder scratch;
  CheckpointFolder checkpoints(scratch.path(), 2, 1);
  Trained model(1, 1);
  checkpoints.save(state_at(1), *model.parameters, *model.ema, *model.optimizer);
  const auto folder = *checkpoints.latest();
  const auto load = [&] { load_checkpoint(folder, *model.parameters, *model.ema, *model.optimizer); };
  SUBCASE("truncated tensors") {
    std::filesystem::resize_file(folder / "optimizer.safetensors", 60);
    CHECK(contains(message_of(load), "optimizer.safetensors"));
  }
  SUBCASE("tensors of another model") {
    torch::nn::Linear other(7, 3);
    FlatParameters parameters(*other);
    Ema ema(*other, 0.9);
    AdamW optimizer(parameters, 0);
    CHECK(contains(message_of([&] { load_checkpoint(folder, parameters, ema, optimizer); }), "another shape"));
  }
  SUBCASE("damaged state") {
    write_text(folder / "state.json", "{\"step\": ");
    CHECK(contains(message_of([&] { read_training_state(folder); }), "--resume never"));
  }
}

TEST_CASE("a log is cut back to the step that a run resumes from") {
  ScratchFolder scratch;
  const auto file = scratch / "metrics.jsonl";
  truncate_log(file, 3);
  CHECK_FALSE(std::filesystem::exists(file));
  write_text(
      file,
      "{\"step\": 1}\n{\"step\": 2}\n{\"step\": 2, \"validation\": {}}\n{\"step\": 3}\n{\"step\": 4, \"lo");
  truncate_log(file, 2);
  CHECK(read_text(file) == "{\"step\": 1}\n{\"step\": 2}\n{\"step\": 2, \"validation\": {}}\n");
}

TEST_CASE("metrics keep their digits") {
  CHECK(to_json({{"step", 12}, {"loss", 0.1}, {"bad", std::numeric_limits<double>::quiet_NaN()}}) ==
        "{\"step\": 12, \"loss\": 0.1, \"bad\": null}");
}
