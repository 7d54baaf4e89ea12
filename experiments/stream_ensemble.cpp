#include "experiments/stream_ensemble.hpp"

#include "core/clock.hpp"
#include "core/error.hpp"
#include "core/hdf5.hpp"
#include "core/log.hpp"
#include "core/progress.hpp"
#include "datagen/checkpoint.hpp"
#include "datagen/group_run.hpp"
#include "datagen/spinup_cache.hpp"

#include <algorithm>

namespace sns {

namespace {

namespace fs = std::filesystem;

/// Trajectories tried in one member's place before a round is given up: if so many fail, it is the solver's
/// configuration that is at fault.
constexpr int kMostReplacements = 8;

}  // namespace

void save_ensemble(const fs::path& file, const EnsembleState& state, const std::string& identity,
                   const std::vector<double>& field_std) {
  Checkpoint checkpoint;
  checkpoint.identity = identity;
  checkpoint.records = state.round;
  checkpoint.status = state.status;
  checkpoint.states = state.states;
  write_atomically(file, [&](const fs::path& temporary) {
    h5::File output = h5::File::create(temporary);
    write_checkpoint(output, checkpoint);
    output.write<std::uint64_t>("trajectories", {state.trajectories.size()}, state.trajectories);
    output.write<std::uint64_t>("next_trajectory", {1},
                                std::span<const std::uint64_t>(&state.next_trajectory, 1));
    output.write<double>("field_std", {field_std.size()}, field_std);
    output.close();
  });
}

SavedEnsemble load_ensemble(const fs::path& file, const std::string& identity) {
  if (!fs::exists(file))
    fail<ConfigError>(
        "{} is missing: the checkpoint is not one of streaming training; use --resume never to train anew",
        file.string());
  const h5::File input = h5::File::open_read(file);
  Checkpoint checkpoint = read_checkpoint(input);
  if (checkpoint.identity != identity)
    fail<ConfigError>(
        "{} holds a solver of another configuration: the solver, datagen or training.stream keys have changed; "
        "use "
        "--resume never to train anew",
        file.string());
  SavedEnsemble saved;
  saved.state.round = checkpoint.records;
  saved.state.status = std::move(checkpoint.status);
  saved.state.states = std::move(checkpoint.states);
  saved.state.trajectories = input.dataset("trajectories").read<std::uint64_t>();
  const auto next = input.dataset("next_trajectory").read<std::uint64_t>();
  require(saved.state.trajectories.size() == saved.state.states.size() && next.size() == 1, "{} is damaged",
          file.string());
  saved.state.next_trajectory = next.front();
  saved.field_std = input.dataset("field_std").read<double>();
  return saved;
}

std::span<const float> RoundFrames::values() const {
  require(device < 0, "frames in the memory of cuda:{} are not the host's", device);
  return {data.get(), size};
}

StreamEnsemble::StreamEnsemble(const SolverSource& source, DatagenPlan plan, int members,
                               std::uint64_t first_trajectory, std::function<void()> poll, RoundMemory memory)
    : source_(source),
      plan_(std::move(plan)),
      members_(members),
      frame_values_(source.info().fields.size()),
      poll_(std::move(poll)),
      memory_(memory),
      next_trajectory_(first_trajectory + static_cast<std::uint64_t>(members)) {
  for (const Axis& axis : coarse_axes(source.info(), plan_.coarsen)) frame_values_ *= axis.coordinates.size();
  for (int m = 0; m < members; ++m) trajectories_.push_back(first_trajectory + static_cast<std::uint64_t>(m));
}

Solver& StreamEnsemble::solver() {
  if (!solver_) solver_ = source_.make_beside_work(members_);
  if (pending_) {
    Checkpoint checkpoint;
    checkpoint.status = pending_->status;
    checkpoint.states = pending_->states;
    restore_members(*solver_, 0, checkpoint);
    pending_.reset();
  }
  return *solver_;
}

void StreamEnsemble::spin_up() {
  Solver& solver = this->solver();
  const SpinupCache cache(plan_.spinup_cache, plan_, source_.info(), source_.yaml());
  const TrajectoryGroup group{"stream", trajectories_.front(), members_};
  std::int64_t done = 0;
  if (const auto kept = cache.find(group, plan_.spinup_steps)) {
    restore_members(solver, 0, *kept);
    done = kept->step;
  } else {
    for (int m = 0; m < members_; ++m) {
      try {
        solver.initialise(m, trajectories_[static_cast<std::size_t>(m)]);
      } catch (const InitialStateError& error) {
        solver.retire(m, {false, 0, error.what()});  // the first round replaces it
      }
    }
  }
  Progress progress("spin-up", plan_.spinup_steps, "steps", done);
  StepPacer pacer;
  while (done < plan_.spinup_steps) {
    const std::int64_t steps = std::min(pacer.steps(), plan_.spinup_steps - done);
    const auto start = Clock::now();
    solver.advance(steps);
    pacer.took(steps, seconds_since(start));
    progress.update(done += steps);
    poll_();
  }
  if (done == 0) return;
  std::vector<MemberStatus> status;
  for (int m = 0; m < members_; ++m) status.push_back(solver.status(m));
  cache.keep(solver, 0, group, status, done);
}

void StreamEnsemble::restore(const EnsembleState& state) {
  require(static_cast<int>(state.trajectories.size()) == members_,
          "a state of {} members for an ensemble of {}", state.trajectories.size(), members_);
  round_ = state.round;
  next_trajectory_ = state.next_trajectory;
  trajectories_ = state.trajectories;
  pending_ = state;
}

EnsembleState StreamEnsemble::state() const {
  if (pending_) return *pending_;
  require(solver_ != nullptr, "the ensemble has not begun");
  EnsembleState state{round_, next_trajectory_, trajectories_, {}, {}};
  for (int m = 0; m < members_; ++m) state.status.push_back(solver_->status(m));
  state.states = take_checkpoint(*solver_, 0, state.status).states;
  return state;
}

void StreamEnsemble::advance(Solver& solver, std::int64_t steps) {
  StepPacer pacer;
  while (steps > 0) {
    const std::int64_t now = std::min(pacer.steps(), steps);
    const auto start = Clock::now();
    solver.advance(now);
    pacer.took(now, seconds_since(start));
    steps -= now;
    poll_();
  }
}

void StreamEnsemble::record_frames(Solver& solver, std::int64_t frames, std::int64_t steps_per_frame,
                                   float* out) const {
  const FrameRequest request{frames, steps_per_frame, plan_.coarsen};
  if (memory_ == RoundMemory::solver)
    solver.record_in_place(request, out, stride());
  else
    solver.record_on_host(request, out, stride());
}

/// One round of all members of a solver; from_here: the first frame is the present state.
void StreamEnsemble::record(Solver& solver, bool from_here, float* out) {
  std::int64_t done = 0;
  if (from_here) {
    record_frames(solver, 1, 0, out);
    done = 1;
  } else {
    advance(solver, plan_.decorrelation_steps);
  }
  StepPacer pacer;
  while (done < plan_.frames) {
    const std::int64_t affordable = std::max<std::int64_t>(1, pacer.steps() / plan_.steps_per_frame);
    const std::int64_t frames = std::min(affordable, plan_.frames - done);
    const auto start = Clock::now();
    record_frames(solver, frames, plan_.steps_per_frame, out + static_cast<std::size_t>(done) * frame_values_);
    pacer.took(frames * plan_.steps_per_frame, seconds_since(start));
    done += frames;
    poll_();
  }
  // The solver looks now and then; the last frames may lie after its last look.
  solver.check_members();
}

void StreamEnsemble::replace(int member, float* out) {
  const MemberStatus lost = solver_->status(member);
  std::uint64_t& trajectory = trajectories_[static_cast<std::size_t>(member)];
  log::warn("stream: trajectory {} failed at step {}: {}; another takes its place in round {}", trajectory,
            lost.failed_step, lost.reason, round_);
  if (!spare_) spare_ = source_.make_beside_work(1);
  std::string reason;
  for (int attempt = 0; attempt < kMostReplacements; ++attempt) {
    trajectory = next_trajectory_++;
    try {
      spare_->initialise(0, trajectory);
    } catch (const InitialStateError& error) {
      reason = error.what();
      continue;
    }
    advance(*spare_, plan_.spinup_steps);
    record(*spare_, true, out);
    if (spare_->status(0).alive) return solver_->restore(member, spare_->save(0));
    reason = spare_->status(0).reason;
  }
  fail(
      "the solver failed in {} trajectories one after the other, last in trajectory {}: {}; training cannot go "
      "on",
      kMostReplacements + 1, trajectory, reason);
}

RoundFrames StreamEnsemble::next_round() {
  Solver& solver = this->solver();
  RoundFrames round;
  round.size = static_cast<std::size_t>(members_) * stride();
  if (memory_ == RoundMemory::solver) round.device = solver.device();
  round.data = buffers_.take([&]() -> std::shared_ptr<float> {
    if (memory_ == RoundMemory::solver) return solver.frame_memory(round.size);
    const auto values = std::make_shared<std::vector<float>>(round.size);
    return {values, values->data()};
  });
  record(solver, round_ == 0, round.data.get());
  for (int m = 0; m < members_; ++m)
    if (!solver.status(m).alive) replace(m, round.data.get() + static_cast<std::size_t>(m) * stride());
  ++round_;
  return round;
}

}  // namespace sns
