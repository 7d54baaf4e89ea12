#include "datagen/group_run.hpp"

#include "core/clock.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "core/stop.hpp"
#include "datagen/well_file.hpp"

#include <algorithm>
#include <span>

namespace sns {
namespace {

namespace fs = std::filesystem;

/// Makes sure that the folder is there before it is locked.
const fs::path& prepared(const fs::path& folder) {
  make_writable_folder(folder);
  return folder;
}

/// The loop over records of one batch of groups.
class BatchRun {
 public:
  BatchRun(const DatagenPlan& plan, Solver& solver, std::vector<std::unique_ptr<GroupJob>>& jobs,
           double checkpoint_seconds, const std::function<void(std::int64_t)>& progress)
      : plan_(plan),
        solver_(solver),
        jobs_(jobs),
        checkpoint_seconds_(checkpoint_seconds),
        progress_(progress),
        frame_values_(solver.frame_size(plan.coarsen.factor)),
        step_(jobs.front()->step()),
        record_(jobs.front()->records()) {
    int first = 0;
    for (auto& job : jobs_) {
      job->load(solver_, first);
      first += static_cast<int>(job->group().count);
    }
    members_ = first;
    require(record_ == plan_.records() ||
                (step_ <= plan_.step_of(record_) && (record_ == 0 || step_ >= plan_.step_of(record_ - 1))),
            "the checkpoint stands at step {}, which is not between frames {} and {}", step_, record_ - 1,
            record_);
    chunk_ = chunk_frames(plan_.frames, frame_values_);
    recorded_.resize(static_cast<std::size_t>(chunk_ * members_) * frame_values_);
    ordered_.resize(recorded_.size());
  }

  BatchEnd run() {
    while (record_ < plan_.records() && any_alive()) {
      const std::int64_t in_window = record_ % plan_.frames;
      const std::int64_t affordable = pacer_.steps() / plan_.steps_per_frame;
      // An interrupted run may go on between two frames of a window.
      const bool on_frame = in_window > 0 && step_ == plan_.step_of(record_ - 1);
      if (!on_frame || affordable == 0) {
        advance_to(plan_.step_of(record_));
        if (record_ == 0 && step_ > 0) keep_spunup();
        take_frame();
      } else {
        take_frames(std::min({chunk_, plan_.frames - in_window, affordable}));
      }
      if (record_ == plan_.records()) {
        // The solver looks now and then; the last frames may lie after its last look.
        solver_.check_members();
        note_failures();
      }
      poll();
    }
    return {step_, record_};
  }

 private:
  void advance_to(std::int64_t target) {
    while (step_ < target && any_alive()) {
      const std::int64_t steps = std::min(pacer_.steps(), target - step_);
      const auto start = Clock::now();
      solver_.advance(steps);
      moved(steps, start);
      if (step_ < target) poll();
    }
  }

  void keep_spunup() {
    int first = 0;
    for (const auto& job : jobs_) {
      job->keep_spunup(solver_, first, step_);
      first += static_cast<int>(job->group().count);
    }
  }

  void take_frame() {
    solver_.record({1, 0, plan_.coarsen},
                   std::span(recorded_).first(static_cast<std::size_t>(members_) * frame_values_));
    note_failures();
    append(1);
  }

  /// The next frames of a window, from its latest one.
  void take_frames(std::int64_t frames) {
    require(step_ + plan_.steps_per_frame == plan_.step_of(record_), "frame {} does not follow step {}",
            record_, step_);
    const auto start = Clock::now();
    solver_.record({frames, plan_.steps_per_frame, plan_.coarsen},
                   std::span(recorded_).first(static_cast<std::size_t>(frames * members_) * frame_values_));
    moved(frames * plan_.steps_per_frame, start);
    append(frames);
  }

  /// Appends recorded_[member][frame] to the logs as [frame][member].
  void append(std::int64_t frames) {
    std::int64_t first = 0;
    for (auto& job : jobs_) {
      const std::int64_t count = job->group().count;
      for (std::int64_t frame = 0; frame < frames; ++frame) {
        for (std::int64_t member = 0; member < count; ++member) {
          const std::size_t from = static_cast<std::size_t>((first + member) * frames + frame) * frame_values_;
          const std::size_t to = static_cast<std::size_t>(frame * count + member) * frame_values_;
          std::copy_n(&recorded_[from], frame_values_, &ordered_[to]);
        }
      }
      job->log().append(std::as_bytes(
          std::span<const float>(ordered_).first(static_cast<std::size_t>(frames * count) * frame_values_)));
      first += count;
    }
    record_ += frames;
  }

  void moved(std::int64_t steps, Clock::time_point start) {
    step_ += steps;
    pacer_.took(steps, seconds_since(start));
    note_failures();
    progress_(steps * members_);
  }

  void note_failures() {
    int member = 0;
    for (auto& job : jobs_) {
      for (std::size_t i = 0; i < job->status().size(); ++i, ++member) {
        MemberStatus& known = job->status()[i];
        if (!known.alive) continue;
        known = solver_.status(member);
        if (!known.alive) {
          log::warn("trajectory {} failed at step {} (time {}): {}; it is left out", job->group().first + i,
                    known.failed_step,
                    time_text(static_cast<double>(known.failed_step) * solver_.info().dt, solver_.info()),
                    known.reason);
        }
      }
    }
  }

  bool any_alive() const {
    return std::any_of(jobs_.begin(), jobs_.end(), [](const auto& job) {
      return std::any_of(job->status().begin(), job->status().end(),
                         [](const MemberStatus& s) { return s.alive; });
    });
  }

  void poll() {
    const bool stop = stop_requested();
    if (!stop && seconds_since(last_checkpoint_) < checkpoint_seconds_) return;
    int first = 0;
    for (auto& job : jobs_) {
      job->save(solver_, first, step_, record_);
      first += static_cast<int>(job->group().count);
    }
    last_checkpoint_ = Clock::now();
    if (stop) {
      throw Stopped(fmt::format("on request at step {}, frame {} of {}; run the same command again to go on",
                                step_, record_, plan_.records()));
    }
  }

  const DatagenPlan& plan_;
  Solver& solver_;
  std::vector<std::unique_ptr<GroupJob>>& jobs_;
  double checkpoint_seconds_;
  const std::function<void(std::int64_t)>& progress_;
  std::size_t frame_values_;
  std::int64_t step_, record_;
  int members_ = 0;
  std::int64_t chunk_ = 1;
  std::vector<float> recorded_, ordered_;
  StepPacer pacer_;
  Clock::time_point last_checkpoint_ = Clock::now();
};

}  // namespace

fs::path log_path(const DatagenPlan& plan, const TrajectoryGroup& group, const fs::path& work) {
  return work / (plan.stem(group) + ".frames");
}

GroupJob::GroupJob(const DatagenPlan& plan, const TrajectoryGroup& group, const fs::path& work,
                   const std::string& identity_hash, std::size_t member_bytes, const SpinupCache& cache)
    : group_(group),
      work_(work),
      identity_hash_(identity_hash),
      cache_(cache),
      lock_(prepared(work)),
      checkpoint_(load_checkpoint(work / "checkpoint.h5", identity_hash)),
      log_(std::make_unique<FrameLog>(log_path(plan, group, work),
                                      member_bytes * static_cast<std::size_t>(group.count))),
      status_(static_cast<std::size_t>(group.count)) {
  if (checkpoint_ && checkpoint_->records > log_->records()) {
    log::warn("{} lost frames that its checkpoint counts on; starting this group again", work.string());
    checkpoint_.reset();
  }
  if (!checkpoint_) checkpoint_ = cache_.find(group, plan.spinup_steps);
  if (checkpoint_) status_ = checkpoint_->status;
  log_->truncate(records());
}

void GroupJob::load(Solver& solver, int first) {
  if (checkpoint_) {
    restore_members(solver, first, *checkpoint_);
    return;
  }
  const EndAtOnce nothing_done;
  for (std::int64_t i = 0; i < group_.count; ++i) {
    const int member = first + static_cast<int>(i);
    try {
      solver.initialise(member, group_.first + static_cast<std::uint64_t>(i));
    } catch (const InitialStateError& error) {
      MemberStatus& status = status_[static_cast<std::size_t>(i)];
      status = {false, 0, error.what()};
      solver.retire(member, status);
      log::warn("trajectory {} is left out: {}", group_.first + static_cast<std::uint64_t>(i), error.what());
    }
  }
}

void GroupJob::keep_spunup(const Solver& solver, int first, std::int64_t step) const {
  cache_.keep(solver, first, group_, status_, step);
}

void GroupJob::save(const Solver& solver, int first, std::int64_t step, std::int64_t records) {
  log_->sync();
  Checkpoint checkpoint = take_checkpoint(solver, first, status_);
  checkpoint.identity = identity_hash_;
  checkpoint.step = step;
  checkpoint.records = records;
  save_checkpoint(work_ / "checkpoint.h5", checkpoint);
}

BatchEnd run_groups(const DatagenPlan& plan, Solver& solver, std::vector<std::unique_ptr<GroupJob>>& jobs,
                    double checkpoint_seconds, const std::function<void(std::int64_t steps)>& progress) {
  return BatchRun(plan, solver, jobs, checkpoint_seconds, progress).run();
}

std::int64_t StepPacer::steps() const {
  return steps_;
}

void StepPacer::took(std::int64_t steps, double seconds) {
  if (steps <= 0) return;
  constexpr double kSeconds = 0.25;
  // On a GPU a call in which no guard looks returns before its steps are done, and makes them seem to take no
  // time. Growing by doubling the calls soon span a look, which tells.
  // A call that was cut short, as at a frame, takes nothing from the pace by its length, but by its time.
  const std::int64_t most = std::max(steps_, 2 * std::min<std::int64_t>(steps, 1 << 19));
  const double affordable = kSeconds / std::max(seconds / static_cast<double>(steps), 1e-9);
  steps_ = std::clamp<std::int64_t>(static_cast<std::int64_t>(affordable), 1, most);
}

}  // namespace sns
