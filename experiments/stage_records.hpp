#pragma once
// The records that stages leave in a run folder (stage.json), for whoever looks at it.
#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace sns {

/// The record, or nullopt where there is none that can be read.
std::optional<nlohmann::json> read_stage_record(const std::filesystem::path& file);

/// What a record says of its stage.
struct StageRecord {
  std::string experiment;            ///< folder in the run that holds its results; empty for what runs share
  std::string stage;                 ///< "train/sns"
  std::string state;                 ///< running (or interrupted), finished or skipped
  double seconds = 0;                ///< wall-clock time so far, of sessions that were stopped in good order
  std::string begun, ended;          ///< UTC; the latter empty where it has not
  bool shipped = false;              ///< its weights were not trained in this run
  std::optional<std::int64_t> step;  ///< that a training or rollout which has not ended goes on from
};

/// The records below a folder, what experiments share first, each experiment's in the order they were begun.
/// Links are followed; results that were set aside for others are left out. Error if a record is malformed, or
/// a folder cannot be read.
std::vector<StageRecord> stage_records(const std::filesystem::path& folder);

}  // namespace sns
