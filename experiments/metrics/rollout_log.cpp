#include "experiments/metrics/rollout_log.hpp"

#include "core/error.hpp"
#include "core/hdf5.hpp"
#include "experiments/metrics/member_record.hpp"

#include <algorithm>
#include <limits>

namespace sns::metrics {
namespace {

constexpr std::int64_t kChunk = 4096;  // steps read at a time

void count_level(std::vector<std::int64_t>& histogram, std::int32_t level) {
  const auto i = static_cast<std::size_t>(level);
  if (histogram.size() <= i) histogram.resize(i + 1, 0);
  ++histogram[i];
}

struct LevelSums {
  double sum[2] = {0, 0};
  std::int64_t count[2] = {0, 0};
};

void read_levels(const h5::Dataset& levels, RolloutLog& log, const std::vector<Window>& windows) {
  std::vector<std::int32_t> values;
  for (const Window& window : windows) {
    LevelSums sums;
    for (std::int64_t m = 0; m < log.members; ++m)
      for (std::int64_t first = window.first; first <= window.last; first += kChunk) {
        const std::int64_t count = std::min(kChunk, window.last - first + 1);
        values.resize(static_cast<std::size_t>(2 * count));
        levels.read_slab<std::int32_t>({static_cast<std::uint64_t>(m), static_cast<std::uint64_t>(first), 0},
                                       {1, static_cast<std::uint64_t>(count), 2}, values);
        for (std::size_t i = 0; i < values.size(); ++i) {
          if (values[i] < 0) continue;
          count_level(i % 2 == 0 ? log.past_levels : log.present_levels, values[i]);
          sums.sum[i % 2] += values[i];
          ++sums.count[i % 2];
        }
      }
    const auto average = [&](int i) {
      return sums.count[i] > 0 ? sums.sum[i] / static_cast<double>(sums.count[i])
                               : std::numeric_limits<double>::quiet_NaN();
    };
    log.past_by_window.push_back(average(0));
    log.present_by_window.push_back(average(1));
  }
}

void read_evaluations(const h5::Dataset& evaluations, RolloutLog& log) {
  std::vector<std::int64_t> values;
  std::array<std::int64_t, 3> sums{0, 0, 0};
  for (std::size_t m = 0; m < log.work.size(); ++m) {
    auto& of_member = log.work[m].evaluations;
    for (std::int64_t first = 1; first <= log.steps; first += kChunk) {
      const std::int64_t count = std::min(kChunk, log.steps - first + 1);
      values.resize(static_cast<std::size_t>(3 * count));
      evaluations.read_slab<std::int64_t>({m, static_cast<std::uint64_t>(first), 0},
                                          {1, static_cast<std::uint64_t>(count), 3}, values);
      for (std::size_t i = 0; i < values.size(); ++i) of_member[i % 3] += values[i];
    }
    for (std::size_t i = 0; i < 3; ++i) sums[i] += of_member[i];
  }
  const auto steps = static_cast<double>(log.member_steps);
  log.surrogate = static_cast<double>(sums[0]) / steps;
  log.classifier = static_cast<double>(sums[1]) / steps;
  log.denoiser = static_cast<double>(sums[2]) / steps;
}

/// What the steps took, file output included; when the last member is lost the rest of the file is written
/// without computing anything, which does not count.
void read_times(const h5::File& file, RolloutLog& log) {
  double computing = log.wall_seconds;
  if (file.exists("step_seconds")) {
    const auto step_seconds = file.dataset("step_seconds");
    require(step_seconds.shape() == h5::Shape{static_cast<std::uint64_t>(log.steps) + 1, 2},
            "{} does not fit /time", step_seconds.label());
    const auto values = step_seconds.read<double>();
    std::vector<Seconds> seconds;
    std::vector<std::int64_t> living;
    for (std::int64_t step = 1; step <= log.steps; ++step) {
      const auto i = 2 * static_cast<std::size_t>(step);
      seconds.push_back({.wall = values[i], .cpu = values[i + 1]});
      living.push_back(std::count_if(log.work.begin(), log.work.end(),
                                     [&](const MemberWork& member) { return step <= member.steps; }));
    }
    log.blocks = blocks_of(seconds, living);
    computing = 0;
    for (const Block& one : log.blocks) computing += one.seconds.wall;
  } else if (file.has_attribute("living_seconds")) {
    computing = file.attribute<double>("living_seconds");  // of earlier versions
  }
  log.milliseconds_per_step = 1e3 * computing / static_cast<double>(log.member_steps);
}

}  // namespace

RolloutLog read_rollout_log(const std::filesystem::path& path, std::int64_t window) {
  const auto file = h5::File::open_read(path);
  const auto levels = file.dataset("levels"), evaluations = file.dataset("evaluations");
  const h5::Shape shape{file.dataset("member").shape().at(0), file.dataset("time").shape().at(0)};
  require(levels.shape() == h5::Shape{shape[0], shape[1], 2} &&
              evaluations.shape() == h5::Shape{shape[0], shape[1], 3},
          "{}: /levels and /evaluations do not fit /member and /time", path.string());
  RolloutLog log;
  log.members = static_cast<std::int64_t>(shape[0]);
  log.steps = static_cast<std::int64_t>(shape[1]) - 1;
  // The step of a loss was still computed.
  for (const std::int64_t failed : file.dataset("failed_step").read<std::int64_t>()) {
    log.work.push_back({.steps = failed < 0 ? log.steps : failed});
    log.member_steps += log.work.back().steps;
  }
  read_levels(levels, log, make_windows(log.steps + 1, window));
  read_evaluations(evaluations, log);
  if (file.has_attribute("steps_per_second")) log.steps_per_second = file.attribute<double>("steps_per_second");
  if (file.has_attribute("wall_seconds")) log.wall_seconds = file.attribute<double>("wall_seconds");
  read_times(file, log);
  if (file.has_attribute("threads")) log.threads = file.attribute<int>("threads");
  if (file.has_attribute("solver_points"))
    log.solver = SolverUse{static_cast<int>(file.attribute<double>("solver_points")),
                           file.attribute<double>("solver_dt"),
                           static_cast<std::int64_t>(file.attribute<double>("solver_steps_per_frame")),
                           file.attribute<double>("largest_courant")};
  for (const auto& name : file.attribute_names())
    if (name.starts_with("weights") || name == "method" || name == "git_commit" || name == "device" ||
        name == "precision")
      log.attributes[name] = file.attribute<std::string>(name);
  return log;
}

}  // namespace sns::metrics
