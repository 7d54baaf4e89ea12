#include "experiments/stages.hpp"

#include "core/build_info.hpp"
#include "core/error.hpp"
#include "core/files.hpp"
#include "core/log.hpp"
#include "core/stop.hpp"
#include "core/text.hpp"
#include "experiments/stage_records.hpp"

#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <set>

namespace sns {

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// Which of the recorded inputs differs from the present one.
std::string explain_change(const json& record, const Stage& stage,
                           const std::vector<std::pair<std::string, std::string>>& upstream) {
  const json inputs = record.value("inputs", json::object()), from = record.value("built_from", json::object());
  for (const auto& [key, text] : stage.inputs) {
    if (!inputs.contains(key)) return key + " is new";
    if (inputs[key] != text) {
      const auto [before, now] = first_difference(inputs[key].get<std::string>(), text);
      return fmt::format("{}: {} -> {}", key, before, now);
    }
  }
  for (const auto& [key, hash] : upstream)
    if (from.value(key, std::string()) != hash) return key + " changed";
  if (record.value("version", 0) != stage.version) return "made by another version of the software";
  return "its inputs changed";
}

/// Bytes of each HDF5 output, by its path from the record's folder, so that the whole may be moved. Other
/// outputs are small, and weights that a user has put in place of trained ones are checked where they are
/// loaded.
json output_sizes(const Stage& stage) {
  json sizes = json::object();
  for (const fs::path& output : stage.outputs)
    if (output.extension() == ".h5" && fs::is_regular_file(output))
      sizes[output.lexically_relative(stage.record.parent_path()).generic_string()] = fs::file_size(output);
  return sizes;
}

/// What is wrong with the outputs of a finished stage: one that has been cut short since, by a full disk or a
/// broken copy. Longer ones are left alone: users may add to a file. nullopt where nothing is; records of
/// earlier versions have no sizes.
std::optional<std::string> explain_truncation(const json& record, const Stage& stage) {
  const json recorded = record.value("sizes", json::object()), present = output_sizes(stage);
  for (const auto& [output, bytes] : present.items())
    if (const auto before = recorded.value(output, std::uintmax_t{0}); bytes.get<std::uintmax_t>() < before)
      return fmt::format("{} has {} of {} bytes", output, bytes.get<std::uintmax_t>(), before);
  return std::nullopt;
}

/// The finished results of a stage and their record, moved to NAME.previous while other ones are made: nothing
/// finished is lost to a run that is stopped or turns out to be impossible (no disk space, a failing solver).
class SetAside {
 public:
  explicit SetAside(const Stage& stage) : stage_(stage), paths_(stage.leftovers) {
    if (!with_a_leftover(stage.record)) paths_.push_back(stage.record);
  }

  /// The record of what lies aside, or nullopt where nothing does.
  std::optional<json> record() const { return read_stage_record(place_of(stage_.record)); }
  /// Whether all outputs lie aside.
  bool complete() const {
    return std::all_of(stage_.outputs.begin(), stage_.outputs.end(),
                       [&](const fs::path& output) { return fs::exists(place_of(output)); });
  }
  /// Moves all that is there. Where an earlier run left something aside already, that is the finished result
  /// and what stands in its place is an unfinished one, which goes.
  void move() const {
    for (const fs::path& path : paths_) {
      const auto lock = lock_of(path);
      if (fs::exists(aside(path)))
        fs::remove_all(path);
      else if (fs::exists(path))
        fs::rename(path, aside(path));
    }
  }
  void discard() const {
    for (const fs::path& path : paths_) fs::remove_all(aside(path));
  }
  /// Puts back what lies aside, in place of what an unfinished run left there. The record goes last: without it
  /// nothing counts as finished.
  void restore() const {
    for (const fs::path& path : paths_) {
      if (!fs::exists(aside(path))) continue;
      const auto lock = lock_of(path);
      fs::remove_all(path);
      fs::rename(aside(path), path);
    }
  }

 private:
  /// Of a folder in which trainings or generators work, which may be under way in another process: nothing is
  /// taken away from under it.
  static std::unique_ptr<FolderLock> lock_of(const fs::path& path) {
    return fs::exists(path / ".lock") ? std::make_unique<FolderLock>(path) : nullptr;
  }
  static fs::path aside(const fs::path& path) { return path.string() + ".previous"; }
  /// Where a file that belongs to a leftover lies when that is aside; nullopt for other files.
  std::optional<fs::path> with_a_leftover(const fs::path& file) const {
    for (const fs::path& path : stage_.leftovers) {
      const fs::path inside = file.lexically_relative(path);
      if (inside == ".") return aside(path);
      if (!inside.empty() && *inside.begin() != "..") return aside(path) / inside;
    }
    return std::nullopt;
  }
  fs::path place_of(const fs::path& file) const { return with_a_leftover(file).value_or(aside(file)); }

  const Stage& stage_;
  std::vector<fs::path> paths_;
};

bool is_resumable(const Stage& stage) {
  return stage.resumable && stage.resumable();
}

}  // namespace

const char* name(StageState state) {
  switch (state) {
    case StageState::finished:
      return "finished";
    case StageState::interrupted:
      return "interrupted";
    case StageState::changed:
      return "changed";
    case StageState::missing:
      break;
  }
  return "missing";
}

void StageGraph::add(Stage stage) {
  require(!contains(stage.name), "stage {} is added twice", stage.name);
  for (const auto* list : {&stage.built_from, &stage.after})
    for (const std::string& other : *list)
      require(contains(other), "stage {} needs {}, which is not there yet", stage.name, other);
  stages_.push_back(std::move(stage));
}

bool StageGraph::contains(const std::string& name) const {
  return std::any_of(stages_.begin(), stages_.end(), [&](const Stage& s) { return s.name == name; });
}

std::vector<std::string> StageGraph::names() const {
  std::vector<std::string> out;
  for (const Stage& stage : stages_) out.push_back(stage.name);
  return out;
}

const Stage& StageGraph::stage(const std::string& name) const {
  for (const Stage& stage : stages_)
    if (stage.name == name) return stage;
  fail("there is no stage {}", name);
}

std::string StageGraph::hash(const std::string& name) const {
  const Stage& stage = this->stage(name);
  // JSON quotes its strings: no two different sets of inputs give one text.
  json text = {{"stage", stage.name}, {"version", stage.version}, {"inputs", stage.inputs}};
  for (const std::string& upstream : stage.built_from) text["built_from"][upstream] = hash(upstream);
  return sha256(text.dump());
}

StageStatus StageGraph::status(const std::string& name) const {
  const Stage& stage = this->stage(name);
  StageStatus status{name, StageState::missing, stage.unmade, hash(name), 0, {}, false};
  const auto finish = [&](const json& record) {
    status.state = StageState::finished;
    status.reason.clear();
    status.seconds = record.value("seconds", 0.0);
    status.facts = record.value("facts", StageFacts{});
  };
  const auto record = read_stage_record(stage.record);
  // Without a record what is in place is somebody's, a training of `sns train`, say, and not taken away.
  const bool made = std::all_of(stage.outputs.begin(), stage.outputs.end(),
                                [](const fs::path& output) { return fs::exists(output); });
  if (!record && (made || is_resumable(stage))) return status;
  if (!record || record->at("hash") != status.hash) {
    const SetAside previous(stage);
    const auto kept = previous.record();
    if (kept && kept->at("hash") == status.hash && kept->value("state", "") == "finished" &&
        previous.complete()) {
      finish(*kept);
      status.aside = true;
      return status;
    }
    if (!record) return status;
    std::vector<std::pair<std::string, std::string>> upstream;
    for (const std::string& other : stage.built_from) upstream.emplace_back(other, hash(other));
    status.state = StageState::changed;
    status.reason = explain_change(*record, stage, upstream);
    return status;
  }
  const std::string state = record->value("state", "");
  if (state == "skipped") {
    status.reason = "could not be made last time";
    return status;
  }
  if (state != "finished") {
    status.state = StageState::interrupted;
    status.reason = "was interrupted: continues";
    return status;
  }
  for (const fs::path& output : stage.outputs)
    if (!fs::exists(output)) {
      status.reason = fmt::format("{} is missing", output.filename().string());
      return status;
    }
  if (const auto gap = stage.gap ? stage.gap() : std::nullopt) {
    status.reason = *gap;
    return status;
  }
  if (const auto truncated = explain_truncation(*record, stage)) {
    status.state = StageState::changed;  // what is left of it must not be continued
    status.reason = *truncated;
    return status;
  }
  finish(*record);
  if (const auto without = record->value("without", std::vector<std::string>{}); !without.empty()) {
    status.state = StageState::missing;
    status.reason = fmt::format("was made without {}", fmt::join(without, " and "));
  }
  return status;
}

std::vector<StageStatus> StageGraph::plan(const std::vector<std::string>& targets) const {
  std::set<std::string> needed;
  const std::function<void(const std::string&)> need = [&](const std::string& name) {
    if (!needed.insert(name).second) return;
    const Stage& stage = this->stage(name);
    for (const auto* list : {&stage.built_from, &stage.after})
      for (const std::string& other : *list) need(other);
  };
  for (const std::string& target : targets) need(target);
  std::vector<StageStatus> out;
  for (const Stage& stage : stages_)
    if (needed.contains(stage.name)) out.push_back(status(stage.name));
  return out;
}

void StageGraph::restore(const std::vector<std::string>& targets) {
  for (const StageStatus& status : plan(targets))
    if (status.aside) SetAside(stage(status.name)).restore();
}

std::vector<StageStatus> StageGraph::ready(const std::vector<std::string>& targets) const {
  const std::vector<StageStatus> planned = plan(targets);
  const auto finished = [&](const std::string& name) {
    return std::any_of(planned.begin(), planned.end(), [&](const StageStatus& status) {
      return status.name == name && status.state == StageState::finished;
    });
  };
  std::vector<StageStatus> out;
  for (const StageStatus& status : planned) {
    const Stage& stage = this->stage(status.name);
    if (stage.own_process && !finished(stage.name) &&
        std::all_of(stage.built_from.begin(), stage.built_from.end(), finished) &&
        std::all_of(stage.after.begin(), stage.after.end(), finished))
      out.push_back(status);
  }
  return out;
}

void StageGraph::run(const std::vector<std::string>& targets,
                     const std::function<void(const StageStatus&)>& started,
                     const std::map<std::string, double>& made) {
  results_.clear();
  for (const StageStatus& planned : plan(targets)) {
    if (stop_requested())
      fail<Stopped>("stopped before stage {}; run the same command to continue", planned.name);
    const Stage& stage = this->stage(planned.name);
    if (planned.state == StageState::finished) {
      if (planned.aside) SetAside(stage).restore();
      const auto before = made.find(planned.name);
      results_.push_back({planned.name, before == made.end() ? std::nullopt : std::optional(before->second),
                          false, stage.optional});
      continue;
    }
    const std::vector<StageResult> skipped = skipped_before(stage);
    if (!std::all_of(skipped.begin(), skipped.end(), [](const StageResult& r) { return r.optional; })) {
      results_.push_back({planned.name, std::nullopt, true, stage.optional});
    } else {
      started(planned);
      results_.push_back(run_one(stage, planned));
    }
  }
}

std::vector<StageResult> StageGraph::skipped_before(const Stage& stage) const {
  std::vector<StageResult> skipped;
  for (const StageResult& result : results_) {
    const auto names = [&](const std::vector<std::string>& list) {
      return std::find(list.begin(), list.end(), result.name) != list.end();
    };
    if (result.skipped && (names(stage.built_from) || names(stage.after))) skipped.push_back(result);
  }
  return skipped;
}

StageResult StageGraph::run_one(const Stage& stage, const StageStatus& status) {
  const SetAside previous(stage);
  const bool changed = status.state == StageState::changed;
  json record = {{"stage", stage.name},      {"version", stage.version},
                 {"hash", status.hash},      {"state", "running"},
                 {"inputs", json::object()}, {"built_from", json::object()},
                 {"started", utc_now()},     {"git_commit", build_info().git_commit}};
  for (const auto& [key, text] : stage.inputs) record["inputs"][key] = text;
  for (const std::string& upstream : stage.built_from) record["built_from"][upstream] = hash(upstream);
  record["without"] = json::array();
  for (const StageResult& skipped : skipped_before(stage)) record["without"].push_back(skipped.name);
  // Of sessions that ended in good order, where this one goes on from what they left.
  double earlier = 0;
  const auto before = read_stage_record(stage.record);
  if (before && before->at("hash") == status.hash &&
      (status.state == StageState::interrupted || (!changed && is_resumable(stage)))) {
    earlier = before->value("seconds", 0.0);
    record["started"] = before->value("started", record.value("started", ""));
  }
  record["seconds"] = earlier;
  // As if nothing had been tried. An error on the way says more than what this one might have to say.
  const auto take_back = [&] {
    try {
      if (changed)
        previous.restore();
      else if (before)
        write_text(stage.record, before->dump(2) + "\n");
      else
        fs::remove(stage.record);
    } catch (const std::exception& error) {
      log::warn("{}: {}", stage.name, error.what());
    }
  };
  try {
    if (changed) previous.move();
    make_writable_folder(stage.record.parent_path());
    write_text(stage.record, record.dump(2) + "\n");
  } catch (const std::exception&) {
    take_back();
    throw;
  }

  const auto start = std::chrono::steady_clock::now();
  const auto seconds = [&] {
    return earlier + std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  // What was done so far stays, and the results of before stay aside: they are found there if the inputs are
  // those that made them again.
  const auto to_be_continued = [&] {
    record["seconds"] = seconds();
    write_text(stage.record, record.dump(2) + "\n");
  };
  std::optional<StageFacts> facts;
  try {
    facts = stage.run();
  } catch (const Stopped&) {
    to_be_continued();
    throw;
  } catch (const FolderBusy&) {  // nothing was done, nor where what is there is of other keys
    take_back();
    throw;
  } catch (const ConfigError&) {
    take_back();
    throw;
  } catch (const std::exception&) {
    if (is_resumable(stage)) {
      try {
        to_be_continued();
      } catch (const std::exception& error) {  // on a full disk: the record says "running" already
        log::debug("{}", error.what());
      }
    } else {
      take_back();
    }
    throw;
  }
  record["state"] = facts ? "finished" : "skipped";
  record["facts"] = facts.value_or(StageFacts{});
  record["seconds"] = seconds();
  record["finished"] = utc_now();
  if (!facts) {
    write_text(stage.record, record.dump(2) + "\n");
    previous.restore();
    return {stage.name, std::nullopt, true, stage.optional};
  }
  for (const fs::path& output : stage.outputs)
    require(fs::exists(output), "stage {} did not make {}", stage.name, output.string());
  record["sizes"] = output_sizes(stage);
  previous.discard();
  write_text(stage.record, record.dump(2) + "\n");
  return {stage.name, seconds(), false, stage.optional};
}

}  // namespace sns
