#pragma once
// Makes a data set: every trajectory of a plan, in files of the layout of docs/file_format.md.
#include "datagen/plan.hpp"
#include "datagen/shard.hpp"
#include "datagen/solver_source.hpp"

#include <cstdint>
#include <filesystem>

namespace sns {

struct GenerateOptions {
  int threads = 1;                 ///< CPU threads of the solver: a batch has at least so many members
  Shard shard;                     ///< the files that this process makes
  bool overwrite = false;          ///< replace a data set of another configuration
  double checkpoint_seconds = 60;  ///< between checkpoints of running trajectories
};

struct GenerateReport {
  std::int64_t written = 0;    ///< files made by this call
  std::int64_t kept = 0;       ///< files that were there
  std::int64_t elsewhere = 0;  ///< files that other shards or processes have yet to make
  std::int64_t failed = 0;     ///< trajectories left out, in the whole data set
  bool complete = false;       ///< MANIFEST.jsonl is written
};

/// Makes the files of `options.shard` that are not there, and the manifest once all files are. The data arrays
/// are the same bytes for any number of threads, any sharding and any interruptions; on a device, whose bits
/// may depend on how many trajectories advance together, only where these are the same. Trajectories that fail
/// are recorded and left out. Work in progress lies in <folder>/partial. Throws Stopped (resumable),
/// ConfigError if the folder holds a data set of another plan, or other files that would be replaced, Error if
/// a split has no trajectories left.
GenerateReport generate_dataset(const DatagenPlan& plan, const SolverSource& source,
                                const std::filesystem::path& folder, const GenerateOptions& options);

/// Size of the finished data set, without compression [bytes].
std::uint64_t dataset_bytes(const DatagenPlan& plan, const SolverInfo& info);
/// Members that one solver advances together: those of whole files, but no more than there are trajectories.
int batch_members(const DatagenPlan& plan, const SolverInfo& info, int threads);

}  // namespace sns
