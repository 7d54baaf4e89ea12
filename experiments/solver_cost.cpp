#include "core/error.hpp"
#include "experiments/evaluate.hpp"
#include "solvers/solver.hpp"

#include <chrono>

namespace sns {

SolverCost measure_solver_cost(Section& block, std::int64_t steps_per_frame, int members, int threads,
                               const std::string& device, double seconds) {
  const auto solver = make_solver(block, 0, members, threads, device);
  const SolverInfo& info = solver->info();
  for (int m = 0; m < members; ++m) solver->initialise(m, static_cast<std::uint64_t>(m));
  solver->advance(steps_per_frame);  // planning and first touch are not what is timed
  std::vector<float> frames(static_cast<std::size_t>(members) * solver->frame_size(1));
  const auto start = std::chrono::steady_clock::now();
  double elapsed = 0;
  std::int64_t done = 0;
  while (elapsed < seconds) {
    solver->record({.frames = 1, .steps_per_frame = steps_per_frame, .coarsen = {}}, frames);
    ++done;
    elapsed = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  for (int m = 0; m < members; ++m)
    require(solver->status(m).alive, "the solver failed while it was timed: {}", solver->status(m).reason);
  SolverCost cost;
  cost.member_frames_per_second = static_cast<double>(done * members) / elapsed;
  cost.steps_per_frame = steps_per_frame;
  cost.points = static_cast<int>(info.axes.front().coordinates.size());
  cost.members = members;
  cost.threads = threads;
  cost.precision = info.precision;
  cost.backend = info.backend;
  return cost;
}

}  // namespace sns
