#pragma once
// One file of a data set, in a superset of The Well's HDF5 layout (docs/file_format.md).
#include "datagen/frame_log.hpp"
#include "datagen/plan.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace sns {

/// A trajectory that ended early and is left out of the data.
struct FailedTrajectory {
  std::uint64_t trajectory = 0;
  std::int64_t step = -1;
  std::string reason;
};

struct WellFileInput {
  const DatagenPlan& plan;
  const SolverInfo& info;
  const std::string& identity;  ///< identity_yaml
  TrajectoryGroup group;
  std::vector<FailedTrajectory> failed;
  double wall_seconds = 0;
};

/// The members of /scalars: what tells this data set from others, and how its frames were taken.
std::vector<std::pair<std::string, double>> scalars_of(const DatagenPlan& plan, const SolverInfo& info);

/// Frames per HDF5 chunk and per pass of the writer: 16, fewer where frames are large.
std::int64_t chunk_frames(std::int64_t frames, std::size_t frame_values);

/// Writes the surviving trajectories of a group from its frame log, whose record r holds
/// [member][field][axis0][axis1] float32 of all members at DatagenPlan::step_of(r). Sets `complete` last and
/// syncs; the caller renames. Memory does not depend on the number of frames.
void write_well_file(const std::filesystem::path& path, const WellFileInput& input, const FrameLog& log);

/// Hash of one frame, all fields [field][axis0][axis1] in order: /provenance/frame_hash.
std::uint64_t frame_hash(std::span<const float> fields);

}  // namespace sns
