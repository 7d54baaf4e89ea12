#include "experiments/stage_records.hpp"

#include "core/error.hpp"
#include "emulator/training/checkpoint.hpp"
#include "experiments/rollout.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <fstream>
#include <set>
#include <tuple>

namespace sns {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kRecord = "stage.json";
constexpr std::array kShared = {"dataset", "truth", "models", "rollouts"};  // by experiments of one run
constexpr std::array kNoRecords = {"checkpoints", "data"};                  // large folders that have none

/// Stages of a folder's own record are called stage.json; those that share a folder NAME.stage.json.
bool is_record(const fs::directory_entry& entry) {
  const std::string name = entry.path().filename().string();
  std::error_code gone;
  return (name == kRecord || name.ends_with(std::string(".") + kRecord)) && entry.is_regular_file(gone);
}

bool may_hold_records(const fs::directory_entry& entry) {
  const fs::path& path = entry.path();
  std::error_code gone;
  return entry.is_directory(gone) && path.extension() != ".previous" &&
         std::find(kNoRecords.begin(), kNoRecords.end(), path.filename()) == kNoRecords.end();
}

/// nullopt where nothing was saved, or what was is damaged.
std::optional<std::int64_t> step_of_unfinished(const fs::path& record, const std::string& stage) {
  const fs::path folder = record.parent_path();
  if (stage.starts_with("rollout/") || stage.starts_with("ensemble/")) {
    const std::string name = record.filename().string();
    return interrupted_step(folder / (name.substr(0, name.size() - (1 + std::string(kRecord).size())) + ".h5"));
  }
  if (!stage.starts_with("train/")) return std::nullopt;
  try {
    return read_training_state(folder / "checkpoints" / "last").step;
  } catch (const Error&) {  // a training that goes on says more of it
    return std::nullopt;
  }
}

/// The folder in the run in which an experiment has its results; empty for the run itself and what is shared.
std::string experiment_of(const fs::path& file, const fs::path& run) {
  const fs::path inside = file.lexically_relative(run), folder = inside.parent_path();
  if (std::find(kShared.begin(), kShared.end(), *inside.begin()) != kShared.end()) return {};
  return (file.filename() == kRecord ? folder.parent_path() : folder).generic_string();
}

StageRecord read(const fs::path& file, const json& record, const fs::path& run) try {
  StageRecord result{.experiment = experiment_of(file, run),
                     .stage = record.value("stage", ""),
                     .state = record.value("state", ""),
                     .seconds = record.value("seconds", 0.0),
                     .begun = record.value("started", ""),
                     .ended = record.value("finished", ""),
                     .shipped = false,
                     .step = {}};
  const json facts = record.value("facts", json::object());
  result.shipped = facts.value("weights", "") == "shipped";
  if (result.state == "running") result.step = step_of_unfinished(file, result.stage);
  return result;
} catch (const json::exception& error) {
  fail("{} is malformed: {}", file.string(), error.what());
}

/// seen: folders that were listed, as links may lead back to them.
void collect(const fs::path& folder, const fs::path& run, std::set<fs::path>& seen,
             std::vector<StageRecord>& found) {
  std::error_code error;
  const fs::path itself = fs::canonical(folder, error);
  fs::directory_iterator at(folder, error);
  if (error == std::errc::no_such_file_or_directory) return;  // a run at work removes folders
  if (!error && !seen.insert(itself).second) return;
  for (; !error && at != fs::directory_iterator(); at.increment(error)) {
    if (may_hold_records(*at))
      collect(at->path(), run, seen, found);
    else if (is_record(*at))
      if (const auto record = read_stage_record(at->path())) found.push_back(read(at->path(), *record, run));
  }
  if (error) fail("cannot list {}: {}", folder.string(), error.message());
}

}  // namespace

std::optional<json> read_stage_record(const fs::path& file) {
  std::ifstream stream(file);  // which another process may set aside at any time
  if (!stream) return std::nullopt;
  json record = json::parse(stream, nullptr, false);
  if (record.is_discarded() || !record.is_object() || !record.contains("hash")) return std::nullopt;
  return record;
}

std::vector<StageRecord> stage_records(const fs::path& folder) {
  std::vector<StageRecord> found;
  std::set<fs::path> seen;
  collect(folder, folder, seen, found);
  std::sort(found.begin(), found.end(), [](const StageRecord& a, const StageRecord& b) {
    return std::tie(a.experiment, a.begun, a.stage) < std::tie(b.experiment, b.begun, b.stage);
  });
  return found;
}

}  // namespace sns
