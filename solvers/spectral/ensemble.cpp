#include "solvers/spectral/ensemble.hpp"

#include "core/files.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace sns::spectral {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

/// Head of a saved member; the failure's reason and the engine's bytes follow.
struct SavedHead {
  std::uint64_t identity;
  std::int64_t step, failed_step;
  std::uint64_t alive, reason_size;
};

bool all_finite(std::span<const float> values) {
  return std::all_of(values.begin(), values.end(), [](float x) { return std::isfinite(x); });
}

}  // namespace

EnsembleSolver::EnsembleSolver(EnsembleSetup setup)
    : setup_(std::move(setup)),
      member_states_(static_cast<std::size_t>(setup_.members)),
      pool_(std::min(setup_.threads, setup_.engine->groups())) {}

const EnsembleSolver::Member& EnsembleSolver::member_(int member) const {
  require(member >= 0 && member < members(), "member {} does not exist (0 to {})", member, members() - 1);
  return member_states_[static_cast<std::size_t>(member)];
}

void EnsembleSolver::initialise(int member, std::uint64_t trajectory) {
  std::vector<double> state(state_size());
  setup_.initial(trajectory, state);
  set_state(member, state);
}

void EnsembleSolver::set_state(int member, std::span<const double> state) {
  member_(member);
  require(state.size() == state_size(), "a state holds {} values, not {}", state_size(), state.size());
  const auto bad = std::find_if_not(state.begin(), state.end(), [](double x) { return std::isfinite(x); });
  if (bad != state.end())
    fail<InitialStateError>("the initial state holds a non-finite value ({}) at flat index {}", *bad,
                            bad - state.begin());
  setup_.engine->set_state(member, state.data());
  member_states_[static_cast<std::size_t>(member)] = {};

  const double fastest = setup_.engine->speed(member);
  if (!std::isfinite(fastest)) fail<InitialStateError>("the initial state overflows {}", info().precision);
  const double courant = fastest * info().dt / setup_.spacing;
  if (courant > setup_.max_courant)
    fail<InitialStateError>(
        "stepper.dt = {} breaks the CFL limit before the first step: the initial state has "
        "speed {:.4g}, "
        "Courant number {:.3g} > max_courant {}; use dt <= {:.3g}",
        info().dt, fastest, courant, setup_.max_courant, setup_.max_courant * setup_.spacing / fastest);
}

void EnsembleSolver::state(int member, std::span<double> out) const {
  member_(member);
  require(out.size() == state_size(), "a state holds {} values, not {}", state_size(), out.size());
  setup_.engine->state(member, out.data());
}

bool EnsembleSolver::alive(int group) const {
  const int size = setup_.engine->group_size();
  for (int m = group * size; m < (group + 1) * size; ++m)
    if (member_states_[static_cast<std::size_t>(m)].status.alive) return true;
  return false;
}

void EnsembleSolver::fail_member(int member, std::string reason) {
  Member& state = member_states_[static_cast<std::size_t>(member)];
  state.status = {false, state.step, std::move(reason)};
}

/// Fails a living member whose speed, `steps` steps from where it stands, is beyond the limit or not finite. It
/// stays at that step.
void EnsembleSolver::judge(int member, std::int64_t steps, double speed) {
  Member& state = member_states_[static_cast<std::size_t>(member)];
  const double courant = speed * info().dt / setup_.spacing;
  if (!state.status.alive || (std::isfinite(speed) && courant <= setup_.max_courant)) return;
  state.step += steps;
  fail_member(member,
              !std::isfinite(speed)
                  ? "the state is not finite"
                  : fmt::format("Courant number {:.3g} exceeds max_courant {} (speed {:.4g}); use a smaller dt",
                                courant, setup_.max_courant, speed));
}

/// Looks at a group now.
void EnsembleSolver::guard(int group, int worker) {
  const int size = setup_.engine->group_size();
  std::vector<double> speeds(static_cast<std::size_t>(size));
  setup_.engine->look(group, worker, 0);
  setup_.engine->read_looks(worker, 1, speeds.data());
  for (int b = 0; b < size; ++b) judge(group * size + b, 0, speeds[static_cast<std::size_t>(b)]);
}

void EnsembleSolver::check_members() {
  pool_.for_each(setup_.engine->groups(), [this](std::int64_t group, int worker) {
    if (alive(static_cast<int>(group))) guard(static_cast<int>(group), worker);
  });
}

void EnsembleSolver::retire(int member, MemberStatus status) {
  member_(member);
  status.alive = false;
  member_states_[static_cast<std::size_t>(member)].status = std::move(status);
}

/// Whether a member is alive and is looked at when it has done `steps` more: at fixed step numbers, so that its
/// verdict depends neither on how a run is cut nor on its neighbours.
bool EnsembleSolver::look_is_due(int member, std::int64_t steps) const {
  const Member& state = member_states_[static_cast<std::size_t>(member)];
  return state.status.alive && (state.step + steps) % kGuardInterval == 0;
}

/// Advances by `steps`, or to the last look that can be begun, and reads what the looks saw. Returns the steps
/// done. Nothing in between waits for a device.
std::int64_t EnsembleSolver::advance_to_verdict(int group, int worker, std::int64_t steps) {
  Engine& engine = *setup_.engine;
  const int size = engine.group_size(), first = group * size;
  const auto anyone_due = [&](std::int64_t done) {
    for (int m = first; m < first + size; ++m)
      if (look_is_due(m, done)) return true;
    return false;
  };
  std::vector<std::int64_t> looks;  // steps done before each
  std::int64_t done = 0;
  while (done < steps && std::ssize(looks) < engine.most_looks()) {
    std::int64_t chunk = 1;
    while (done + chunk < steps && !anyone_due(done + chunk)) ++chunk;
    engine.advance(group, worker, chunk);
    done += chunk;
    if (!anyone_due(done)) continue;
    engine.look(group, worker, static_cast<int>(looks.size()));
    looks.push_back(done);
  }
  if (!looks.empty()) {
    std::vector<double> speeds(looks.size() * static_cast<std::size_t>(size));
    engine.read_looks(worker, static_cast<int>(looks.size()), speeds.data());
    for (std::size_t i = 0; i < speeds.size(); ++i) {
      const int member = first + static_cast<int>(i) % size;
      const std::int64_t at = looks[i / static_cast<std::size_t>(size)];
      if (look_is_due(member, at)) judge(member, at, speeds[i]);
    }
  }
  for (int m = first; m < first + size; ++m) {
    Member& member = member_states_[static_cast<std::size_t>(m)];
    if (member.status.alive) member.step += done;
  }
  return done;
}

void EnsembleSolver::advance_group(int group, int worker, std::int64_t steps) {
  while (steps > 0 && alive(group)) steps -= advance_to_verdict(group, worker, steps);
}

/// Calls body for slices of `steps` steps of every group; it advances them. A group none of whose members lives
/// is passed through in one go.
void EnsembleSolver::in_slices(std::int64_t steps, const std::function<void(Slice&, int)>& body) {
  std::vector<std::int64_t> to_look;
  for (int group = 0; group < setup_.engine->groups(); ++group)
    to_look.push_back(kGuardInterval - step(group * setup_.engine->group_size()) % kGuardInterval);
  Slices slices(pool_.threads(), steps, kGuardInterval, std::move(to_look));
  pool_.for_each(pool_.threads(), [&](std::int64_t, int worker) {
    while (std::optional<Slice> slice = slices.next(worker)) {
      if (!alive(slice->group)) slices.take_rest(*slice);
      body(*slice, worker);
    }
  });
}

void EnsembleSolver::advance(std::int64_t steps) {
  require(steps >= 0, "cannot advance by {} steps", steps);
  in_slices(steps, [this](const Slice& slice, int worker) {
    advance_group(slice.group, worker, slice.end - slice.begin);
  });
}

int EnsembleSolver::zonal_axis() const {
  for (std::size_t axis = 0; axis < info().axes.size(); ++axis)
    if (info().axes[axis].name == "x") return static_cast<int>(axis);
  return -1;
}

void EnsembleSolver::check_coarsening(const CoarsenConfig& coarsen) const {
  const int factor = coarsen.factor;
  require(factor >= 1, "coarsening factor {} is not positive", factor);
  require(coarsen.kind != Coarsening::none || factor == 1,
          "coarsening by {} needs a kind: spectral or block_mean", factor);
  for (const Axis& axis : info().axes)
    require(axis.coordinates.size() % (2 * static_cast<std::size_t>(factor)) == 0,
            "coarsening factor {} does not divide the {} points along {} into an even number", factor,
            axis.coordinates.size(), axis.name);
}

void EnsembleSolver::check_request(const FrameRequest& request) const {
  check_coarsening(request.coarsen);
  require(request.frames >= 0 && request.steps_per_frame >= 0, "cannot record {} frames of {} steps",
          request.frames, request.steps_per_frame);
}

/// Advances all groups and calls take(group, worker, frame) for every frame of each, in order.
void EnsembleSolver::for_each_frame(const FrameRequest& request,
                                    const std::function<void(int, int, std::int64_t)>& take) {
  // A frame without steps counts as one of them, to be dealt out like the others.
  const std::int64_t per_frame = std::max<std::int64_t>(request.steps_per_frame, 1);
  in_slices(request.frames * per_frame, [&](const Slice& slice, int worker) {
    for (std::int64_t at = slice.begin; at < slice.end;) {
      const std::int64_t frame = at / per_frame, stop = std::min(slice.end, (frame + 1) * per_frame);
      if (request.steps_per_frame > 0) advance_group(slice.group, worker, stop - at);
      if (stop == (frame + 1) * per_frame) take(slice.group, worker, frame);
      at = stop;
    }
  });
}

void EnsembleSolver::record(const FrameRequest& request, std::span<float> out) {
  check_request(request);
  const std::size_t expected = frame_size(request.coarsen.factor) * static_cast<std::size_t>(request.frames) *
                               static_cast<std::size_t>(members());
  require(out.size() == expected, "{} frames of {} members need room for {} values, not {}", request.frames,
          members(), expected, out.size());
  std::vector<std::vector<float>> scratch(static_cast<std::size_t>(pool_.threads()));
  for_each_frame(request, [&](int group, int worker, std::int64_t frame) {
    take_frame(group, worker, request, frame, scratch[static_cast<std::size_t>(worker)], out);
  });
}

/// The present states of a group as their frames number `frame`; `scratch` is the worker's.
void EnsembleSolver::take_frame(int group, int worker, const FrameRequest& request, std::int64_t frame,
                                std::vector<float>& scratch, std::span<float> out) {
  const int size = setup_.engine->group_size();
  const std::size_t values = frame_size(request.coarsen.factor);
  scratch.resize(values * static_cast<std::size_t>(size));
  if (alive(group)) setup_.engine->frame(group, worker, request.coarsen, zonal_axis(), scratch.data());
  for (int b = 0; b < size; ++b) {
    const int member = group * size + b;
    const float* source = scratch.data() + static_cast<std::size_t>(b) * values;
    float* target = out.data() + (static_cast<std::size_t>(member) * static_cast<std::size_t>(request.frames) +
                                  static_cast<std::size_t>(frame)) *
                                     values;
    const MemberStatus& status = member_states_[static_cast<std::size_t>(member)].status;
    if (status.alive && !all_finite({source, values})) fail_member(member, "the state is not finite");
    if (status.alive)
      std::copy_n(source, values, target);
    else
      std::fill_n(target, values, kNan);
  }
}

void EnsembleSolver::record_in_place(const FrameRequest& request, float* out, std::size_t stride) {
  check_request(request);
  for_each_frame(request, [&](int group, int worker, std::int64_t frame) {
    take_frame_in_place(group, worker, request, frame, out, stride);
  });
  setup_.engine->synchronise();
}

void EnsembleSolver::take_frame_in_place(int group, int worker, const FrameRequest& request, std::int64_t frame,
                                         float* out, std::size_t stride) {
  const int size = setup_.engine->group_size();
  const std::size_t values = frame_size(request.coarsen.factor);
  float* const frames =
      out + static_cast<std::size_t>(group * size) * stride + static_cast<std::size_t>(frame) * values;
  std::vector<double> largest(static_cast<std::size_t>(size));
  if (alive(group))  // waits for `largest`: a member that is not finite fails with this frame
    setup_.engine->frame_in_place(group, worker, request.coarsen, zonal_axis(), frames, stride, largest.data());
  for (int b = 0; b < size; ++b) {
    const int member = group * size + b;
    const MemberStatus& status = member_states_[static_cast<std::size_t>(member)].status;
    if (status.alive && !std::isfinite(largest[static_cast<std::size_t>(b)]))
      fail_member(member, "the state is not finite");
    if (!status.alive) setup_.engine->fill(frames + static_cast<std::size_t>(b) * stride, values, kNan);
  }
}

void EnsembleSolver::frame(int member, const CoarsenConfig& coarsen, std::span<float> out) {
  const Member& state = member_(member);
  check_coarsening(coarsen);
  const std::size_t values = frame_size(coarsen.factor);
  require(out.size() == values, "a frame holds {} values, not {}", values, out.size());
  if (!state.status.alive) {
    std::fill(out.begin(), out.end(), kNan);
    return;
  }
  const int size = setup_.engine->group_size();
  std::vector<float> frames(values * static_cast<std::size_t>(size));
  setup_.engine->frame(member / size, 0, coarsen, zonal_axis(), frames.data());
  std::copy_n(frames.data() + static_cast<std::size_t>(member % size) * values, values, out.data());
  if (all_finite(out)) return;
  fail_member(member, "the state is not finite");
  std::fill(out.begin(), out.end(), kNan);
}

std::vector<double> EnsembleSolver::diagnostics(int member) const {
  std::vector<double> physical(state_size());
  state(member, physical);
  return setup_.diagnostics(physical);
}

std::vector<double> EnsembleSolver::array_diagnostics(int member) const {
  if (!setup_.array_diagnostics) return {};
  std::vector<double> physical(state_size());
  state(member, physical);
  return setup_.array_diagnostics(physical);
}

std::vector<std::byte> EnsembleSolver::save(int member) const {
  const Member& state = member_(member);
  const std::string& reason = state.status.reason;
  const SavedHead head{fnv1a(setup_.identity), state.step, state.status.failed_step, state.status.alive,
                       reason.size()};
  std::vector<std::byte> bytes(sizeof head + reason.size() + setup_.engine->state_bytes());
  std::memcpy(bytes.data(), &head, sizeof head);
  std::memcpy(bytes.data() + sizeof head, reason.data(), reason.size());
  setup_.engine->save(member, bytes.data() + sizeof head + reason.size());
  return bytes;
}

void EnsembleSolver::restore(int member, std::span<const std::byte> bytes) {
  member_(member);
  SavedHead head{};
  require(bytes.size() >= sizeof head, "a saved state of {} bytes is too short", bytes.size());
  std::memcpy(&head, bytes.data(), sizeof head);
  require(
      head.identity == fnv1a(setup_.identity),
      "the saved state belongs to another configuration than this solver's ({}); resume with the configuration "
      "that made it",
      setup_.identity);
  const std::size_t body = setup_.engine->state_bytes();
  require(head.reason_size <= bytes.size() && bytes.size() == sizeof head + head.reason_size + body,
          "a saved state has {} bytes; {} expected", bytes.size(), sizeof head + head.reason_size + body);
  Member& state = member_states_[static_cast<std::size_t>(member)];
  state.step = head.step;
  state.status.alive = head.alive != 0;
  state.status.failed_step = head.failed_step;
  state.status.reason.assign(reinterpret_cast<const char*>(bytes.data() + sizeof head), head.reason_size);
  setup_.engine->restore(member, bytes.data() + sizeof head + head.reason_size);
}

}  // namespace sns::spectral
