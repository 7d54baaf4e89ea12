#include "experiments/stage_records.hpp"

#include "core/error.hpp"
#include "emulator/training/checkpoint.hpp"
#include "experiments/rollout.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <fstream>
#include <tuple>

namespace sns {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kRecord = "stage.json";

/// Stages of a folder's own record are called stage.json; those that share a folder NAME.stage.json.
bool is_record(const fs::path& file) {
  const std::string name = file.filename().string();
  return name == kRecord || name.ends_with(std::string(".") + kRecord);
}

/// Whether experiments that share a run have their own.
bool of_experiment(const std::string& stage) {
  constexpr std::array kOwn = {"evaluate", "oracle", "figure", "video", "report"};
  return std::find(kOwn.begin(), kOwn.end(), stage) != kOwn.end();
}

std::optional<std::int64_t> step_of_unfinished(const fs::path& record, const std::string& stage) {
  const fs::path folder = record.parent_path();
  if (stage.starts_with("rollout/") || stage.starts_with("ensemble/")) {
    const std::string name = record.filename().string();
    return interrupted_step(folder / (name.substr(0, name.size() - (1 + std::string(kRecord).size())) + ".h5"));
  }
  const fs::path last = folder / "checkpoints" / "last";
  if (stage.starts_with("train/") && fs::exists(last / "state.json")) return read_training_state(last).step;
  return std::nullopt;
}

StageRecord read(const fs::path& file, const json& record, const fs::path& run) try {
  StageRecord result{.experiment = {},
                     .stage = record.value("stage", ""),
                     .state = record.value("state", ""),
                     .seconds = record.value("seconds", 0.0),
                     .begun = record.value("started", ""),
                     .ended = record.value("finished", ""),
                     .shipped = false,
                     .step = {}};
  const json facts = record.value("facts", json::object());
  result.shipped = facts.value("weights", "") == "shipped";
  if (of_experiment(result.stage)) {
    const fs::path folder = file.parent_path();
    const fs::path results =
        (file.filename() == kRecord ? folder.parent_path() : folder).lexically_relative(run);
    if (results != "." && *results.begin() != "..") result.experiment = results.generic_string();
  }
  if (result.state == "running") result.step = step_of_unfinished(file, result.stage);
  return result;
} catch (const json::exception& error) {
  fail("{} is malformed: {}", file.string(), error.what());
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
  const fs::path run = folder.lexically_normal() / "";  // as its files' paths begin
  std::vector<StageRecord> found;
  std::error_code gone;  // of what a run at work removes meanwhile
  for (fs::recursive_directory_iterator at(run, gone), end; at != end; at.increment(gone)) {
    if (at->is_directory(gone) && at->path().extension() == ".previous") at.disable_recursion_pending();
    if (!is_record(at->path())) continue;
    if (const auto record = read_stage_record(at->path())) found.push_back(read(at->path(), *record, run));
  }
  std::sort(found.begin(), found.end(), [](const StageRecord& a, const StageRecord& b) {
    return std::tie(a.experiment, a.begun, a.stage) < std::tie(b.experiment, b.begun, b.stage);
  });
  return found;
}

}  // namespace sns
