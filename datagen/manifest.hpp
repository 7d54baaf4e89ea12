#pragma once
// MANIFEST.jsonl and the files that it names: what a finished data set says about itself.
#include "datagen/plan.hpp"
#include "datagen/statistics.hpp"
#include "datagen/well_file.hpp"

#include <nlohmann/json_fwd.hpp>

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace sns {

/// One line of the manifest: a data file and what it holds.
struct FileRecord {
  std::string path;  ///< relative to the data set folder; empty if all trajectories of the group failed
  TrajectoryGroup group;
  std::uint64_t bytes = 0;
  std::string sha256;     ///< of the file
  std::string data_hash;  ///< of the frames alone: equal whenever and however the file was made
  std::int64_t samples = 0;
  std::vector<std::int64_t> trajectories;  ///< that are in the file
  std::vector<FailedTrajectory> failed;
  Statistics statistics;
};

nlohmann::json to_json(const FileRecord& record);
FileRecord file_record_from_json(const nlohmann::json& json);

/// Reads a finished file back: hashes and statistics. Error if a value is not finite.
FileRecord describe_file(const std::filesystem::path& file, const std::string& relative_path,
                         const TrajectoryGroup& group);

/// A file of the data set that holds no frames: config.yaml, stats.yaml, <name>.yaml, README.md.
struct PlainFile {
  std::string path;
  std::uint64_t bytes = 0;
  std::string sha256;
};

struct Manifest {
  std::string config_hash;
  std::string data_hash;
  std::vector<FileRecord> files;
  std::vector<PlainFile> plain;
};

/// Error if it is missing, unreadable, or does not fit its own checksum.
Manifest read_manifest(const std::filesystem::path& folder);

/// Whether the record's file lies in the data set's folder, in full size, or never was to.
bool is_whole(const std::filesystem::path& folder, const FileRecord& record);

/// The first data file of a finished data set that is missing or has another size than the manifest says, in
/// words; nullopt where all are whole, or where the manifest itself cannot be read. Looks at sizes only:
/// `verify` reads.
std::optional<std::string> missing_data(const std::filesystem::path& folder);

/// Whether a data set that is not finished holds files or checkpoints to go on from.
bool has_partial_data(const std::filesystem::path& folder);

/// Writes stats.yaml, <name>.yaml, README.md and, last, MANIFEST.jsonl; config.yaml must be there.
void write_manifest(const std::filesystem::path& folder, const DatagenPlan& plan, const SolverInfo& info,
                    const std::string& identity, const std::vector<FileRecord>& records);

/// Statistics of the train split, or of everything where there is none, and which of the two.
std::pair<Statistics, std::string> training_statistics(const std::vector<FileRecord>& records);

}  // namespace sns
