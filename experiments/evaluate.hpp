#pragma once
// Metrics of rollouts against the solver. Reads a truth set and rollout files, writes
// <output>/metrics.json, metrics.csv and curves.h5, and prints a table. Definitions: docs/metrics.md.
#include "core/config.hpp"
#include "experiments/metrics/step_time.hpp"
#include "experiments/report.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace sns {

/// The `evaluate` block.
struct EvaluateConfig {
  int bootstrap = 2000;       ///< resamples of initial conditions
  double confidence = 0.95;   ///< of all intervals
  std::int64_t window = 250;  ///< frames per window of the spectrum error
  std::string spectrum =
      "shells";  ///< shells (kinetic energy by integer shells, of each layer) | pv (the same of potential
                 ///< enstrophy) | paper (as in the paper's figures) | paper_qg_pv (paper, two-layer flow only)
  int first_shell = 1;  ///< spectrum error: first bin used
  int last_shell = 0;   ///< last bin used; 0 = last one that the grid resolves in every direction (N/2 - 1)
  double energy_factor = 2;    ///< kappa: unstable beyond [min/kappa, kappa max] of truth's energy or enstrophy
  double frozen_factor = 0.1;  ///< frozen where the rate of change is below this fraction of truth's mean
  int lags = 200;              ///< longest lag of C(tau), frames
  std::int64_t temporal_window = 250;  ///< steps at either end whose C(tau) and R(t) are kept in full
  std::vector<double> correlation_thresholds = {0.9, 0.8, 0.5};
};
void read(Section& evaluate, EvaluateConfig& config);

/// One rollout to judge. The order is the row order of tables and figures.
struct EvaluateMethod {
  std::string name;                                              ///< user-chosen ("gaussian", "sns")
  std::filesystem::path file;                                    ///< rollouts/<name>.h5
  std::optional<std::filesystem::path> ensemble = std::nullopt;  ///< short rollouts of several members each
};

/// What the solver needs for the same simulated time, measured on the same machine.
struct SolverCost {
  double milliseconds_per_step = 0;  ///< wall clock of one frame interval of one member
  double steps_per_second = 0;       ///< frame intervals of the whole batch
  std::int64_t steps_per_frame = 0;  ///< solver steps per frame interval
  int points = 0;                    ///< solver grid points per axis
  int members = 0;                   ///< in the timed batch
  int threads = 0;
  std::string precision, backend;
  std::vector<metrics::Block> blocks = {};  ///< of the time it was run for
};

struct SolverTiming {
  std::uint64_t seed = 0;                  ///< the run's
  std::vector<std::int64_t> trajectories;  ///< ids whose initial states are taken, in turn; at least one
  std::int64_t steps_per_frame = 1;        ///< solver steps per frame interval
  int members = 1;
  int threads = 1;
  std::string device = "cpu";
  double seconds = 2;  ///< of wall clock, about
};
/// Times the configured solver from the initial states of these trajectories. nullopt, after one warning, where
/// a state cannot be advanced: no number is better than one for a batch that has lost members.
std::optional<SolverCost> measure_solver_cost(Section& solver, const SolverTiming& timing);

struct EvaluateInputs {
  /// Data-set folder of solver trajectories. Those whose id occurs in a rollout's /member are its paired
  /// truth (frame 0 = initial condition); all others are the independent floor members.
  std::filesystem::path truth;
  std::vector<EvaluateMethod> methods;
  std::optional<std::filesystem::path> solver_ensemble;  ///< of the solver that made the truth
  std::filesystem::path output;                          ///< evaluation folder; created
  EvaluateConfig config;
  FigureConfig figure;  ///< columns and member decide which snapshots are stored
  std::uint64_t seed = 0;
  std::optional<SolverCost> solver_cost;  ///< nullopt: left out of the table
  int threads = 0;                        ///< 0: default_threads()
};

/// Memory is bounded by a chunk of frames per member plus the curves, whatever the rollouts' length.
/// Error: missing or incomplete files, shapes or times that do not match truth's, no paired member.
void evaluate_rollouts(const EvaluateInputs& inputs);

}  // namespace sns
