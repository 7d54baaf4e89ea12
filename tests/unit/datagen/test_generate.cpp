#include "datagen/generate.hpp"

#include "core/error.hpp"
#include "core/files.hpp"
#include "datagen/group_run.hpp"
#include "datagen/manifest.hpp"
#include "datagen/spinup_cache.hpp"
#include "datagen/verify.hpp"
#include "tests/support/child.hpp"
#include "tests/support/relative.hpp"
#include "tests/unit/datagen/toy_data.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <thread>

using namespace sns;
namespace fs = std::filesystem;

TEST_CASE("a run begins with one step and reaches its pace, also where calls end at frames") {
  StepPacer fresh;
  CHECK(fresh.steps() == 1);
  fresh.took(1, 0);  // of a device that has not begun yet
  CHECK(fresh.steps() == 2);
  fresh.took(2, 1.0);
  CHECK(fresh.steps() == 1);
  for (std::int64_t frame = 1; frame <= 200; ++frame) {
    CAPTURE(frame);
    StepPacer pacer;
    std::int64_t step = 0;
    for (int call = 0; call < 500; ++call) {
      const std::int64_t steps = std::min(pacer.steps(), frame - step % frame);
      pacer.took(steps, 1e-6 * static_cast<double>(steps));
      step += steps;
    }
    CHECK(pacer.steps() >= frame);
  }
}

TEST_CASE("frames are the solver's states, whatever the batch") {
  const DatagenPlan plan = toy_plan();
  for (const int threads : {1, 3, 16}) {
    ScratchFolder scratch;
    ToySettings settings;
    GenerateOptions options;
    options.threads = threads;
    const auto report = generate(scratch.path, settings, plan, options);
    CHECK(report.complete);
    CHECK(report.written == 4);
    CHECK(settings.largest_batch == (threads == 1 ? 2 : threads == 3 ? 4 : 7));
    CHECK(all_frames(scratch.path) == expected_frames(settings, plan));
    CHECK(!fs::exists(scratch.path / "partial"));
    CHECK(verify_dataset(scratch.path).problems.empty());
  }
}

TEST_CASE("several fields, deflate and first trajectory") {
  ScratchFolder scratch;
  ToySettings settings;
  settings.fields = 2;
  DatagenPlan plan = toy_plan();
  plan.first_trajectory = 1000000;
  plan.splits = {{"test", 3}};
  plan.deflate = true;
  generate(scratch.path, settings, plan);
  const DatasetReader reader(scratch.path, "test");
  CHECK(reader.fields() == std::vector<std::string>{"field_0", "field_1"});
  CHECK(reader.samples() == 6);
  CHECK(reader.trajectories() ==
        std::vector<std::int64_t>{1000000, 1000000, 1000001, 1000001, 1000002, 1000002});
  const auto expected = expected_frames(settings, plan);
  std::vector<float> second(16);
  reader.read("field_1", 3, 1, 7, 1, second);  // trajectory 1000001, second window, frame 7
  const std::size_t offset = static_cast<std::size_t>(3 * plan.frames + 7) * 32 + 16;
  CHECK(std::equal(second.begin(), second.end(), expected.begin() + static_cast<std::ptrdiff_t>(offset)));
  CHECK(verify_dataset(scratch.path).problems.empty());
}

TEST_CASE("a finished data set is left alone, and a lost file is made again") {
  ScratchFolder scratch;
  ToySettings settings;
  const DatagenPlan plan = toy_plan();
  generate(scratch.path, settings, plan);
  const auto before = all_frames(scratch.path);
  const std::string hash = read_manifest(scratch.path).data_hash;
  const auto time = fs::last_write_time(scratch.path / "MANIFEST.jsonl");
  CHECK(generate(scratch.path, settings, plan).kept == 4);
  CHECK(fs::last_write_time(scratch.path / "MANIFEST.jsonl") == time);
  fs::remove(scratch.path / "data/test/toy_000005.h5");
  CHECK(verify_dataset(scratch.path).problems.size() == 1);
  const auto report = generate(scratch.path, settings, plan);
  CHECK(report.written == 1);
  CHECK(all_frames(scratch.path) == before);
  CHECK(read_manifest(scratch.path).data_hash == hash);
  CHECK(verify_dataset(scratch.path).problems.empty());
}

TEST_CASE("shards in any order make the same data set") {
  ScratchFolder scratch;
  ToySettings settings;
  const DatagenPlan plan = toy_plan();
  for (const int index : {2, 0, 1}) {
    GenerateOptions options;
    options.shard = {index, 3, "test"};
    CHECK(generate(scratch.path, settings, plan, options).complete == (index == 1));
  }
  CHECK(all_frames(scratch.path) == expected_frames(settings, plan));
  CHECK(verify_dataset(scratch.path).problems.empty());
}

TEST_CASE("a data set that another process finishes meanwhile is finished") {
  ScratchFolder scratch;
  ToySettings settings;
  const DatagenPlan plan = toy_plan();
  generate(scratch.path / "other", settings, plan);
  int calls = 0;
  settings.on_advance = [&] {
    if (++calls != 5) return;
    // What a process that makes the last file does: files and manifest are there, and partial/ goes.
    fs::copy(scratch.path / "other", scratch.path / "ours",
             fs::copy_options::recursive | fs::copy_options::overwrite_existing);
    fs::remove_all(scratch.path / "ours" / "partial");
  };
  GenerateOptions options;
  options.checkpoint_seconds = 0;
  const GenerateReport report = generate(scratch.path / "ours", settings, plan, options);
  CHECK(report.complete);
  CHECK(report.elsewhere == 0);
  CHECK(verify_dataset(scratch.path / "ours").problems.empty());
  // The same disturbance is an error where the data set is not finished.
  calls = 0;
  settings.on_advance = [&] {
    if (++calls == 5) fs::remove_all(scratch.path / "third" / "partial");
  };
  CHECK_THROWS_AS(generate(scratch.path / "third", settings, plan, options), Error);
}

TEST_CASE("a stop or a crash at any moment changes nothing") {
  const DatagenPlan plan = toy_plan();
  for (const bool crash : {false, true}) {
    for (const int period : {2, 3, 4}) {
      ScratchFolder scratch;
      ToySettings settings;
      int calls = 0, runs = 0;
      settings.on_advance = [&] {
        if (++calls % period != 0) return;
        if (crash) throw std::runtime_error("crash");
        request_stop();
      };
      GenerateOptions options;
      options.checkpoint_seconds = 0;
      options.threads = 4;
      bool complete = false;
      while (!complete) {
        REQUIRE(++runs < 2000);
        try {
          complete = generate(scratch.path, settings, plan, options).complete;
        } catch (const Stopped&) {
          reset_stop();
        } catch (const std::runtime_error& error) {
          REQUIRE(std::string(error.what()) == "crash");
        }
      }
      CHECK(runs > 1);
      CHECK(all_frames(scratch.path) == expected_frames(settings, plan));
      CHECK(verify_dataset(scratch.path).problems.empty());
    }
  }
}

TEST_CASE("a stop or a crash between two frames of a window changes nothing") {
  DatagenPlan plan = toy_plan();
  plan.spinup_steps = 1;  // one call: a run begins with one step
  plan.steps_per_frame = 16;
  for (const bool crash : {false, true}) {
    ScratchFolder scratch;
    ToySettings settings;
    int calls = 0;
    settings.on_advance = [&] {
      ++calls;
      // The spin-up looks so slow that a frame is not advanced in one go; then comes the end.
      if (calls == 1) std::this_thread::sleep_for(std::chrono::milliseconds(300));
      if (!crash && calls == 2) request_stop();
      if (crash && calls == 3) throw std::runtime_error("crash");
    };
    GenerateOptions options;
    options.checkpoint_seconds = 0;
    CHECK_THROWS(generate(scratch.path, settings, plan, options));
    const fs::path file = scratch.path / "partial" / "toy_000000" / "checkpoint.h5";
    const Checkpoint checkpoint = read_checkpoint(h5::File::open_read(file));
    REQUIRE(checkpoint.records == 1);
    REQUIRE(checkpoint.step > plan.step_of(0));
    REQUIRE(checkpoint.step < plan.step_of(1));
    reset_stop();
    settings.on_advance = nullptr;
    CHECK(generate(scratch.path, settings, plan, options).complete);
    CHECK(all_frames(scratch.path) == expected_frames(settings, plan));
  }
}

TEST_CASE("a disk that just holds the frames twice is large enough, and so is the rest of it after a stop") {
  const test::ChildResult child = test::in_child([] {
    ScratchFolder scratch;
    constexpr std::int64_t kFrames = 400, kBytes = kFrames * 32 * 32 * 4;
    if (!test::mount_small_disk(scratch.path, kBytes * 5 / 2)) return 77;
    ToySettings settings;
    settings.points = 32;
    DatagenPlan plan = toy_plan();
    plan.coarsen = {};
    plan.frames = kFrames;
    plan.samples_per_trajectory = 1;
    plan.trajectories_per_file = 8;
    plan.splits = {{"test", 1}};
    const fs::path log = scratch.path / "partial" / "toy_000000" / "toy_000000.frames";
    settings.on_advance = [&] {
      if (fs::file_size(log) > kBytes * 3 / 4) request_stop();
    };
    try {
      generate(scratch.path, settings, plan);
    } catch (const Stopped&) {
      reset_stop();
      settings.on_advance = nullptr;
      return generate(scratch.path, settings, plan).complete ? 0 : 1;
    }
    return 2;  // not stopped
  });
  if (child.exit_code == 77) {
    MESSAGE("skipped: this system lets no test mount a small disk");
    return;
  }
  CHECK_MESSAGE(child.exit_code == 0, child.err);
}

TEST_CASE("another configuration is refused, unless it is to be replaced") {
  ScratchFolder scratch;
  ToySettings settings;
  DatagenPlan plan = toy_plan();
  generate(scratch.path, settings, plan);
  plan.frames = 5;
  CHECK_THROWS_WITH_AS(generate(scratch.path, settings, plan),
                       doctest::Contains("there: frames: 21; now: frames: 5"), ConfigError);
  GenerateOptions options;
  options.overwrite = true;
  write_text(scratch.path / "stage.json", "{}");  // an experiment's record of the data set that is replaced
  CHECK(generate(scratch.path, settings, plan, options).written == 4);
  CHECK(!fs::exists(scratch.path / "stage.json"));
  CHECK(all_frames(scratch.path) == expected_frames(settings, plan));
  plan.name = "other";
  CHECK(generate(scratch.path, settings, plan, options).written == 4);
  CHECK(fs::exists(scratch.path / "other.yaml"));
  CHECK(!fs::exists(scratch.path / "toy.yaml"));
  CHECK(verify_dataset(scratch.path).problems.empty());
}

TEST_CASE("scalars are what tells data sets apart, the solver's other constants are attributes") {
  ScratchFolder scratch;
  ToySettings settings;
  generate(scratch.path, settings, toy_plan());
  const h5::File file = h5::File::open_read(scratch.path / "data/train/toy_000000.h5");
  const std::vector<std::string> expected{"rate", "dt", "save_interval", "nx_solver", "downsample"};
  CHECK(file.attribute<std::vector<std::string>>("simulation_parameters") == expected);
  const h5::Group scalars = file.group("scalars");
  CHECK(scalars.attribute<std::vector<std::string>>("field_names") == expected);
  CHECK(scalars.names().size() == expected.size());
  for (const std::string& name : expected)
    CHECK(scalars.dataset(name).read<float>().at(0) == static_cast<float>(file.attribute<double>(name)));
  CHECK(file.attribute<double>("points") == settings.points);
}

TEST_CASE("metadata describe the files") {
  ScratchFolder scratch;
  ToySettings settings;
  settings.fields = 2;
  generate(scratch.path, settings, toy_plan());
  const std::string text = read_text(scratch.path / "toy.yaml");
  for (const char* line :
       {"dataset_name: toy\n", "n_spatial_dims: 2\n", "spatial_resolution: [4, 4]\n",
        "constant_scalar_names: [rate, dt, save_interval, nx_solver, downsample]\n",
        "  0: [field_0, field_1]\n", "n_files: 4\n", "n_trajectories_per_file: [4, 4, 2, 4]\n",
        "n_steps_per_trajectory: [21, 21, 21, 21]\n"}) {
    CAPTURE(line);
    CHECK(text.find(line) != std::string::npos);
  }
}

TEST_CASE("statistics are those of the train split") {
  ScratchFolder scratch;
  ToySettings settings;
  const DatagenPlan plan = toy_plan();
  generate(scratch.path, settings, plan);
  const DatasetReader reader(scratch.path, "train");
  std::vector<float> v(static_cast<std::size_t>(reader.samples() * reader.frames()) * 16);
  reader.read("field_0", 0, reader.samples(), 0, reader.frames(), v);
  double mean = 0, square = 0, delta = 0, delta_square = 0, deltas = 0;
  const std::size_t frames = static_cast<std::size_t>(plan.frames);
  for (std::size_t i = 0; i < v.size(); ++i) {
    mean += v[i];
    square += static_cast<double>(v[i]) * v[i];
    if (i / 16 % frames == 0) continue;
    const double d = static_cast<double>(v[i]) - v[i - 16];
    delta += d;
    delta_square += d * d;
    ++deltas;
  }
  const double n = static_cast<double>(v.size());
  const FieldStatistics s = training_statistics(read_manifest(scratch.path).files).first.at("field_0");
  CHECK(s.value.count == n);
  CHECK(s.value.mean == test::relative(mean / n).epsilon(1e-12));
  CHECK(s.value.root_mean_square() == test::relative(std::sqrt(square / n)).epsilon(1e-12));
  CHECK(s.delta.count == deltas);
  CHECK(s.delta.mean == test::relative(delta / deltas).epsilon(1e-5));
  CHECK(s.delta.root_mean_square() == test::relative(std::sqrt(delta_square / deltas)).epsilon(1e-6));
  const std::string yaml = read_text(scratch.path / "stats.yaml");
  for (const char* key : {"mean:", "std:", "rms:", "mean_delta:", "std_delta:", "rms_delta:"}) {
    CHECK(yaml.find(std::string("\n") + key) != std::string::npos);
  }
}

TEST_CASE("spun-up states are kept, reused and change nothing") {
  ScratchFolder plain, cached;
  ToySettings settings;
  DatagenPlan plan = toy_plan();
  generate(plain.path, settings, plan);
  plan.spinup_cache = (cached.path / "states").string();
  generate(cached.path / "a", settings, plan);
  CHECK(all_frames(cached.path / "a") == all_frames(plain.path));

  // Another data set of the same trajectories starts from them.
  DatagenPlan longer = plan;
  longer.name = "longer";
  longer.spinup_steps = plan.spinup_steps + 4;
  longer.frames = 2;
  longer.samples_per_trajectory = 1;
  const auto expected = expected_frames(settings, longer);
  const SolverSource source = toy_source(settings);
  generate_dataset(longer, source, cached.path / "b", {});
  CHECK(all_frames(cached.path / "b") == expected);
  const SpinupCache cache(longer.spinup_cache, longer, source.info(), source.yaml());
  for (const TrajectoryGroup& group : longer.groups()) {
    REQUIRE(cache.find(group, 16));
    CHECK(cache.find(group, 16)->step == 13);
    CHECK(cache.find(group, 17)->step == 17);
    CHECK(!cache.find(group, 12));
  }
  DatagenPlan reseeded = longer;
  reseeded.seed = 4;
  CHECK(!SpinupCache(longer.spinup_cache, reseeded, source.info(), source.yaml()).find(longer.groups()[0], 17));
  // A spin-up shorter than what is kept starts at the beginning, and so does one whose states are damaged.
  DatagenPlan shorter = longer;
  shorter.spinup_steps = 5;
  generate(cached.path / "c", settings, shorter);
  CHECK(all_frames(cached.path / "c") == expected_frames(settings, shorter));
  for (const auto& file : fs::recursive_directory_iterator(cached.path / "states"))
    if (file.is_regular_file()) flip_byte(file.path(), static_cast<std::streamoff>(file.file_size() / 2));
  generate(cached.path / "d", settings, longer);
  CHECK(all_frames(cached.path / "d") == expected);
  // The damaged ones have been replaced.
  for (const TrajectoryGroup& group : longer.groups()) {
    REQUIRE(cache.find(group, 17));
    CHECK(cache.find(group, 17)->step == 17);
  }
}

TEST_CASE("memory does not grow with the number of frames") {
#if defined(__SANITIZE_ADDRESS__)
  MESSAGE("skipped: the sanitizer keeps freed memory");
#else
  /// Peak resident size of a process that makes and verifies so many frames of 4 kB [kB].
  const auto peak = [](std::int64_t frames) {
    const test::ChildResult child = test::in_child([&] {
      ScratchFolder scratch;
      ToySettings settings;
      settings.points = 32;
      DatagenPlan plan = toy_plan();
      plan.coarsen = {};
      plan.splits = {{"test", 1}};
      plan.samples_per_trajectory = 1;
      plan.steps_per_frame = 1;
      plan.frames = frames;
      generate(scratch.path, settings, plan);
      require(verify_dataset(scratch.path).bytes > static_cast<std::uint64_t>(4096 * frames), "too few frames");
      std::ifstream status("/proc/self/status");
      std::string word;
      while (status >> word && word != "VmHWM:") {
      }
      status >> word;
      std::printf("%s", word.c_str());
      return 0;
    });
    REQUIRE_MESSAGE(child.exit_code == 0, child.err);
    return std::stol(child.out);
  };
  constexpr long kRoom = 4000;  // kB, a tenth of what the long run writes
  CHECK(peak(10000) < peak(500) + kRoom);
#endif
}
