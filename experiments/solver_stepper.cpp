#include "experiments/solver_stepper.hpp"

#include "core/error.hpp"

#include <ATen/Functions.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <cstring>

namespace sns {

namespace {

constexpr std::int64_t kCourantEvery = 50;  // frames: a look costs about as much as a solver step

/// Bytes in a checkpoint's floats, which carry them as they are.
class ByteWriter {
 public:
  template <class T>
  void put(const T& value) {
    put_bytes(std::as_bytes(std::span(&value, 1)));
  }
  void put_bytes(std::span<const std::byte> bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }
  std::vector<float> floats() const {
    std::vector<float> out((bytes_.size() + sizeof(float) - 1) / sizeof(float));
    std::memcpy(out.data(), bytes_.data(), bytes_.size());
    return out;
  }

 private:
  std::vector<std::byte> bytes_;
};

class ByteReader {
 public:
  explicit ByteReader(std::span<const float> floats) : left_(std::as_bytes(floats)) {}
  template <class T>
  T get() {
    T value;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }
  std::span<const std::byte> take(std::size_t count) {
    require(count <= left_.size(), "the checkpoint's solver states are cut off");
    const auto out = left_.first(count);
    left_ = left_.subspan(count);
    return out;
  }

 private:
  std::span<const std::byte> left_;
};

std::size_t courant_column(const SolverInfo& info) {
  const auto found = std::find_if(info.diagnostics.begin(), info.diagnostics.end(),
                                  [](const DiagnosticInfo& d) { return d.name == "courant"; });
  require(found != info.diagnostics.end(), "the solver of {} tells no Courant number", info.system);
  return static_cast<std::size_t>(found - info.diagnostics.begin());
}

double domain_length(const SolverInfo& info) {
  const auto& x = info.axes.front().coordinates;
  return (x[1] - x[0]) * static_cast<double>(x.size());
}

}  // namespace

SolverMethod read_solver_method(const MethodConfig& method, const RunConfig& run, const SolverInfo& truth,
                                const DatagenPlan& data) {
  Section block = method.solver->root().child("solver");
  if (block.has("initial"))
    block.reject("initial", "has no use here: the solver starts from the frames that emulators start from");
  SolverSource source(*method.solver, run);
  const SolverInfo& info = source.info();
  if (info.system != truth.system)
    block.reject("system", fmt::format("must be the experiment's, {}", truth.system));
  method.solver->finish();
  if (const double length = domain_length(truth); std::abs(domain_length(info) - length) > 1e-9 * length)
    block.child("grid").reject("length", fmt::format("must be the experiment's, {:g}", length));
  const double interval = truth.dt * static_cast<double>(data.steps_per_frame);
  const auto steps = std::llround(interval / info.dt);
  if (steps < 1 || std::abs(static_cast<double>(steps) * info.dt - interval) > 1e-9 * interval)
    block.child("stepper").reject(
        "dt",
        fmt::format("{:g} does not divide the time between frames, {:g}: give {:g} or a smaller part of it",
                    info.dt, interval, interval / static_cast<double>(std::max(steps, 1LL))));
  return {std::move(source), steps};
}

SolverStepper::SolverStepper(std::unique_ptr<Solver> solver, FrameTransfer transfer,
                             std::int64_t steps_per_frame, std::vector<std::int64_t> trajectories,
                             std::vector<double> field_std)
    : solver_(std::move(solver)),
      transfer_(std::move(transfer)),
      steps_per_frame_(steps_per_frame),
      trajectories_(std::move(trajectories)),
      field_std_(std::move(field_std)) {
  require(solver_->members() == static_cast<int>(trajectories_.size()), "{} members for {} trajectories",
          solver_->members(), trajectories_.size());
}

std::vector<int> SolverStepper::living(std::span<const std::int64_t> trajectories) {
  std::vector<int> members;
  for (const std::int64_t id : trajectories) {
    const auto found = std::find(trajectories_.begin(), trajectories_.end(), id);
    require(found != trajectories_.end(), "trajectory {} joined a rollout under way", id);
    members.push_back(static_cast<int>(found - trajectories_.begin()));
  }
  for (int m = 0; m < solver_->members(); ++m)
    if (std::find(members.begin(), members.end(), m) == members.end() && solver_->status(m).alive)
      solver_->retire(m, {false, solver_->step(m), "the rollout gave it up"});
  return members;
}

void SolverStepper::start(const torch::Tensor& initial, const std::vector<int>& members) {
  const torch::Tensor scale = torch::tensor(field_std_, torch::kFloat64).view({1, -1, 1, 1});
  const torch::Tensor physical =
      (initial.to(torch::kCPU, torch::kFloat64) * scale).to(torch::kFloat32).contiguous();
  const auto size = static_cast<std::size_t>(physical.numel() / physical.size(0));
  for (std::size_t b = 0; b < members.size(); ++b) {
    const std::span frame(physical.const_data_ptr<float>() + b * size, size);
    try {
      solver_->set_state(members[b], transfer_.state(frame));
    } catch (const InitialStateError& error) {
      solver_->retire(members[b], {false, 0, error.what()});
    }
  }
  frames_.resize(static_cast<std::size_t>(solver_->members()) * size);
  started_ = true;
}

void SolverStepper::make_frames() {
  const std::size_t size = frames_.size() / static_cast<std::size_t>(solver_->members());
  if (transfer_.native()) return solver_->record({1, steps_per_frame_, *transfer_.native()}, frames_);
  solver_->advance(steps_per_frame_);
  std::vector<double> state(solver_->state_size());
  for (int m = 0; m < solver_->members(); ++m) {
    if (!solver_->status(m).alive) continue;
    solver_->state(m, state);
    transfer_.frame(state, std::span(frames_).subspan(static_cast<std::size_t>(m) * size, size));
  }
}

void SolverStepper::note_courant(const std::vector<int>& members) {
  const std::size_t column = courant_column(solver_->info());
  for (const int m : members)
    if (solver_->status(m).alive)
      largest_courant_ = std::max(largest_courant_, solver_->diagnostics(m).at(column));
}

StepOutcome SolverStepper::advance(const torch::Tensor& initial, const torch::Tensor& x,
                                   std::span<const std::int64_t> trajectories, std::int64_t step) {
  const std::vector<int> members = living(trajectories);
  if (!started_) start(initial, members);
  if (step % kCourantEvery == 1) note_courant(members);
  frames_.resize(static_cast<std::size_t>(solver_->members()) *
                 static_cast<std::size_t>(x.numel() / x.size(0)));
  make_frames();
  StepOutcome out;
  out.next = torch::empty(x.sizes(), torch::kFloat32);
  out.evaluations = torch::zeros({x.size(0), 3}, torch::kInt64);
  const std::size_t size = frames_.size() / static_cast<std::size_t>(solver_->members());
  for (std::size_t b = 0; b < members.size(); ++b) {
    const MemberStatus status = solver_->status(members[b]);
    if (!status.alive) out.stopped.push_back({static_cast<std::int64_t>(b), status.reason});
    std::copy_n(frames_.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(members[b]) * size),
                size, out.next.mutable_data_ptr<float>() + b * size);
  }
  out.next.div_(torch::tensor(field_std_, torch::kFloat64).to(torch::kFloat32).view({1, -1, 1, 1}));
  return out;
}

std::vector<float> SolverStepper::save() const {
  if (!started_) return {};
  ByteWriter out;
  out.put(largest_courant_);
  for (int m = 0; m < solver_->members(); ++m) {
    const std::vector<std::byte> bytes = solver_->save(m);
    out.put(bytes.size());
    out.put_bytes(bytes);
  }
  return out.floats();
}

void SolverStepper::restore(std::span<const float> saved, torch::Device) {
  if (saved.empty()) return;
  ByteReader in(saved);
  largest_courant_ = in.get<double>();
  for (int m = 0; m < solver_->members(); ++m) solver_->restore(m, in.take(in.get<std::size_t>()));
  started_ = true;
}

std::vector<std::pair<std::string, double>> SolverStepper::remarks() const {
  const SolverInfo& info = solver_->info();
  return {{"solver_points", static_cast<double>(info.axes.front().coordinates.size())},
          {"solver_dt", info.dt},
          {"solver_steps_per_frame", static_cast<double>(steps_per_frame_)},
          {"largest_courant", largest_courant_}};
}

}  // namespace sns
