#include "datagen/generate.hpp"

#include "core/clock.hpp"
#include "core/error.hpp"
#include "core/files.hpp"
#include "core/log.hpp"
#include "core/progress.hpp"
#include "core/stop.hpp"
#include "core/text.hpp"
#include "datagen/card.hpp"
#include "datagen/group_run.hpp"
#include "datagen/manifest.hpp"
#include "datagen/reader.hpp"
#include "datagen/replaced.hpp"
#include "datagen/well_file.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <deque>
#include <map>
#include <optional>
#include <thread>

namespace sns {
namespace {

namespace fs = std::filesystem;

std::size_t frame_bytes(const DatagenPlan& plan, const SolverInfo& info) {
  std::size_t bytes = sizeof(float) * info.fields.size();
  for (const Axis& axis : info.axes)
    bytes *= axis.coordinates.size() / static_cast<std::size_t>(plan.coarsen.factor);
  return bytes;
}

/// Bytes of the frames of so many trajectories; no more than a number holds.
std::uint64_t bytes_of(std::int64_t trajectories, const DatagenPlan& plan, const SolverInfo& info) {
  constexpr double kMostBytes = 1e19;
  return static_cast<std::uint64_t>(
      std::min(kMostBytes, static_cast<double>(trajectories) * static_cast<double>(plan.records()) *
                               static_cast<double>(frame_bytes(plan, info))));
}

class Generator {
 public:
  Generator(const DatagenPlan& plan, const SolverSource& source, const fs::path& folder,
            const GenerateOptions& options)
      : plan_(plan),
        source_(source),
        info_(source.info()),
        folder_(folder),
        partial_(folder / "partial"),
        options_(options),
        identity_(identity_yaml(plan, source.info(), source.yaml())),
        identity_hash_(sha256(identity_)),
        groups_(plan.groups()),
        replaced_(folder, "config.yaml"),
        cache_(plan.spinup_cache, plan, source.info(), source.yaml()) {}

  GenerateReport run() {
    require_divisible(info_, plan_.coarsen);
    require_initial_states(info_, plan_);
    claim_folder();
    try {
      make();
      require_samples();
    } catch (const Stopped&) {
      throw;
    } catch (const std::exception&) {
      if (replaces_) try_to_keep_what_was_there();
      throw;
    }
    if (report_.complete && is_data_set(replaced_.path())) replaced_.discard();
    return report_;
  }

 private:
  void make() {
    try {
      find_finished();
      generate_pending();
      finish();
    } catch (const Stopped&) {
      throw;
    } catch (const std::exception& error) {
      // Whoever finishes the data set removes partial/, perhaps while another still looks into it.
      if (!finished_by_another()) throw;
      log::debug("{}; but another process has finished the data set", error.what());
      std::error_code none;
      fs::remove_all(partial_, none);
    }
  }

  /// All that a data set of this identity consists of.
  static std::vector<std::string> entries(const std::string& identity) {
    // stage.json: an experiment's record that this data set is finished
    return {"stage.json", "MANIFEST.jsonl", "data",
            "partial",    "stats.yaml",     metadata_file(name_in_identity(identity)),
            "README.md",  "config.yaml"};
  }

  bool any_samples() const {
    return std::any_of(records_.begin(), records_.end(),
                       [](const auto& record) { return record.second.samples > 0; });
  }

  /// After an error, which is what is to be told in the end.
  void try_to_keep_what_was_there() {
    try {
      keep_what_was_there();
    } catch (const std::exception& error) {
      log::warn("the data set that was there lies in {} and could not be put back: {}",
                replaced_.path().string(), error.what());
    }
  }

  /// The replaced data set comes back, unless there are samples of the new one.
  void keep_what_was_there() {
    if (any_samples()) {
      log::warn("the data set that was there lies in {} until this one is finished", replaced_.path().string());
      return;
    }
    lock_.reset();
    lock_.emplace(folder_);
    replaced_.put_back(entries(identity_));
    log::warn("the data set that was there is as it was");
  }

  fs::path final_path(const TrajectoryGroup& g) const {
    return fs::path("data") / g.split / (plan_.stem(g) + ".h5");
  }
  fs::path record_path(const TrajectoryGroup& g) const { return partial_ / (plan_.stem(g) + ".json"); }
  fs::path work_path(const TrajectoryGroup& g) const { return partial_ / plan_.stem(g); }

  /// Makes sure that whatever the folder holds belongs to this plan.
  void claim_folder() {
    make_writable_folder(folder_);
    // Shards share the folder; whoever replaces a data set needs it alone.
    lock_.emplace(folder_, FolderLock::Kind::shared);
    if (replaced_.was_cut_off() && (is_data_set(folder_) || is_data_set(replaced_.path()))) {
      lock_.reset();
      lock_.emplace(folder_);
      replaced_.put_back({});
      lock_.reset();
      lock_.emplace(folder_, FolderLock::Kind::shared);
    }
    const fs::path config = folder_ / "config.yaml";
    if (fs::exists(config)) {
      const std::string found = read_text(config);
      if (found == identity_) return;
      if (!is_identity(found))
        fail<ConfigError>("{} holds a config.yaml that is not of a data set; choose another folder",
                          folder_.string());
      if (!options_.overwrite) {
        const auto [theirs, ours] = first_difference(found, identity_);
        const bool unhashed = ours.starts_with("sha256:") && !theirs.starts_with("sha256:");
        fail<ConfigError>(
            "{} holds a data set of another configuration (there: {}; now: {}){}; choose another folder or "
            "give "
            "--overwrite to replace it",
            folder_.string(), theirs, ours,
            unhashed ? ": it was made before initial states were known by their values, and may well have these"
                     : "");
      }
      if (options_.shard.count > 1) {
        fail<ConfigError>("--overwrite would destroy what other shards write; remove {} first",
                          folder_.string());
      }
      require_free_names(entries(found));
      lock_.reset();
      lock_.emplace(folder_);
      log::warn("replacing the data set in {}", folder_.string());
      replaced_.set_aside(entries(found));
      replaces_ = true;
      write_text(config, identity_);
      lock_.reset();
      lock_.emplace(folder_, FolderLock::Kind::shared);
      return;
    } else if (fs::exists(folder_ / "data") && !is_of_manifest(identity_hash_)) {
      fail<ConfigError>(
          "{} holds a folder 'data' and no config.yaml that says what it is; choose another folder, or remove "
          "it",
          folder_.string());
    }
    if (!is_of_manifest(identity_hash_)) require_free_names({});  // else: it has lost its config.yaml
    write_text(config, identity_);
  }

  /// A folder may hold the user's files under the names of ours. `known` are of the data set that is there.
  void require_free_names(const std::vector<std::string>& known) const {
    for (const std::string& name : entries(identity_)) {
      if (name == "stage.json" || std::find(known.begin(), known.end(), name) != known.end()) continue;
      if (fs::exists(folder_ / name))
        fail<ConfigError>("{} is there already, and a data set has a file of that name; choose another folder",
                          (folder_ / name).string());
    }
  }

  static bool is_data_set(const fs::path& folder) {
    return fs::exists(folder / "config.yaml") && is_identity(read_text(folder / "config.yaml"));
  }

  /// Whether the folder holds the manifest of a data set of this identity.
  bool is_of_manifest(const std::string& identity_hash) const {
    try {
      return read_manifest(folder_).config_hash == identity_hash;
    } catch (const Error&) {
      return false;
    }
  }

  /// Collects the records of finished groups: from the manifest, from partial/, or from the files themselves.
  void find_finished() {
    if (fs::exists(folder_ / "MANIFEST.jsonl")) {
      try {
        for (FileRecord& record : read_manifest(folder_).files) keep(std::move(record));
      } catch (const Error& error) {
        log::warn("{}; it will be written again", error.what());
        fs::remove(folder_ / "MANIFEST.jsonl");
      }
    }
    for (const TrajectoryGroup& group : groups_) {
      if (!records_.contains(group.first)) find_record(group);
    }
    report_.kept = static_cast<std::int64_t>(records_.size());
  }

  /// Takes the record if its file is whole.
  void keep(FileRecord record) {
    if (!is_whole(folder_, record)) {
      log::warn("{} is missing or has another size; it will be made again", (folder_ / record.path).string());
      std::error_code code;
      fs::remove(folder_ / record.path, code);
      return;
    }
    records_.insert_or_assign(record.group.first, std::move(record));
  }

  void find_record(const TrajectoryGroup& group) {
    const fs::path json = record_path(group), file = folder_ / final_path(group);
    if (fs::exists(json)) {
      try {
        keep(file_record_from_json(nlohmann::json::parse(read_text(json))));
      } catch (const nlohmann::json::exception&) {
        log::warn("{} is damaged; its file is looked at again", json.string());
        fs::remove(json);
        find_record(group);
      }
    } else if (fs::exists(file)) {
      try {
        if (DataFile(file).identity() != identity_) fail("{} is of another configuration", file.string());
        keep(save_record(describe_file(file, final_path(group).string(), group)));
      } catch (const Stopped&) {
        throw;  // says nothing about the file
      } catch (const Error& error) {
        log::warn("{}; making it again", error.what());
        fs::remove(file);
      }
    }
  }

  FileRecord save_record(FileRecord record) {
    make_writable_folder(partial_);
    write_text(record_path(record.group), to_json(record).dump() + "\n");
    return record;
  }

  void generate_pending() {
    std::deque<TrajectoryGroup> pending;
    std::int64_t trajectories = 0;
    for (std::size_t i = 0; i < groups_.size(); ++i) {
      if (records_.contains(groups_[i].first)) continue;
      if (static_cast<int>(i % static_cast<std::size_t>(options_.shard.count)) != options_.shard.index)
        continue;
      pending.push_back(groups_[i]);
      trajectories += groups_[i].count;
    }
    if (pending.empty()) return;
    make_writable_folder(partial_);
    const int members = batch_members(plan_, info_, options_.threads);
    if (!plan_.deflate) require_space_for(pending, trajectories, members);
    Progress progress("datagen " + folder_.filename().string(), trajectories * steps_per_trajectory(), "steps");
    progress_ = &progress;
    while (!pending.empty()) {
      auto jobs = next_batch(pending, members);
      if (jobs.empty()) continue;
      try {
        run_batch(jobs);
      } catch (const DiskFull& full) {
        fail("{}; free some space and run the same command again{}", full.what(),
             replaces_ && !any_samples() ? "" : ": it goes on from the last checkpoints");
      }
    }
    progress.finish();
    progress_ = nullptr;
  }

  /// Error if the disk cannot take the pending groups.
  void require_space_for(const std::deque<TrajectoryGroup>& pending, std::int64_t trajectories,
                         int members) const {
    // Frames of the running batch are on disk twice while their file is written.
    const std::uint64_t needed =
        bytes_of(trajectories + std::min<std::int64_t>(members, trajectories), plan_, info_);
    std::uint64_t there = 0;  // in the logs of an interrupted run
    for (const TrajectoryGroup& group : pending) {
      std::error_code none;
      const std::uintmax_t bytes = fs::file_size(log_path(plan_, group, work_path(group)), none);
      if (!none) there += bytes;
    }
    require_space(folder_, needed - std::min(there, needed));
  }

  std::int64_t steps_per_trajectory() const { return plan_.step_of(plan_.records() - 1); }

  /// Locks as many pending groups as one solver takes that stand at the same step. A group that another process
  /// works on is left to it.
  std::vector<std::unique_ptr<GroupJob>> next_batch(std::deque<TrajectoryGroup>& pending, int members) {
    std::vector<std::unique_ptr<GroupJob>> jobs;
    std::int64_t taken = 0;
    for (auto it = pending.begin(); it != pending.end();) {
      if (!jobs.empty() && taken + it->count > members) break;
      find_record(*it);  // another process may have made it since
      if (records_.contains(it->first)) {
        it = pending.erase(it);
        continue;
      }
      std::unique_ptr<GroupJob> job;
      try {
        job = std::make_unique<GroupJob>(plan_, *it, work_path(*it), identity_hash_, frame_bytes(plan_, info_),
                                         cache_);
      } catch (const FolderBusy&) {
        log::info("{} is being made by another process", plan_.stem(*it));
        it = pending.erase(it);
        continue;
      }
      find_record(*it);  // or finished it just before the lock was taken
      if (records_.contains(it->first)) {
        job.reset();
        fs::remove_all(work_path(*it));
        it = pending.erase(it);
        continue;
      }
      if (!jobs.empty() && (job->step() != jobs.front()->step() || job->records() != jobs.front()->records())) {
        ++it;
        continue;
      }
      taken += it->count;
      jobs.push_back(std::move(job));
      it = pending.erase(it);
    }
    return jobs;
  }

  void run_batch(std::vector<std::unique_ptr<GroupJob>>& jobs) {
    int members = 0;
    for (const auto& job : jobs) members += static_cast<int>(job->group().count);
    if (!solver_ || solver_->members() != members) {
      solver_.reset();
      solver_ = source_.make(members);
    }
    const std::int64_t there = jobs.front()->step() * members;
    done_ += there;
    progress_->skip(there);
    const auto start = Clock::now();
    const BatchEnd end = run_groups(plan_, *solver_, jobs, options_.checkpoint_seconds,
                                    [this](std::int64_t steps) { advance_progress(steps); });
    const double wall = seconds_since(start);
    int first = 0;
    for (auto& job : jobs) {
      const int count = static_cast<int>(job->group().count);
      try {
        finish_group(*job, wall * count / members);
      } catch (const Stopped&) {
        save_unfinished(jobs, first, end);
        throw;
      } catch (const std::exception&) {  // a full disk, most likely
        std::error_code none;
        fs::remove(unfinished_file(*job), none);
        save_what_fits(jobs, first, end);
        throw;
      }
      first += count;
      const fs::path work = job->work();
      job.reset();
      fs::remove_all(work);
    }
  }

  /// As save_unfinished, where an error is on its way that counts more.
  void save_what_fits(std::vector<std::unique_ptr<GroupJob>>& jobs, int first, const BatchEnd& end) {
    try {
      save_unfinished(jobs, first, end);
    } catch (const std::exception& error) {
      log::debug("no checkpoint: {}", error.what());
    }
  }

  /// Checkpoints of the jobs that are still there, whose first solver member is `first`.
  void save_unfinished(std::vector<std::unique_ptr<GroupJob>>& jobs, int first, const BatchEnd& end) {
    for (auto& job : jobs) {
      if (!job) continue;
      job->save(*solver_, first, end.step, end.records);
      first += static_cast<int>(job->group().count);
    }
  }

  void advance_progress(std::int64_t steps) {
    done_ += steps;
    progress_->update(done_);
  }

  fs::path unfinished_file(const GroupJob& job) const { return job.work() / (plan_.stem(job.group()) + ".h5"); }

  void finish_group(GroupJob& job, double wall_seconds) {
    FileRecord record;
    record.group = job.group();
    for (std::size_t i = 0; i < job.status().size(); ++i) {
      const MemberStatus& status = job.status()[i];
      if (!status.alive) record.failed.push_back({job.group().first + i, status.failed_step, status.reason});
    }
    if (static_cast<std::int64_t>(record.failed.size()) < job.group().count) {
      const fs::path temporary = unfinished_file(job);
      write_well_file(temporary, {plan_, info_, identity_, job.group(), record.failed, wall_seconds},
                      job.log());
      const fs::path target = folder_ / final_path(job.group());
      fs::create_directories(target.parent_path());
      record = describe_file(temporary, final_path(job.group()).string(), job.group());
      sync_to_disk(temporary);  // HDF5 writes once more when it closes
      fs::rename(temporary, target);
      sync_to_disk(target.parent_path());
    }
    records_.insert_or_assign(record.group.first, save_record(record));
    ++report_.written;
  }

  void finish() {
    for (const TrajectoryGroup& group : groups_) {
      if (!records_.contains(group.first)) find_record(group);  // another shard may have made it meanwhile
    }
    report_.elsewhere = static_cast<std::int64_t>(groups_.size() - records_.size());
    if (report_.elsewhere > 0) return;
    if (!manifest_is_current()) write_manifest_alone();
    fs::remove_all(partial_);
    report_.complete = true;
  }

  /// Whether there is a manifest of the whole data set, and all its files; takes it over.
  bool finished_by_another() {
    std::map<std::uint64_t, FileRecord> records;
    try {
      if (!fs::exists(folder_ / "MANIFEST.jsonl")) return false;
      for (FileRecord& record : read_manifest(folder_).files) {
        if (!is_whole(folder_, record)) return false;
        records.insert_or_assign(record.group.first, std::move(record));
      }
    } catch (const Error&) {
      return false;
    }
    if (records.size() != groups_.size()) return false;
    records_ = std::move(records);
    report_.elsewhere = 0;
    report_.complete = true;
    return true;
  }

  /// Counts the failed trajectories. Error if a split of the finished data set has no others.
  void require_samples() {
    std::map<std::string, std::int64_t> samples;
    std::map<std::string, FailedTrajectory> first_failed;
    for (const auto& [first, record] : records_) {
      samples[record.group.split] += record.samples;
      report_.failed += static_cast<std::int64_t>(record.failed.size());
      if (!record.failed.empty()) first_failed.try_emplace(record.group.split, record.failed.front());
    }
    if (!report_.complete) return;
    for (const auto& [split, count] : samples) {
      if (count > 0) continue;
      const FailedTrajectory& failed = first_failed.at(split);
      fail("all trajectories of the split '{}' failed, the first at step {}: {}{}", split, failed.step,
           failed.reason,
           replaces_ || !any_samples()
               ? ""
               : fmt::format("; see 'failed' in {}", (folder_ / "MANIFEST.jsonl").string()));
    }
  }

  bool manifest_is_current() const {
    if (!fs::exists(folder_ / "MANIFEST.jsonl")) return false;
    try {
      const Manifest manifest = read_manifest(folder_);
      const bool described =
          std::all_of(manifest.plain.begin(), manifest.plain.end(),
                      [&](const PlainFile& file) { return fs::exists(folder_ / file.path); });
      return described && std::all_of(manifest.files.begin(), manifest.files.end(), [&](const FileRecord& r) {
               const auto found = records_.find(r.group.first);
               return found != records_.end() && found->second.sha256 == r.sha256;
             });
    } catch (const Error&) {
      return false;
    }
  }

  /// Shards may finish at the same moment: one writes, the others wait for it.
  void write_manifest_alone() {
    std::vector<FileRecord> records;
    for (const auto& [first, record] : records_) records.push_back(record);
    make_writable_folder(partial_);
    constexpr int kTries = 600;
    for (int i = 0; i < kTries && !manifest_is_current(); ++i) {
      try {
        const FolderLock lock(partial_);
        write_manifest(folder_, plan_, info_, identity_, records);
        return;
      } catch (const FolderBusy&) {
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
      }
    }
    require(manifest_is_current(), "another process holds {} for too long", partial_.string());
  }

  const DatagenPlan& plan_;
  const SolverSource& source_;
  const SolverInfo& info_;
  fs::path folder_, partial_;
  const GenerateOptions& options_;
  std::optional<FolderLock> lock_;  // while this object lives
  std::string identity_, identity_hash_;
  std::vector<TrajectoryGroup> groups_;
  ReplacedResults replaced_;
  bool replaces_ = false;  // this run put another data set aside
  SpinupCache cache_;
  std::map<std::uint64_t, FileRecord> records_;  // by first trajectory
  std::unique_ptr<Solver> solver_;
  Progress* progress_ = nullptr;
  std::int64_t done_ = 0;
  GenerateReport report_;
};

}  // namespace

GenerateReport generate_dataset(const DatagenPlan& plan, const SolverSource& source, const fs::path& folder,
                                const GenerateOptions& options) {
  return Generator(plan, source, folder, options).run();
}

std::uint64_t dataset_bytes(const DatagenPlan& plan, const SolverInfo& info) {
  return bytes_of(plan.trajectories(), plan, info);
}

int batch_members(const DatagenPlan& plan, const SolverInfo& info, int threads) {
  // A GPU wants one large batched transform; a CPU wants a member for every thread.
  constexpr int kGpuMembers = 32;
  const int wanted = info.backend == "fftw" ? threads : kGpuMembers;
  const auto largest =
      std::max_element(plan.splits.begin(), plan.splits.end(),
                       [](const Split& a, const Split& b) { return a.trajectories < b.trajectories; });
  const std::int64_t group = std::min<std::int64_t>(plan.trajectories_per_file, largest->trajectories);
  const std::int64_t whole_groups = (std::max(wanted, 1) + group - 1) / group * group;
  return static_cast<int>(std::min(whole_groups, plan.trajectories()));
}

}  // namespace sns
