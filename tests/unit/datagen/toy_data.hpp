#pragma once
// Plans and folders for the tests of datagen.
#include "core/hdf5.hpp"
#include "core/stop.hpp"
#include "datagen/generate.hpp"
#include "datagen/reader.hpp"
#include "tests/unit/datagen/toy_solver.hpp"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace sns {

/// A fresh folder below the system's temporary one, removed at the end of the test.
struct ScratchFolder {
  ScratchFolder() {
    static int count = 0;
    const std::filesystem::path memory = "/dev/shm";  // no waiting for disks
    path = (std::filesystem::is_directory(memory) ? memory : std::filesystem::temp_directory_path()) /
           fmt::format("sns-test-{}-{}", getpid(), count++);
    std::filesystem::create_directories(path);
  }
  ~ScratchFolder() {
    std::error_code code;
    std::filesystem::remove_all(path, code);
    reset_stop();
  }
  std::filesystem::path path;
};

inline SolverSource toy_source(ToySettings& settings) {
  return {[&settings](int members) { return std::make_unique<ToySolver>(settings, members); }, "system: toy\n"};
}

/// 7 trajectories of 2 windows of 21 frames in files of at most 2: more than one chunk, uneven groups.
inline DatagenPlan toy_plan() {
  DatagenPlan plan;
  plan.name = "toy";
  plan.seed = 3;
  plan.spinup_steps = 13;
  plan.steps_per_frame = 3;
  plan.frames = 21;
  plan.samples_per_trajectory = 2;
  plan.decorrelation_steps = 5;
  plan.coarsen = {2, Coarsening::spectral};
  plan.trajectories_per_file = 2;
  plan.splits = {{"train", 4}, {"valid", 1}, {"test", 2}};
  return plan;
}

/// All frames of a field of all splits, in the order of trajectories.
inline std::vector<float> all_frames(const std::filesystem::path& folder,
                                     const std::string& field = "field_0") {
  std::vector<float> values;
  for (const char* split : {"train", "valid", "test"}) {
    if (!std::filesystem::exists(folder / "data" / split)) continue;
    const DatasetReader reader(folder, split);
    const std::size_t size =
        static_cast<std::size_t>(reader.samples() * reader.frames()) * h5::element_count(reader.grid());
    values.resize(values.size() + size);
    reader.read(field, 0, reader.samples(), 0, reader.frames(), std::span(values).last(size));
  }
  return values;
}

inline GenerateReport generate(const std::filesystem::path& folder, ToySettings& settings,
                               const DatagenPlan& plan, GenerateOptions options = {}) {
  const SolverSource source = toy_source(settings);
  return generate_dataset(plan, source, folder, options);
}

/// What the data set must hold, from a toy solver run trajectory by trajectory.
inline std::vector<float> expected_frames(ToySettings settings, const DatagenPlan& plan) {
  settings.on_advance = nullptr;
  std::vector<float> values;
  for (std::int64_t t = 0; t < plan.trajectories(); ++t) {
    ToySolver solver(settings, 1);
    solver.initialise(0, plan.first_trajectory + static_cast<std::uint64_t>(t));
    const std::size_t size = solver.frame_size(plan.coarsen.factor);
    for (std::int64_t record = 0; record < plan.records(); ++record) {
      solver.advance(plan.step_of(record) - solver.step(0));
      values.resize(values.size() + size);
      solver.frame(0, plan.coarsen, std::span(values).last(size));
    }
  }
  return values;
}

/// Changes one bit of a file.
inline void flip_byte(const std::filesystem::path& file, std::streamoff position) {
  std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
  stream.seekg(position);
  const int byte = stream.get();
  stream.seekp(position);
  stream.put(static_cast<char>(byte ^ 0x10));
}

}  // namespace sns
