#pragma once
// Work that is done once. A stage is finished where its record (stage.json) carries the hash of everything
// that the stage depends on: its name and version, the texts of its inputs, the hashes of the stages it is
// built from. A changed input gives another hash, there and in everything downstream, and nowhere else.
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace sns {

/// What a stage wants to remember beside its hash ("weights" -> "shipped"); kept in its record.
using StageFacts = std::map<std::string, std::string>;

struct Stage {
  std::string name;                            ///< "train/sns"
  int version = 1;                             ///< raised when the code behind it changes what comes out
  std::filesystem::path record;                ///< its stage.json
  std::vector<std::filesystem::path> outputs;  ///< all must exist, no .h5 cut short, or it runs again
  /// A run whose hash differs from the record's starts without them; they are kept beside as NAME.previous
  /// until it has finished, and put back if it fails before there is anything to go on from. A run with the
  /// same hash resumes from them. FolderBusy if another process has locked one that has to be moved.
  std::vector<std::filesystem::path> leftovers;
  /// Whether a run that failed has left something for the next one to go on from. Not set: none does.
  std::function<bool()> resumable = nullptr;
  /// What is no longer there of finished results that have a list of their own, in words; `run` then puts that
  /// alone in its place. Nothing is asked where it is not set.
  std::function<std::optional<std::string>()> gap = nullptr;
  std::vector<std::pair<std::string, std::string>> inputs;  ///< name and resolved text
  std::vector<std::string> built_from;                      ///< stages whose hashes enter this one's
  std::vector<std::string> after;                           ///< stages that only have to be finished before
  /// Where it could not be done, stages that wait for it are not left but done without it, and again next time.
  bool optional = false;
  std::string unmade = "not made yet";  ///< why it runs where there is nothing of it
  bool own_process = false;  ///< may run in a process of its own, beside others: it leaves files, nothing else
  /// nullopt: it could not be done here (no Python for a figure). What was there before is put back, stages
  /// that wait for this one are left, and it is tried again next time.
  std::function<std::optional<StageFacts>()> run;
};

enum class StageState { finished, interrupted, missing, changed };
const char* name(StageState state);

struct StageStatus {
  std::string name;
  StageState state = StageState::missing;
  std::string reason;  ///< why it will run; empty where it will not
  std::string hash;
  double seconds = 0;  ///< wall-clock time that a finished stage took
  StageFacts facts;    ///< of a finished stage
  /// Finished, but set aside by a run with other inputs that was stopped: run() puts it back, in place of what
  /// that one has left.
  bool aside = false;
};

/// What a run of the graph did with one stage.
struct StageResult {
  std::string name;
  std::optional<double> seconds;  ///< nullopt: it was finished before, or skipped
  bool skipped = false;           ///< it could not be done here, or waits for one that could not
  bool optional = false;          ///< as Stage::optional
};

class StageGraph {
 public:
  /// Stages are added after those that they name. Error for an unknown or repeated name.
  void add(Stage stage);
  bool contains(const std::string& name) const;
  std::vector<std::string> names() const;
  /// SHA-256 over name, version, inputs and upstream hashes.
  std::string hash(const std::string& name) const;
  StageStatus status(const std::string& name) const;
  /// As it was added.
  const Stage& stage(const std::string& name) const;
  /// `targets` and all that they need, in an order that can be run.
  std::vector<StageStatus> plan(const std::vector<std::string>& targets) const;
  /// Puts finished stages of the plan back that a stopped run with other inputs has set aside.
  void restore(const std::vector<std::string>& targets);
  /// Stages of the plan that are not finished, may run in a process of their own, and need none that is not
  /// finished.
  std::vector<StageStatus> ready(const std::vector<std::string>& targets) const;
  /// Runs what is not finished of the plan. `started` is called with the status of each stage before it runs.
  /// results() grows while the graph runs, so that a late stage can report on the earlier ones. made: seconds
  /// of stages that were made just before in processes of their own, for results().
  void run(const std::vector<std::string>& targets, const std::function<void(const StageStatus&)>& started,
           const std::map<std::string, double>& made = {});
  const std::vector<StageResult>& results() const { return results_; }

 private:
  /// Stages that this one needs and that could not be done in this run.
  std::vector<StageResult> skipped_before(const Stage& stage) const;
  StageResult run_one(const Stage& stage, const StageStatus& status);

  std::vector<Stage> stages_;
  std::vector<StageResult> results_;
};

}  // namespace sns
