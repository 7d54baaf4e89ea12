#pragma once
// What a data set consists of: which trajectories, which of their steps become frames, which file and split
// each belongs to. A plan and a solver block determine every byte of the data arrays.
#include "core/config.hpp"
#include "solvers/solver.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace sns {

/// Reads a `coarsen` block: {factor: 2, kind: spectral | spectral_filtered | block_mean | none,
/// remove: zonal_mean | none}.
CoarsenConfig read_coarsen(Section section);
const char* name(Coarsening kind);
const char* name(Removal removal);

/// A named part of the data set; splits follow one another in trajectory ids.
struct Split {
  std::string name;  ///< train | valid | test
  std::int64_t trajectories = 0;
};

/// Trajectories that share one file.
struct TrajectoryGroup {
  std::string split;
  std::uint64_t first = 0;  ///< trajectory id
  std::int64_t count = 0;
};

struct DatagenPlan {
  std::string name = "dataset";  ///< stem of the file names
  std::uint64_t seed = 0;
  std::uint64_t first_trajectory = 0;
  std::int64_t spinup_steps = 0;            ///< before the first frame
  std::int64_t steps_per_frame = 1;         ///< between frames
  std::int64_t frames = 1;                  ///< per sample
  std::int64_t samples_per_trajectory = 1;  ///< windows taken from one trajectory
  std::int64_t decorrelation_steps = 0;     ///< further steps between two windows
  CoarsenConfig coarsen;
  std::vector<Split> splits;
  int trajectories_per_file = 8;
  bool deflate = false;
  std::string licence = "CC-BY-4.0";
  /// Folder that keeps spun-up states for later data sets; empty = none. No part of the identity.
  std::string spinup_cache;

  std::int64_t trajectories() const;
  /// Files in the order of their trajectory ids. A file never crosses a split.
  std::vector<TrajectoryGroup> groups() const;
  /// Frames recorded from one trajectory.
  std::int64_t records() const { return samples_per_trajectory * frames; }
  /// Step (since the initial state) at which record r is taken: the first frame of window w lies at
  /// spinup + w (frames steps_per_frame + decorrelation), so that windows neither overlap nor repeat a frame.
  std::int64_t step_of(std::int64_t record) const;
  /// "kolmogorov_000008", without folder and extension.
  std::string stem(const TrajectoryGroup& group) const;
};

/// Reads the `datagen` block. Splits are contiguous ranges of trajectory ids, by fraction, with at least one
/// trajectory in every split whose fraction is not zero.
DatagenPlan read_datagen_plan(Section datagen, const std::string& name, std::uint64_t seed);

/// Splits `trajectories` by fractions {train, valid, test}; empty splits are left out.
std::vector<Split> split_trajectories(std::int64_t trajectories, const std::vector<double>& fractions);

/// The plan and its solver as YAML: equal texts mean equal data arrays. It is stored as config.yaml beside the
/// data and in every file.
std::string identity_yaml(const DatagenPlan& plan, const SolverInfo& info, const std::string& solver_yaml);

/// The plan with the labels and the packing (name, licence, compression, trajectories per file) of the data set
/// in a folder, where that has the plan's frames; otherwise, or where there is none, the plan as it is.
DatagenPlan packed_as_in(const std::filesystem::path& folder, DatagenPlan plan, const SolverInfo& info,
                         const std::string& solver_yaml);

/// Whether a text is such a one, of this version or an earlier one.
bool is_identity(const std::string& text);

/// The data set's name in such a text.
std::string name_in_identity(const std::string& identity);

/// ConfigError unless every axis can be divided by the coarsening factor into an even number of points.
void require_divisible(const SolverInfo& info, const CoarsenConfig& coarsen);
/// ConfigError if some trajectories would start from no state, or from one that others start from as well.
void require_initial_states(const SolverInfo& info, const DatagenPlan& plan);
/// Long name of a field in coarsened frames, which says what was removed.
std::string stored_name(const FieldInfo& field, const CoarsenConfig& coarsen);
/// Axes of the stored frames: subsampled points for spectral coarsening, cell centres for block means.
std::vector<Axis> coarse_axes(const SolverInfo& info, const CoarsenConfig& coarsen);

}  // namespace sns
