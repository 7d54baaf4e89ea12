#pragma once
// The file that `sns simulate` writes.
#include "datagen/checkpoint.hpp"
#include "datagen/frame_log.hpp"
#include "datagen/simulate.hpp"

#include <filesystem>
#include <string>

namespace sns {

/// Writes the logs of a run as one HDF5 file, atomically, and the state from which it can be lengthened.
/// frames: records [member][field][axis0][axis1]; diagnostics: records [member][diagnostic], float64,
/// those of written_diagnostics one after another.
void write_simulation(const std::filesystem::path& output, const SimulatePlan& plan, const SolverInfo& info,
                      const std::string& config_yaml, const std::string& made_of, const Checkpoint& state,
                      const FrameLog& frames, const FrameLog& diagnostics);

/// State at the end of a finished run.
Checkpoint read_simulation_state(const std::filesystem::path& output);

/// Inverse of write_simulation: appends the recorded frames and diagnostics of a finished run to empty logs.
void read_simulation(const std::filesystem::path& output, const SimulatePlan& plan, const SolverInfo& info,
                     FrameLog& frames, FrameLog& diagnostics);

}  // namespace sns
