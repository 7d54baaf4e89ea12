#include "core/clock.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "experiments/evaluate.hpp"
#include "solvers/solver.hpp"

#include <vector>

namespace sns {
namespace {

/// Why the first lost member is lost; empty if all live.
std::string loss(const Solver& solver) {
  for (int m = 0; m < solver.members(); ++m)
    if (const MemberStatus status = solver.status(m); !status.alive) return status.reason;
  return "";
}

}  // namespace

std::optional<SolverCost> measure_solver_cost(Section& block, const SolverTiming& timing) {
  require(!timing.trajectories.empty(), "the solver cannot be timed without a trajectory to start from");
  const auto solver = make_solver(block, timing.seed, timing.members, timing.threads, timing.device);
  const auto give_up = [](const std::string& why) {
    log::warn("the solver's cost is left out, it could not be timed: {}", why);
    return std::nullopt;
  };
  try {
    for (int m = 0; m < timing.members; ++m) {
      const auto turn = static_cast<std::size_t>(m) % timing.trajectories.size();
      solver->initialise(m, static_cast<std::uint64_t>(timing.trajectories[turn]));
    }
  } catch (const InitialStateError& error) {
    return give_up(error.what());
  }
  solver->advance(timing.steps_per_frame);  // planning and first touch are not what is timed
  std::vector<float> frames(static_cast<std::size_t>(timing.members) * solver->frame_size(1));
  std::vector<metrics::Seconds> seconds;
  const auto start = Clock::now();
  double elapsed = 0;
  while (elapsed < timing.seconds) {
    const double cpu_begin = cpu_seconds(), begin = elapsed;
    solver->record({.frames = 1, .steps_per_frame = timing.steps_per_frame, .coarsen = {}}, frames);
    elapsed = seconds_since(start);
    seconds.push_back({.wall = elapsed - begin, .cpu = cpu_seconds() - cpu_begin});
  }
  const auto done = static_cast<std::int64_t>(seconds.size());
  if (const std::string why = loss(*solver); !why.empty()) return give_up(why);
  const SolverInfo& info = solver->info();
  SolverCost cost;
  cost.milliseconds_per_step = 1e3 * elapsed / static_cast<double>(done * timing.members);
  cost.steps_per_second = static_cast<double>(done) / elapsed;
  cost.steps_per_frame = timing.steps_per_frame;
  cost.points = static_cast<int>(info.axes.front().coordinates.size());
  cost.members = timing.members;
  cost.threads = timing.threads;
  cost.precision = info.precision;
  cost.backend = info.backend;
  cost.blocks = metrics::blocks_of(seconds, std::vector<std::int64_t>(seconds.size(), timing.members));
  return cost;
}

}  // namespace sns
