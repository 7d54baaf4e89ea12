#pragma once
// Rollouts of made-up frames for the tests of the rollout engine.
#include "core/hdf5.hpp"
#include "core/random.hpp"
#include "experiments/rollout.hpp"

#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <utility>
#include <vector>

namespace sns::test {

inline std::vector<float> random_frames(std::int64_t count, std::int64_t points) {
  std::vector<float> out(static_cast<std::size_t>(count * points * points));
  RandomStream(3, Purpose::initial_condition).fill_normal(out);
  return out;
}

inline RolloutJob job_for(const std::filesystem::path& output, std::int64_t steps,
                          std::vector<std::int64_t> ids, std::int64_t points = 8) {
  RolloutJob job;
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

inline std::vector<float> frames(const std::filesystem::path& file) {
  return h5::File::open_read(file).dataset("vorticity").read<float>();
}

/// Resident set of this process, bytes.
inline std::int64_t resident() {
  std::ifstream in("/proc/self/statm");
  std::int64_t total = 0, pages = 0;
  in >> total >> pages;
  return pages * sysconf(_SC_PAGESIZE);
}

}  // namespace sns::test
