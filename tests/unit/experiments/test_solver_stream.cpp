#include "tests/support/torch_doctest.hpp"

#include "core/files.hpp"
#include "core/stop.hpp"
#include "emulator/dataset.hpp"
#include "emulator/models/model.hpp"
#include "emulator/training/trainer.hpp"
#include "experiments/round_queue.hpp"
#include "experiments/solver_stream.hpp"
#include "tests/support/child.hpp"
#include "tests/unit/datagen/toy_data.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <csignal>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <thread>

using namespace sns;

namespace {

constexpr int kMembers = 3;
constexpr std::int64_t kSpinup = 13, kEvery = 3, kFrames = 5, kPause = 4;
constexpr std::size_t kFrameSize = 16;  // 8 x 8 points, coarsened by 2

DatagenPlan plan() {
  DatagenPlan plan;
  plan.seed = 3;
  plan.spinup_steps = kSpinup;
  plan.steps_per_frame = kEvery;
  plan.decorrelation_steps = kPause;
  plan.frames = kFrames;
  plan.coarsen = {2, Coarsening::spectral};
  return plan;
}

/// Frames of one trajectory from `step` on, by a solver of its own.
std::vector<float> frames_of(ToySettings& settings, std::uint64_t trajectory, std::int64_t step) {
  ToySolver solver(settings, 1);
  solver.initialise(0, trajectory);
  solver.advance(step);
  std::vector<float> frames(kFrames * kFrameSize);
  for (std::size_t f = 0; f < kFrames; ++f) {
    if (f > 0) solver.advance(kEvery);
    solver.frame(0, plan().coarsen, std::span(frames).subspan(f * kFrameSize, kFrameSize));
  }
  return frames;
}

std::vector<float> all_of(const RoundFrames& round) {
  return {round.values().begin(), round.values().end()};
}
std::vector<float> of_member(const RoundFrames& round, int member) {
  const auto frames =
      round.values().subspan(static_cast<std::size_t>(member) * kFrames * kFrameSize, kFrames * kFrameSize);
  return {frames.begin(), frames.end()};
}

/// Step at which the first frame of a round of a member that never failed is taken.
std::int64_t first_step(std::int64_t round) {
  return kSpinup + round * (kFrames * kEvery + kPause);
}

StreamEnsemble ensemble(const SolverSource& source, const DatagenPlan& of = plan()) {
  return {source, of, kMembers, 0, [] {}};
}

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "no exception";
}

}  // namespace

TEST_CASE("rounds of an ensemble are the frames of its trajectories, one after the other") {
  ToySettings settings;
  const SolverSource source = toy_source(settings);
  StreamEnsemble members = ensemble(source);
  members.spin_up();
  for (std::int64_t round = 0; round < 3; ++round) {
    CHECK(members.state().round == round);
    const auto frames = members.next_round();
    for (int m = 0; m < kMembers; ++m) {
      CAPTURE(m);
      CHECK(of_member(frames, m) == frames_of(settings, static_cast<std::uint64_t>(m), first_step(round)));
    }
  }
}

TEST_CASE("rounds take turns in the memory of those that are held no more") {
  ToySettings settings;
  const SolverSource source = toy_source(settings);
  RoundFrames last;
  std::vector<float> expected;
  {
    StreamEnsemble members = ensemble(source);
    members.spin_up();
    RoundFrames held = members.next_round();
    const std::vector<float> first = all_of(held);
    std::set<const float*> places{held.data.get()};
    for (int round = 1; round < 4; ++round) {
      last = {};
      last = members.next_round();
      places.insert(last.data.get());
    }
    CHECK(places.size() == 2);
    CHECK(all_of(held) == first);
    held = {};
    expected = frames_of(settings, 1, first_step(3));
  }
  CHECK(of_member(last, 1) == expected);  // it outlives the ensemble
}

TEST_CASE("an ensemble goes on from a saved state bit for bit, and not from another's") {
  ScratchFolder scratch;
  ToySettings settings;
  const SolverSource source = toy_source(settings);
  StreamEnsemble members = ensemble(source);
  members.spin_up();
  members.next_round();
  save_ensemble(scratch.path / "state.h5", members.state(), "me", {2.5});
  const auto second = members.next_round(), third = members.next_round();

  const SavedEnsemble saved = load_ensemble(scratch.path / "state.h5", "me");
  CHECK(saved.field_std == std::vector<double>{2.5});
  StreamEnsemble again = ensemble(source);
  again.restore(saved.state);
  CHECK(again.state().round == 1);
  CHECK(all_of(again.next_round()) == all_of(second));
  CHECK(all_of(again.next_round()) == all_of(third));
  CHECK_THROWS_WITH_AS(load_ensemble(scratch.path / "state.h5", "you"), doctest::Contains("--resume never"),
                       ConfigError);
  CHECK_THROWS_WITH_AS(load_ensemble(scratch.path / "none.h5", "me"), doctest::Contains("--resume never"),
                       ConfigError);
}

TEST_CASE("a spun-up state of the cache spares the spin-up and changes no frame") {
  ScratchFolder scratch;
  ToySettings settings;
  const SolverSource source = toy_source(settings);
  DatagenPlan cached = plan();
  cached.spinup_cache = (scratch.path / "cache").string();
  StreamEnsemble first = ensemble(source, cached), second = ensemble(source, cached);
  first.spin_up();
  int advances = 0;
  settings.on_advance = [&] { ++advances; };
  second.spin_up();
  CHECK(advances == 0);
  settings.on_advance = {};
  CHECK(all_of(first.next_round()) == all_of(second.next_round()));
}

TEST_CASE("a failed member's round is given by a fresh trajectory in its place") {
  ToySettings settings;
  const SolverSource source = toy_source(settings);
  // In the middle of round 1: its frames before the failure look right, and are not used.
  settings.fails = {{1, first_step(1) + 2 * kEvery}};
  SUBCASE("seen at once") {}
  SUBCASE("seen when the solver looks") {
    settings.silent = true;
  }
  StreamEnsemble members = ensemble(source);
  members.spin_up();
  members.next_round();
  const EnsembleState before = members.state();
  const auto round = members.next_round();
  const auto values = round.values();
  CHECK(std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); }));
  CHECK(of_member(round, 0) == frames_of(settings, 0, first_step(1)));
  CHECK(of_member(round, 1) == frames_of(settings, kMembers, kSpinup));
  CHECK(of_member(round, 2) == frames_of(settings, 2, first_step(1)));
  CHECK(members.state().trajectories == std::vector<std::uint64_t>{0, kMembers, 2});
  const auto next = members.next_round();
  CHECK(of_member(next, 1) == frames_of(settings, kMembers, first_step(1)));

  StreamEnsemble again = ensemble(source);
  again.restore(before);
  CHECK(all_of(again.next_round()) == all_of(round));
  CHECK(all_of(again.next_round()) == all_of(next));
}

TEST_CASE("initial states that cannot be advanced are replaced too; a solver that always fails is an error") {
  ToySettings settings;
  const SolverSource source = toy_source(settings);
  StreamEnsemble members = ensemble(source);
  settings.impossible = {0, 3};
  SUBCASE("two of them") {
    members.spin_up();
    const auto round = members.next_round();
    CHECK(of_member(round, 0) == frames_of(settings, 4, kSpinup));
    CHECK(of_member(round, 1) == frames_of(settings, 1, kSpinup));
  }
  SUBCASE("all") {
    for (std::uint64_t id = 0; id < 40; ++id) settings.impossible.insert(id);
    members.spin_up();
    const std::string message = message_of([&] { members.next_round(); });
    CHECK(message.find("told to be impossible") != std::string::npos);
    CHECK(message.find("cannot go on") != std::string::npos);
  }
}

TEST_CASE("a stop while a replacement is planned leaves the training time to save itself") {
  const test::ChildResult child = test::in_child([] {
    install_stop_handlers();
    ToySettings settings;
    bool training = false;
    const SolverSource source(
        [&](int members) {
          if (training) ::raise(SIGTERM);
          return std::make_unique<ToySolver>(settings, members);
        },
        "system: toy\n");
    StreamEnsemble members(source, plan(), kMembers, 0, [] { throw_if_stopped("while training"); });
    members.spin_up();
    settings.fails = {{1, kSpinup + 1}};
    training = true;
    try {
      members.next_round();
    } catch (const Stopped&) {
      return 7;  // here the trainer writes its checkpoint
    }
    return 8;
  });
  CHECK_MESSAGE(child.exit_code == 7, child.err);
}

TEST_CASE("a queue makes as many rounds ahead as it is told, and forgets what is released") {
  ToySettings settings;
  const SolverSource source = toy_source(settings);
  constexpr int kAhead = 2;
  RoundQueue queue(source, plan(), kMembers, 0, kAhead);
  queue.begin();
  const auto reached = [&](std::int64_t round) {
    try {
      queue.start_of(round);
      return true;
    } catch (const Error&) {
      return false;
    }
  };
  const auto settle = [&](std::int64_t round) {  // until it stands there, and then a while
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!reached(round) && std::chrono::steady_clock::now() < deadline)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  };
  const auto first = queue.get(0);
  settle(kAhead + 1);
  CHECK(reached(kAhead + 1));
  CHECK_FALSE(reached(kAhead + 2));
  queue.get(1);
  settle(kAhead + 2);
  CHECK(reached(kAhead + 2));
  CHECK_FALSE(reached(kAhead + 3));
  CHECK(queue.get(0) == first);
  CHECK_FALSE(queue.holds_before(0));
  CHECK(queue.holds_before(1));
  queue.release_before(1);
  CHECK_FALSE(queue.holds_before(1));
  CHECK(queue.holds_before(2));
  CHECK_FALSE(reached(0));
  CHECK_THROWS_WITH_AS(queue.get(0), doctest::Contains("given up"), Error);

  // Back to an earlier state: the same frames again.
  const auto second = queue.get(1);
  queue.restore(*second->start);
  CHECK(all_of(queue.get(1)->frames) == all_of(second->frames));
}

TEST_CASE("what ends the solver's thread reaches the reader, after the rounds that were made") {
  ToySettings settings;
  const SolverSource source = toy_source(settings);
  for (std::uint64_t id = 0; id < 40; ++id) settings.fails[id] = first_step(1);
  RoundQueue queue(source, plan(), kMembers, 0, 1);
  queue.begin();
  SUBCASE("the solver fails for good") {
    for (std::uint64_t id = kMembers; id < 40; ++id) settings.fails[id] = 1;
    CHECK(queue.get(0)->frames.size == kMembers * kFrames * kFrameSize);
    CHECK_THROWS_WITH_AS(queue.get(1), doctest::Contains("told to fail"), Error);
  }
  SUBCASE("a stop is asked for") {
    request_stop();
    CHECK_THROWS_AS(queue.get(1), Stopped);
    reset_stop();
  }
}

namespace {

StreamConfig stream_config() {
  StreamConfig stream;
  stream.members = kMembers;
  stream.frames = kFrames;
  stream.queue = 2;
  stream.validation_members = 2;
  return stream;
}

ModelSpec small_spec() {
  ModelSpec spec;
  spec.name = "gaussian";
  spec.model.kind = "gaussian";
  spec.model.network.hidden = 2;
  spec.model.network.multipliers = {1};
  spec.model.network.blocks = 1;
  spec.training = reference_training("gaussian");
  spec.training.data = "stream";
  spec.training.stream = stream_config();
  spec.training.steps = 24;
  spec.training.batch = 4;
  spec.training.learning_rate = 1e-3;
  spec.training.validate_every = 8;
  spec.training.checkpoint_every = 6;
  spec.training.validation_samples = 8;
  return spec;
}

RunConfig cpu_run() {
  RunConfig run;
  run.seed = 7;
  run.device = "cpu";
  run.threads = 1;
  return run;
}

/// Log without what depends on the clock.
std::string curve(const std::filesystem::path& folder) {
  std::istringstream lines(read_text(folder / "metrics.jsonl"));
  std::string text, line;
  while (std::getline(lines, line)) {
    auto entry = nlohmann::json::parse(line);
    entry.erase("wall");
    entry.erase("images_per_second");
    text += entry.dump() + "\n";
  }
  return text;
}

}  // namespace

TEST_CASE("streamed frames are normalised by given scales, or by those of the first round") {
  ToySettings settings;
  settings.fields = 2;
  const SolverSource source = toy_source(settings);
  const TrainingSource open = solver_stream(source, plan(), stream_config());
  const TrainingData given = open({2.0}, std::nullopt), measured = open({}, std::nullopt);
  CHECK(given.field_std == std::vector<double>{2.0, 2.0});
  CHECK(given.training->windows(2) == kMembers * (kFrames - 1));
  CHECK(given.info.hash == sha256(given.identity));
  CHECK(given.info.frame_interval == 0.25 * kEvery);
  std::vector<float> halves(kFrames * 2 * kFrameSize), scaled(halves.size());
  double sum[2] = {0, 0}, squares[2] = {0, 0};
  for (int m = 0; m < kMembers; ++m) {
    given.training->read(m, 0, kFrames, halves);
    measured.training->read(m, 0, kFrames, scaled);
    for (std::size_t i = 0; i < halves.size(); ++i) {
      const std::size_t field = i / kFrameSize % 2;
      const double physical = 2.0 * halves[i];
      sum[field] += physical;
      squares[field] += physical * physical;
      CHECK(scaled[i] == test::relative(physical / measured.field_std[field]));
    }
  }
  constexpr double kCount = kMembers * kFrames * kFrameSize;
  for (int field = 0; field < 2; ++field)
    CHECK(measured.field_std[static_cast<std::size_t>(field)] ==
          test::relative(std::sqrt(squares[field] / kCount - std::pow(sum[field] / kCount, 2))));
  CHECK_THROWS_AS(open({1.0, 2.0, 3.0}, std::nullopt), ConfigError);
}

TEST_CASE("every pass of a stream has new frames; validation frames are others and stay") {
  ToySettings settings;
  const SolverSource source = toy_source(settings);
  const TrainingData data = solver_stream(source, plan(), stream_config())({1.0}, std::nullopt);
  data.validation->prepare();
  using Frame = std::vector<float>;
  std::set<Frame> seen;
  for (std::uint64_t pass = 0; pass < 3; ++pass) {
    for (int m = 0; m < kMembers; ++m) {
      for (int f = 0; f < kFrames; ++f) {
        Frame frame(kFrameSize);
        data.training->read(m, f, 1, frame, pass);
        seen.insert(frame);
      }
    }
  }
  CHECK(seen.size() == 3 * kMembers * kFrames);
  Frame first(kFrameSize), later(kFrameSize);
  data.validation->read(0, 0, 1, first);
  CHECK_FALSE(seen.contains(first));
  data.validation->read(0, 0, 1, later, 5);
  CHECK(later == first);
}

TEST_CASE(
    "a stream may begin before the flow has settled, and pause as it likes; validation is spun up as data sets "
    "are") {
  ToySettings settings;
  const SolverSource source = toy_source(settings);
  StreamConfig early = stream_config();
  early.spinup_steps = 2;
  early.decorrelation_steps = 9;
  const TrainingData data = solver_stream(source, plan(), early)({1.0}, std::nullopt);
  const auto first_of = [](const TrainingFrames& frames, std::uint64_t pass) {
    std::vector<float> frame(kFrameSize);
    frames.read(1, 0, 1, frame, pass);
    return frame;
  };
  const auto expected = [&](std::uint64_t trajectory, std::int64_t step) {
    std::vector<float> frames = frames_of(settings, trajectory, step);
    frames.resize(kFrameSize);
    return frames;
  };
  data.training->prepare();
  data.validation->prepare();
  CHECK(first_of(*data.training, 0) == expected(kFirstStreamTrajectory + 1, 2));
  CHECK(first_of(*data.training, 1) == expected(kFirstStreamTrajectory + 1, 2 + kFrames * kEvery + 9));
  CHECK(first_of(*data.validation, 0) == expected(kFirstValidationTrajectory + 1, kSpinup));

  // Validation decides nothing but which weights are best: its spin-up has a place in the text all the same.
  DatagenPlan longer = plan();
  longer.spinup_steps = kSpinup + 1;
  const TrainingData other = solver_stream(source, longer, early)({1.0}, std::nullopt);
  CHECK(other.identity != data.identity);
  other.validation->prepare();
  CHECK(first_of(*other.validation, 0) == expected(kFirstValidationTrajectory + 1, kSpinup + 1));
}

TEST_CASE("streaming training is a function of its configuration, however often it is stopped") {
  ScratchFolder scratch;
  ToySettings settings;
  settings.fails = {{2, first_step(2)}};
  const SolverSource source = toy_source(settings);
  const ModelSpec spec = small_spec();
  const auto train = [&](const ModelSpec& what, const std::string& name) {
    return train_model(what, solver_stream(source, plan(), what.training.stream), scratch.path / name,
                       cpu_run());
  };
  const TrainResult whole = train(spec, "whole");
  CHECK(whole.steps == 24);
  CHECK(metric(whole.validation, "loss") > 0);
  auto other = spec;
  other.training.stream.queue = 1;
  train(other, "again");
  CHECK(curve(scratch.path / "again") == curve(scratch.path / "whole"));

  // A stop while the solver runs: the checkpoint of the step at hand holds its state.
  std::atomic<int> advances{0};
  settings.on_advance = [&] {
    if (++advances == 20) request_stop();
  };
  CHECK_THROWS_AS(train(spec, "parts"), Stopped);
  reset_stop();
  settings.on_advance = {};
  auto part = spec;
  part.training.steps = 16;
  train(part, "parts");
  // A round was made beyond the checkpoint, and is made again.
  train(spec, "parts");
  CHECK(curve(scratch.path / "parts") == curve(scratch.path / "whole"));
  for (const char* file : {"model.safetensors", "ema.safetensors", "config.yaml"})
    CHECK(sha256_file(scratch.path / "parts" / file) == sha256_file(scratch.path / "whole" / file));

  // A finished folder needs no solver.
  settings.on_advance = [] { fail("the solver was run"); };
  CHECK(train(spec, "whole").validation == whole.validation);
  settings.on_advance = {};

  const std::string card = read_text(scratch.path / "whole" / "model_card.md");
  const ModelConfig config = load_model_config(scratch.path / "whole" / "config.yaml");
  CHECK(card.find("rounds of 3 members, 5 frames") != std::string::npos);
  CHECK(card.find(config.data_hash) != std::string::npos);
  CHECK(card.find("spinup_steps: 13") != std::string::npos);

  other.training.stream.members = 2;
  CHECK_THROWS_WITH_AS(train(other, "whole"), doctest::Contains("--resume never"), ConfigError);
}
