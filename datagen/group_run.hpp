#pragma once
// Runs trajectory groups to their end: frames into logs, checkpoints beside them.
#include "core/files.hpp"
#include "datagen/checkpoint.hpp"
#include "datagen/frame_log.hpp"
#include "datagen/plan.hpp"
#include "datagen/spinup_cache.hpp"

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace sns {

/// Log of a group's frames in its folder.
std::filesystem::path log_path(const DatagenPlan& plan, const TrajectoryGroup& group,
                               const std::filesystem::path& work);

/// A group that this process works on. Its folder is locked while the object lives.
class GroupJob {
 public:
  /// Error if another process holds the folder. Finds the checkpoint of an interrupted run, or else the latest
  /// spun-up states of its trajectories, if any.
  GroupJob(const DatagenPlan& plan, const TrajectoryGroup& group, const std::filesystem::path& work,
           const std::string& identity_hash, std::size_t member_bytes, const SpinupCache& cache);

  const TrajectoryGroup& group() const { return group_; }
  const std::filesystem::path& work() const { return work_; }
  /// Where it goes on: step since the initial state, frames per member in the log.
  std::int64_t step() const { return checkpoint_ ? checkpoint_->step : 0; }
  std::int64_t records() const { return checkpoint_ ? checkpoint_->records : 0; }
  FrameLog& log() { return *log_; }
  std::vector<MemberStatus>& status() { return status_; }
  /// Puts its members into the solver from `first` on, as the checkpoint or the beginning has them.
  void load(Solver& solver, int first);
  void save(const Solver& solver, int first, std::int64_t step, std::int64_t records);
  /// Keeps its members' states for later data sets, if that is asked for.
  void keep_spunup(const Solver& solver, int first, std::int64_t step) const;

 private:
  TrajectoryGroup group_;
  std::filesystem::path work_;
  std::string identity_hash_;
  const SpinupCache& cache_;
  FolderLock lock_;
  std::optional<Checkpoint> checkpoint_;
  std::unique_ptr<FrameLog> log_;
  std::vector<MemberStatus> status_;
};

/// Where run_groups left its jobs.
struct BatchEnd {
  std::int64_t step = 0, records = 0;
};

/// Advances jobs that stand at the same step, all in one solver, until their logs are complete or all their
/// trajectories have failed. Throws Stopped, with checkpoints written, when a stop is requested.
/// `progress` gets the steps just done (per trajectory).
BatchEnd run_groups(const DatagenPlan& plan, Solver& solver, std::vector<std::unique_ptr<GroupJob>>& jobs,
                    double checkpoint_seconds, const std::function<void(std::int64_t steps)>& progress);

/// Steps that take about a quarter of a second, so that stops are noticed soon: begins with one, and learns
/// from what it is told.
class StepPacer {
 public:
  std::int64_t steps() const;
  void took(std::int64_t steps, double seconds);

 private:
  std::int64_t steps_ = 1;
};

}  // namespace sns
