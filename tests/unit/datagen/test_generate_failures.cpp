// Trajectories that fail, files that are damaged, processes that meet in one folder.
#include "datagen/generate.hpp"

#include "core/error.hpp"
#include "core/files.hpp"
#include "datagen/checkpoint.hpp"
#include "datagen/frame_log.hpp"
#include "datagen/manifest.hpp"
#include "datagen/verify.hpp"
#include "tests/support/child.hpp"
#include "tests/unit/datagen/toy_data.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cmath>
#include <fstream>
#include <thread>

using namespace sns;
namespace fs = std::filesystem;

TEST_CASE("failed trajectories are recorded and left out") {
  ScratchFolder scratch;
  ToySettings settings;
  settings.fails = {{1, 40}, {5, 20}, {6, 60}};
  const DatagenPlan plan = toy_plan();
  CHECK_THROWS_WITH_AS(generate(scratch.path, settings, plan), doctest::Contains("split 'test'"), Error);
  CHECK(!fs::exists(scratch.path / "data/test/toy_000005.h5"));
  const DatasetReader train(scratch.path, "train");
  CHECK(train.trajectories() == std::vector<std::int64_t>{0, 0, 2, 2, 3, 3});
  const Manifest manifest = read_manifest(scratch.path);
  CHECK(manifest.files[0].failed.front().trajectory == 1);
  CHECK(manifest.files[0].failed.front().step == 40);
  CHECK(manifest.files[0].failed.front().reason == "told to fail");
  CHECK(manifest.files[3].failed.size() == 2);
  // The survivors are what they would have been alone.
  ToySettings healthy;
  std::vector<float> frames(static_cast<std::size_t>(plan.frames) * 16), all = expected_frames(healthy, plan);
  train.read("field_0", 2, 1, 0, plan.frames, frames);
  CHECK(std::equal(frames.begin(), frames.end(),
                   all.begin() + static_cast<std::ptrdiff_t>(4 * plan.frames * 16)));
}

TEST_CASE("failures that only a look at the frames shows are left out, single frames included") {
  for (const std::int64_t frames : {1, 21}) {
    ScratchFolder scratch;
    ToySettings settings;
    settings.silent = true;
    settings.fails = {{1, 5}, {2, 5}};
    DatagenPlan plan = toy_plan();
    plan.frames = frames;
    plan.samples_per_trajectory = 1;
    const GenerateReport report = generate(scratch.path, settings, plan);
    CHECK(report.complete);
    CHECK(report.failed == 2);
    CHECK(read_manifest(scratch.path).files[0].failed.front().reason == "seen to be NaN");
    CHECK(verify_dataset(scratch.path).problems.empty());
  }
}

TEST_CASE("an impossible initial state costs its trajectory only") {
  ScratchFolder scratch;
  ToySettings settings;
  settings.impossible = {1};
  const GenerateReport report = generate(scratch.path, settings, toy_plan());
  CHECK(report.failed == 1);
  const FailedTrajectory failed = read_manifest(scratch.path).files[0].failed.front();
  CHECK(failed.trajectory == 1);
  CHECK(failed.step == 0);
  CHECK(failed.reason == "told to be impossible");
  settings.impossible = {0, 1, 2, 3, 4, 5, 6};
  CHECK_THROWS_WITH_AS(generate(scratch.path / "none", settings, toy_plan()),
                       doctest::Contains("told to be impossible"), Error);
}

TEST_CASE("a stopped group with a failed trajectory goes on, whatever its initial state") {
  ScratchFolder scratch;
  ToySettings settings;
  settings.fails = {{1, 30}};
  const DatagenPlan plan = toy_plan();
  int calls = 0;
  settings.on_advance = [&] {
    if (++calls == 20) request_stop();
  };
  GenerateOptions options;
  options.checkpoint_seconds = 0;
  CHECK_THROWS_AS(generate(scratch.path, settings, plan, options), Stopped);
  reset_stop();
  settings.on_advance = nullptr;
  settings.impossible = {1};  // would fail if it were asked for again
  CHECK(generate(scratch.path, settings, plan, options).failed == 1);
  CHECK(read_manifest(scratch.path).files[0].failed.front().reason == "told to fail");
}

TEST_CASE("a data set that another process works on is not replaced") {
  ScratchFolder scratch;
  ToySettings settings;
  DatagenPlan plan = toy_plan();
  generate(scratch.path, settings, plan);
  GenerateOptions options;
  options.overwrite = true;
  DatagenPlan other = plan;
  other.frames = 5;
  {
    const FolderLock running(scratch.path, FolderLock::Kind::shared);
    CHECK_THROWS_WITH_AS(generate(scratch.path, settings, other, options), doctest::Contains("in use"),
                         FolderBusy);
    CHECK(generate(scratch.path, settings, plan).kept == 4);  // more hands on the same data set
  }
  CHECK(verify_dataset(scratch.path).problems.empty());
  CHECK(generate(scratch.path, settings, other, options).complete);
}

TEST_CASE("a damaged record of a finished file is made again") {
  ScratchFolder scratch;
  ToySettings settings;
  GenerateOptions half;
  half.shard = {0, 2, "test"};
  generate(scratch.path, settings, toy_plan(), half);
  for (const char* damage : {"{", "{}", "[1, 2]"}) {
    write_text(scratch.path / "partial" / "toy_000000.json", damage);
    CHECK(generate(scratch.path, settings, toy_plan(), half).kept == 2);
  }
}

TEST_CASE("checkpoints whose parts do not fit each other are damaged") {
  ScratchFolder scratch;
  const fs::path file = scratch.path / "checkpoint.h5";
  const auto read_with = [&](const std::vector<std::int64_t>& sizes, const std::vector<std::int64_t>& failed,
                             const std::vector<std::string>& reasons) {
    h5::File output = h5::File::create(file);
    const std::vector<std::uint8_t> bytes(16, 1);
    output.set_attribute("identity", "x");
    for (const char* name : {"step", "records", "extra_records"}) output.set_attribute(name, std::int64_t{0});
    output.set_attribute("sha256", sha256({reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
    output.write<std::uint8_t>("states", {bytes.size()}, bytes);
    output.write<std::int64_t>("sizes", {sizes.size()}, sizes);
    output.write<std::int64_t>("failed_step", {failed.size()}, failed);
    output.write_strings("failed_reason", reasons);
    output.close();
    return read_checkpoint(h5::File::open_read(file)).states.size();
  };
  CHECK(read_with({8, 8}, {-1, -1}, {"", ""}) == 2);
  CHECK_THROWS_WITH_AS(read_with({8, 80}, {-1, -1}, {"", ""}), doctest::Contains("damaged"), Error);
  CHECK_THROWS_WITH_AS(read_with({-8, 24}, {-1, -1}, {"", ""}), doctest::Contains("damaged"), Error);
  CHECK_THROWS_WITH_AS(read_with({8, 4}, {-1, -1}, {"", ""}), doctest::Contains("damaged"), Error);
  CHECK_THROWS_WITH_AS(read_with({8, 8}, {-1}, {"", ""}), doctest::Contains("damaged"), Error);
  CHECK_THROWS_WITH_AS(read_with({8, 8}, {-1, -1}, {""}), doctest::Contains("damaged"), Error);
}

TEST_CASE("verify finds a flipped byte wherever it is") {
  ScratchFolder scratch;
  ToySettings settings;
  generate(scratch.path, settings, toy_plan());
  const auto first_problem = [&] {
    const auto problems = verify_dataset(scratch.path).problems;
    return problems.empty() ? std::string() : problems.front().file;
  };
  for (const char* name : {"data/train/toy_000000.h5", "data/test/toy_000005.h5", "stats.yaml", "toy.yaml",
                           "README.md", "config.yaml"}) {
    const fs::path file = scratch.path / name;
    const auto size = static_cast<std::streamoff>(fs::file_size(file));
    for (const std::streamoff position : {std::streamoff{3}, size / 2, size - 2}) {
      flip_byte(file, position);
      CHECK(first_problem() == name);
      flip_byte(file, position);
    }
  }
  CHECK(first_problem().empty());
  const fs::path manifest = scratch.path / "MANIFEST.jsonl";
  const std::string text = read_text(manifest);
  for (std::size_t start = 0; start < text.size();) {
    const std::size_t end = text.find('\n', start);
    const bool last = end + 1 == text.size();
    // of the last line every byte, of the others some
    for (std::size_t at = start; at <= end; at += last ? 1 : 1 + (end - start) / 7) {
      flip_byte(manifest, static_cast<std::streamoff>(at));
      CHECK_THROWS_AS(verify_dataset(scratch.path), Error);
      flip_byte(manifest, static_cast<std::streamoff>(at));
    }
    start = end + 1;
  }
  CHECK(first_problem().empty());
  std::ofstream(scratch.path / "data/train/stranger.h5") << "x";
  CHECK(first_problem() == "data/train/stranger.h5");
}

TEST_CASE("a full disk is told apart from other failures to write") {
  FrameLog full("/dev/full", 8);  // a device that takes nothing
  const std::vector<std::byte> record(8);
  CHECK_THROWS_WITH_AS(full.append(record), "the disk is full: /dev/full stopped growing", DiskFull);
}
