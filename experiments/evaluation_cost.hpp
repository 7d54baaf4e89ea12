#pragma once
// What methods cost, beside the solver that made the data and beside coarser solvers whose metrics are as good:
// only there is faster a speed-up, and only where none of theirs is better.
#include "experiments/evaluation.hpp"
#include "experiments/evaluation_json.hpp"

#include <string>
#include <vector>

namespace sns {

/// The clock by which times are compared: CPU time, which other work on the machine disturbs less,
/// where all methods and the solver that made the data ran on one thread of a CPU and have such times on
/// record; else the one on the wall.
metrics::CostClock cost_clock(const Evaluation& evaluation);

/// A method's time per step over that of the solver that made the data; NaN unless both were measured on the
/// same device and as many threads. Bounds: of how both varied while they ran, NaN where that is not on record.
metrics::Estimate times_solver(const metrics::RolloutLog& log, const Evaluation& evaluation);

/// Simulated time that all members together cover in a second of wall clock, per member of the batch's worth of
/// work: the time between frames over the wall clock of one step of one member.
double simulated_per_second(double interval, double milliseconds_per_step);

/// An emulator beside the solvers that are methods.
struct SpeedComparison {
  std::string method;
  metrics::Estimate times_reference{};  ///< times_solver()
  int lost = 0;  ///< members that leave the stable range; with any, no solver is looked for
  /// Cheapest solver whose metrics are statistically as good, of those that ran on the same device and as many
  /// threads, or else the coarsest of the others; empty: none is.
  std::string equal_solver;
  int equal_points = 0;
  metrics::Estimate times_equal{};    ///< time per step over that solver's; NaN: none, or not comparable
  std::vector<std::string> worse_in;  ///< ids of the metrics in which that solver is better: where there are
                                      ///< any, faster is no speed-up
  /// Cheaper solvers that are not as good, and the ids of the metrics in which the emulator is better.
  std::vector<std::pair<std::string, std::vector<std::string>>> better_than;
};
/// The metrics that decide: docs/metrics.md, "Coarse solvers and claims of speed".
const std::vector<std::string>& quality_metrics();
/// One for each method that is not a solver.
std::vector<SpeedComparison> compare_speed(const Evaluation& evaluation);

Json cost_json(const metrics::RolloutLog& log, const Evaluation& evaluation);
/// Of the solver that made the data; null where it was not timed.
Json solver_cost_json(const Evaluation& evaluation);
Json speed_json(const std::vector<SpeedComparison>& comparisons);
/// Rows of metrics.csv.
std::string cost_csv(const Evaluation& evaluation);
/// Rows of the terminal's table; the solver stands in the floor's column, which is made of solver runs.
std::vector<std::vector<std::string>> cost_rows(const Evaluation& evaluation);

}  // namespace sns
