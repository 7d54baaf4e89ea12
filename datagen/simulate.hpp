#pragma once
// Runs a solver and writes its frames and diagnostics to one file.
#include "datagen/plan.hpp"
#include "datagen/solver_source.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace sns {

/// States given in a file, instead of the configured initial condition.
struct InitialStates {
  int members = 0;
  std::vector<double> values;  ///< [member][field][axis0][axis1]
  std::string address;         ///< FILE.h5:/path
  std::string hash;            ///< of the values
  int resampled_from = 0;      ///< points per side of the grid that they were given on; 0: the solver's
};

/// Reads FILE.h5:/path: (axis0, axis1) or (member, axis0, axis1), with a field axis before the space axes where
/// the system has several fields; float32 or float64. With `resample`, states on other grids of the same domain
/// are brought to the solver's by their Fourier modes. Error for a missing file or dataset, another shape or
/// type, or a value that is not finite (all named).
InitialStates read_initial_states(const std::string& address, const SolverInfo& info, bool resample = false);

struct SimulatePlan {
  std::uint64_t seed = 0;
  int members = 1;
  std::int64_t steps = 1000;
  std::int64_t every = 100;              ///< steps between frames
  std::int64_t diagnostics_every = 100;  ///< steps between diagnostics; default: as frames
  bool arrays = false;                   ///< of the diagnostics, the arrays beside the scalars
  CoarsenConfig coarsen;
  bool full = false;  ///< frames on the solver's grid in the solver's precision, instead of coarsened float32
  std::optional<InitialStates> initial;
};

/// Reads the `simulate` block: {members, steps, every, diagnostics_every, diagnostics, coarsen}.
SimulatePlan read_simulate_plan(Section simulate, std::uint64_t seed);

struct SimulateOptions {
  std::filesystem::path output;
  bool resume = false;             ///< go on with an interrupted run, or lengthen a finished one
  bool overwrite = false;          ///< replace an existing output
  double checkpoint_seconds = 30;  ///< between checkpoints
};

/// Writes frames 0, every, 2 every, ... (frame 0 is the initial state) of all members, with NaN after a member
/// failed. Until it is complete, the run lies in <output>.partial, from which it is resumed bit for bit.
/// Throws Stopped (resumable), ConfigError if the output exists or belongs to another run, Error if all
/// members failed (what was recorded is written nevertheless) or the disk is full.
void simulate(const SimulatePlan& plan, const SolverSource& source, const std::string& config_yaml,
              const SimulateOptions& options);

/// `scalars` or `all`.
const std::vector<std::string>& diagnostics_kinds();

/// The diagnostics that a run writes, in the order of its records.
std::vector<DiagnosticInfo> written_diagnostics(const SimulatePlan& plan, const SolverInfo& info);
/// Values of one member's diagnostics at one time.
std::size_t diagnostic_values(const SimulatePlan& plan, const SolverInfo& info);

/// Size of the frames and diagnostics of a run [bytes].
std::uint64_t simulate_bytes(const SimulatePlan& plan, const SolverInfo& info);
/// float64 frames are written only in full output of a float64 solver.
bool writes_float64(const SimulatePlan& plan, const SolverInfo& info);
/// Full output of systems that say so holds all fields in one array.
bool writes_stacked(const SimulatePlan& plan, const SolverInfo& info);
/// Values of one member's frame, all fields.
std::size_t simulate_frame_values(const SimulatePlan& plan, const SolverInfo& info);

}  // namespace sns
