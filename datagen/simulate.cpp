#include "datagen/simulate.hpp"

#include "core/clock.hpp"
#include "core/error.hpp"
#include "core/files.hpp"
#include "core/hdf5.hpp"
#include "core/log.hpp"
#include "core/memory.hpp"
#include "core/progress.hpp"
#include "core/stop.hpp"
#include "core/text.hpp"
#include "datagen/group_run.hpp"
#include "datagen/replaced.hpp"
#include "datagen/simulate_file.hpp"
#include "solvers/initial_file.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <span>

namespace sns {
namespace {

constexpr double kMostSteps = 1e15;  ///< so that products of steps stay within 64 bits

namespace fs = std::filesystem;

constexpr double kMostBytes = 4e18;  ///< more than any disk holds, and twice as much still is a number

/// All that decides what a run writes.
std::string made_of(const SimulatePlan& plan, const SolverSource& source) {
  return fmt::format(
             "{}\nseed {} backend {} members {} every {} diagnostics {} coarsen {} {}{} full {} initial {}\n",
             source.yaml(), plan.seed, source.info().backend, plan.members, plan.every, plan.diagnostics_every,
             plan.coarsen.factor, name(plan.coarsen.kind),
             plan.coarsen.remove == Removal::none ? "" : fmt::format(" without {}", name(plan.coarsen.remove)),
             plan.full, plan.initial ? plan.initial->hash : "as configured") +
         (plan.arrays ? fmt::format("array diagnostics {} values\n", diagnostic_values(plan, source.info()))
                      : "");
}

/// A file beside the checkpoint of a run that is to replace the output that there is (--overwrite).
constexpr const char* kReplacing = "replacing";

/// What an interrupted run consists of.
const std::vector<std::string> kRun = {"frames", "diagnostics", kReplacing, "checkpoint.h5"};

/// After an error, which is what is to be told in the end.
void try_to_put_back(ReplacedResults& interrupted) {
  try {
    interrupted.put_back(kRun);
  } catch (const std::exception& error) {
    log::warn("the interrupted run lies in {} and could not be put back: {}", interrupted.path().string(),
              error.what());
  }
}

/// One run: the solver, the logs of frames and diagnostics, and the checkpoint that ties them together.
class Simulation {
 public:
  Simulation(const SimulatePlan& plan, const SolverSource& source, const std::string& config_yaml,
             const SimulateOptions& options)
      : plan_(plan),
        source_(source),
        info_(source.info()),
        config_yaml_(config_yaml),
        options_(options),
        work_(options.output.string() + ".partial"),
        made_of_(made_of(plan, source)),
        identity_(sha256(made_of_)) {}

  void run() {
    try {
      run_whole();
    } catch (const DiskFull& full) {
      const auto kept = load_checkpoint(work_ / "checkpoint.h5", identity_, "");
      if (!kept) fail("{}; free some space and run the same command again", full.what());
      fail("{}; free some space and run it with --resume{}: it goes on from step {}", full.what(),
           options_.overwrite ? " in place of --overwrite" : "", kept->step);
    }
  }

 private:
  void run_whole() {
    if (!plan_.full) require_divisible(info_, plan_.coarsen);
    const OutputFolder folder(options_.output);
    if (!claim_output()) return;
    warn_of_equal_members();
    require_memory(static_cast<double>(plan_.members) *
                       static_cast<double>(simulate_frame_values(plan_, info_)) *
                       (writes_float64(plan_, info_) ? sizeof(double) : sizeof(float)),
                   fmt::format("one frame of {} members", plan_.members));
    solver_ = source_.make(plan_.members);  // before anything is written: it may not fit into memory
    make_writable_folder(work_);
    const FolderLock lock(work_);
    ReplacedResults interrupted(work_, "checkpoint.h5");
    if (interrupted.was_cut_off()) interrupted.put_back({});
    if (options_.overwrite) interrupted.set_aside(kRun);
    remove_unfinished_output();
    FrameLog frames(work_ / "frames", static_cast<std::size_t>(plan_.members) *
                                          simulate_frame_values(plan_, info_) *
                                          (writes_float64(plan_, info_) ? sizeof(double) : sizeof(float)));
    FrameLog diagnostics(work_ / "diagnostics", static_cast<std::size_t>(plan_.members) *
                                                    diagnostic_values(plan_, info_) * sizeof(double));
    frames_ = &frames;
    diagnostics_ = &diagnostics;
    try {
      start();
      // Everything is on disk twice while the output is written.
      const std::uint64_t bytes = simulate_bytes(plan_, info_);
      const std::uint64_t there = frames.bytes() + diagnostics.bytes() + interrupted.bytes();
      // States are in the output, in the checkpoint, and in the next one while that is written.
      const std::uint64_t states = 3 * static_cast<std::uint64_t>(plan_.members) * solver_->save(0).size();
      require_space(work_, 2 * bytes - std::min(there, 2 * bytes) + states);
    } catch (...) {
      if (options_.overwrite) try_to_put_back(interrupted);
      if (!fs::exists(work_ / "checkpoint.h5")) fs::remove_all(work_);  // nothing to go on with
      throw;
    }
    interrupted.discard();  // the new run is certain to begin
    if (options_.overwrite) std::ofstream(work_ / kReplacing).close();
    loop();
    try {
      // In the folder that goes in the end: whoever is killed meanwhile leaves nothing beside it.
      const fs::path written = work_ / "output.h5";
      write_simulation(written, plan_, info_, config_yaml_, made_of_, state(), frames, diagnostics);
      fs::rename(written, options_.output);
      fs::remove(work_ / kReplacing);
      sync_to_disk(options_.output.has_parent_path() ? options_.output.parent_path() : fs::path("."));
    } catch (const Stopped&) {
      poll();  // says where to go on
      throw;
    }
    fs::remove_all(work_);
    require_survivors();
  }

  /// False if the output is there already, complete.
  bool claim_output() {
    if (options_.overwrite) return true;  // the output itself is replaced when the new one is complete
    const bool finished = fs::exists(options_.output),
               begun = fs::exists(work_ / "checkpoint.h5") ||
                       fs::exists(ReplacedResults(work_, "checkpoint.h5").path() / "checkpoint.h5");
    if (!options_.resume) {
      if (finished) {
        fail<ConfigError>("{} exists; give --resume to go on with it or --overwrite to replace it",
                          options_.output.string());
      }
      if (begun) {
        fail<ConfigError>(
            "{} holds an interrupted run; give --resume to go on with it or --overwrite to start again",
            work_.string());
      }
      return true;
    }
    if (!finished || fs::exists(work_ / kReplacing)) {
      if (!begun) log::info("nothing to resume for {}; starting at step 0", options_.output.string());
      return true;
    }
    finished_ = read_simulation_state(options_.output);
    if (finished_->identity != identity_) {
      const h5::Group provenance = h5::File::open_read(options_.output).group("provenance");
      std::string before = made_of_;  // unknown where an earlier version wrote the file
      if (provenance.has_attribute("made_of")) before = provenance.attribute<std::string>("made_of");
      const auto [there, now] = first_difference(before, made_of_);
      fail<ConfigError>("{} was made from another configuration{}; give --overwrite or another -o",
                        options_.output.string(),
                        there == now ? std::string() : fmt::format(" (there: {}; now: {})", there, now));
    }
    status_ = finished_->status;
    require_not_beyond(finished_->step, options_.output);
    if (finished_->step < plan_.steps && any_alive()) return true;
    log::info("{} is complete: {} steps", options_.output.string(), finished_->step);
    fs::remove_all(work_);  // there if the run was killed after its last act but one
    require_survivors();
    return false;
  }

  /// Of a kind of initial state that draws nothing every member has the same.
  void warn_of_equal_members() const {
    if (plan_.initial || !info_.initial_states) return;
    const auto states = *info_.initial_states;
    if (static_cast<std::uint64_t>(plan_.members) > states)
      log::warn("solver.initial gives {} for {} members: some of them are the same run",
                states == 1 ? "one state" : fmt::format("{} states", states), plan_.members);
  }

  /// ConfigError if what is there has more steps than are asked for.
  void require_not_beyond(std::int64_t step, const fs::path& there) const {
    if (step <= plan_.steps) return;
    fail<ConfigError>(
        "{} holds {} steps, more than the {} that are asked for; give more --steps, --overwrite or another -o",
        there.string(), step, plan_.steps);
  }

  /// What a run left that was killed while it wrote the output.
  void remove_unfinished_output() const {
    for (const auto& entry : fs::directory_iterator(work_))
      if (entry.path().filename().string().find("output.h5") != std::string::npos) fs::remove(entry.path());
  }

  /// Puts the solver and the logs where the run begins or goes on.
  void start() {
    const fs::path file = work_ / "checkpoint.h5";
    std::optional<Checkpoint> checkpoint = load_checkpoint(file, identity_, "");
    if (!checkpoint && fs::exists(file)) {
      fail<ConfigError>(
          "{} cannot be resumed: it is damaged or of another configuration; give the one that it was begun "
          "with, or "
          "--overwrite, which gives up what is there",
          work_.string());
    }
    if (checkpoint &&
        (checkpoint->records > frames_->records() || checkpoint->extra_records > diagnostics_->records())) {
      fail("{} lost frames that its checkpoint counts on; give --overwrite to start again", work_.string());
    }
    if (!checkpoint && finished_) {
      frames_->truncate(0);
      diagnostics_->truncate(0);
      read_simulation(options_.output, plan_, info_, *frames_, *diagnostics_);
      frames_->sync();
      diagnostics_->sync();
      checkpoint = finished_;
      save_checkpoint(file, *checkpoint);
    }
    if (checkpoint) {
      require_not_beyond(checkpoint->step, work_);
      frames_->truncate(checkpoint->records);
      diagnostics_->truncate(checkpoint->extra_records);
      status_ = checkpoint->status;
      step_ = checkpoint->step;
      restore_members(*solver_, 0, *checkpoint);
      log::info("resuming at step {}", step_);
      return;
    }
    frames_->truncate(0);
    diagnostics_->truncate(0);
    status_.assign(static_cast<std::size_t>(plan_.members), {});
    const EndAtOnce nothing_done;
    const std::size_t size = solver_->state_size();
    for (int member = 0; member < plan_.members; ++member) {
      try {
        if (plan_.initial)
          solver_->set_state(
              member, std::span(plan_.initial->values).subspan(static_cast<std::size_t>(member) * size, size));
        else
          solver_->initialise(member, static_cast<std::uint64_t>(member));
      } catch (const InitialStateError& error) {
        fail("member {}: {}", member, error.what());
      }
    }
  }

  void loop() {
    Progress progress("simulate", plan_.steps, "steps", step_);
    while (true) {
      const bool frame = frames_->records() * plan_.every == step_;
      const bool diagnostics = diagnostics_->records() * plan_.diagnostics_every == step_;
      const bool last = step_ >= plan_.steps;
      if (frame || diagnostics || last) {
        // Nothing is recorded, and no run ends, with a member that the solver has not looked at.
        solver_->check_members();
        note_failures();
      }
      if (frame) record_frame();
      note_failures();  // of members whose frame was not finite
      if (diagnostics) record_diagnostics();
      if (last || !any_alive()) break;
      poll();
      const std::int64_t next =
          std::min({plan_.steps, frames_->records() * plan_.every,
                    diagnostics_->records() * plan_.diagnostics_every, step_ + pacer_.steps()});
      const auto start = Clock::now();
      solver_->advance(next - step_);
      pacer_.took(next - step_, seconds_since(start));
      step_ = next;
      note_failures();
      progress.update(step_);
    }
    progress.finish();
  }

  void record_frame() {
    if (writes_float64(plan_, info_)) {
      record_as<double>();
    } else {
      record_as<float>();
    }
  }

  template <class T>
  void record_as() {
    const std::size_t size = simulate_frame_values(plan_, info_);
    std::vector<T> record(static_cast<std::size_t>(plan_.members) * size);
    std::vector<double> state(plan_.full ? size : 0);
    if constexpr (std::is_same_v<T, float>)
      if (!plan_.full) solver_->record({1, 0, plan_.coarsen}, record);
    for (int member = 0; member < plan_.members; ++member) {
      const auto out = std::span(record).subspan(static_cast<std::size_t>(member) * size, size);
      if (!status_[static_cast<std::size_t>(member)].alive) {
        std::fill(out.begin(), out.end(), std::numeric_limits<T>::quiet_NaN());
      } else if (plan_.full) {
        solver_->state(member, state);
        std::transform(state.begin(), state.end(), out.begin(), [](double v) { return static_cast<T>(v); });
      }
    }
    frames_->append(std::as_bytes(std::span<const T>(record)));
  }

  void record_diagnostics() {
    std::vector<double> record;
    for (int member = 0; member < plan_.members; ++member) {
      if (!status_[static_cast<std::size_t>(member)].alive) {
        record.insert(record.end(), diagnostic_values(plan_, info_), std::numeric_limits<double>::quiet_NaN());
        continue;
      }
      const std::vector<double> scalars = solver_->diagnostics(member);
      record.insert(record.end(), scalars.begin(), scalars.end());
      if (!plan_.arrays) continue;
      const std::vector<double> arrays = solver_->array_diagnostics(member);
      record.insert(record.end(), arrays.begin(), arrays.end());
    }
    diagnostics_->append(std::as_bytes(std::span<const double>(record)));
  }

  void note_failures() {
    for (int member = 0; member < plan_.members; ++member) {
      MemberStatus& known = status_[static_cast<std::size_t>(member)];
      if (!known.alive) continue;
      known = solver_->status(member);
      if (!known.alive && plan_.members > 1) log::warn("{}; the other members go on", describe_failure(member));
    }
  }

  std::string describe_failure(int member) const {
    const MemberStatus& status = status_[static_cast<std::size_t>(member)];
    return fmt::format("member {} failed at step {} (time {}): {}", member, status.failed_step,
                       time_text(static_cast<double>(status.failed_step) * info_.dt, info_), status.reason);
  }

  bool any_alive() const {
    return std::any_of(status_.begin(), status_.end(), [](const MemberStatus& s) { return s.alive; });
  }

  void require_survivors() const {
    if (any_alive()) return;
    fail("{}{}; what was recorded before is in {}", plan_.members > 1 ? "all members failed, the first: " : "",
         describe_failure(0), options_.output.string());
  }

  Checkpoint state() const {
    Checkpoint checkpoint = take_checkpoint(*solver_, 0, status_);
    checkpoint.identity = identity_;
    checkpoint.step = step_;
    checkpoint.records = frames_->records();
    checkpoint.extra_records = diagnostics_->records();
    return checkpoint;
  }

  void poll() {
    const bool stop = stop_requested();
    if (!stop && seconds_since(last_checkpoint_) < options_.checkpoint_seconds) return;
    frames_->sync();
    diagnostics_->sync();
    save_checkpoint(work_ / "checkpoint.h5", state());
    last_checkpoint_ = Clock::now();
    if (stop) {
      throw Stopped(fmt::format("on request at step {} of {}; run the same command with --resume{} to go on",
                                step_, plan_.steps, options_.overwrite ? " in place of --overwrite" : ""));
    }
  }

  const SimulatePlan& plan_;
  const SolverSource& source_;
  const SolverInfo& info_;
  const std::string& config_yaml_;
  const SimulateOptions& options_;
  fs::path work_;
  std::string made_of_, identity_;
  std::unique_ptr<Solver> solver_;
  FrameLog *frames_ = nullptr, *diagnostics_ = nullptr;
  std::optional<Checkpoint> finished_;
  std::vector<MemberStatus> status_;
  std::int64_t step_ = 0;
  StepPacer pacer_;
  Clock::time_point last_checkpoint_ = Clock::now();
};

/// "layer, y, x"
std::string axis_names(const SolverInfo& info) {
  std::vector<std::string> names;
  if (info.fields.size() > 1) names.push_back(info.stacked ? info.stacked->axis : "field");
  for (const Axis& axis : info.axes) names.push_back(axis.name);
  return fmt::to_string(fmt::join(names, ", "));
}

/// What a state of the solver looks like as an array, without its values.
StateLayout layout_of(const SolverInfo& info, bool resample) {
  StateLayout layout;
  layout.resample = resample;
  if (info.fields.size() > 1) layout.shape.push_back(info.fields.size());
  for (const Axis& axis : info.axes) layout.shape.push_back(axis.coordinates.size());
  const std::vector<double>& points = info.axes.front().coordinates;
  if (points.size() > 1) layout.offset = points[0] / (points[1] - points[0]);
  layout.axes = axis_names(info);
  return layout;
}

/// Error that names the first value of an array that is not finite, and its place.
void require_finite(const std::vector<double>& values, const h5::Shape& shape, const std::string& address) {
  const auto bad = std::find_if(values.begin(), values.end(), [](double v) { return !std::isfinite(v); });
  if (bad == values.end()) return;
  auto index = static_cast<std::uint64_t>(bad - values.begin());
  h5::Shape position(shape.size());
  for (std::size_t axis = shape.size(); axis-- > 0;) {
    position[axis] = index % shape[axis];
    index /= shape[axis];
  }
  fail("{} holds a value that is not finite ({}) at {}", address, *bad, shape_text(position));
}

}  // namespace

InitialStates read_initial_states(const std::string& address, const SolverInfo& info, bool resample) {
  const EndAtOnce reading;
  const StateLayout layout = layout_of(info, resample);
  const InitialStatesFile file(address, layout);
  const StoredStates& stored = file.stored();
  InitialStates initial;
  initial.members = static_cast<int>(stored.count);
  initial.address = address;
  initial.values.reserve(h5::element_count(file.shape()));
  for (std::uint64_t i = 0; i < stored.count; ++i) {
    const std::vector<double> state = file.read(i);
    initial.values.insert(initial.values.end(), state.begin(), state.end());
  }
  require_finite(initial.values, file.shape(), address);
  if (stored.state != layout.shape) {
    initial.resampled_from = static_cast<int>(stored.state.back());
    initial.values = states_on_grid(std::move(initial.values), stored.state, layout);
  }
  initial.hash =
      sha256({reinterpret_cast<const char*>(initial.values.data()), initial.values.size() * sizeof(double)});
  return initial;
}

SimulatePlan read_simulate_plan(Section section, std::uint64_t seed) {
  SimulatePlan plan;
  plan.seed = seed;
  section.maybe("members", plan.members, at_least_one);
  section.maybe("steps", plan.steps, between(0, kMostSteps));
  section.maybe("every", plan.every, at_least_one);
  plan.diagnostics_every = plan.every;
  section.maybe("diagnostics_every", plan.diagnostics_every, at_least_one);
  std::string diagnostics = "scalars";
  section.maybe("diagnostics", diagnostics, one_of(diagnostics_kinds()));
  plan.arrays = diagnostics == "all";
  plan.coarsen = read_coarsen(section.child("coarsen"));
  return plan;
}

void simulate(const SimulatePlan& plan, const SolverSource& source, const std::string& config_yaml,
              const SimulateOptions& options) {
  Simulation(plan, source, config_yaml, options).run();
}

bool writes_float64(const SimulatePlan& plan, const SolverInfo& info) {
  return plan.full && info.precision == "float64";
}

bool writes_stacked(const SimulatePlan& plan, const SolverInfo& info) {
  return plan.full && info.stacked.has_value();
}

std::size_t simulate_frame_values(const SimulatePlan& plan, const SolverInfo& info) {
  std::size_t values = info.fields.size();
  const auto factor = static_cast<std::size_t>(plan.full ? 1 : plan.coarsen.factor);
  for (const Axis& axis : info.axes) values *= axis.coordinates.size() / factor;
  return values;
}

const std::vector<std::string>& diagnostics_kinds() {
  static const std::vector<std::string> kinds{"scalars", "all"};
  return kinds;
}

std::vector<DiagnosticInfo> written_diagnostics(const SimulatePlan& plan, const SolverInfo& info) {
  std::vector<DiagnosticInfo> written = info.diagnostics;
  if (plan.arrays) written.insert(written.end(), info.array_diagnostics.begin(), info.array_diagnostics.end());
  return written;
}

std::size_t diagnostic_values(const SimulatePlan& plan, const SolverInfo& info) {
  std::size_t values = 0;
  for (const DiagnosticInfo& diagnostic : written_diagnostics(plan, info))
    values += value_count(diagnostic, info);
  return values;
}

std::uint64_t simulate_bytes(const SimulatePlan& plan, const SolverInfo& info) {
  const std::size_t value = writes_float64(plan, info) ? sizeof(double) : sizeof(float);
  const double frames = static_cast<double>(plan.steps / plan.every + 1) *
                        static_cast<double>(simulate_frame_values(plan, info) * value);
  const double diagnostics = static_cast<double>(plan.steps / plan.diagnostics_every + 1) *
                             static_cast<double>(diagnostic_values(plan, info) * sizeof(double));
  const double bytes = static_cast<double>(plan.members) * (frames + diagnostics);
  return static_cast<std::uint64_t>(std::min(bytes, kMostBytes));
}

}  // namespace sns
