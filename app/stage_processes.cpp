#include "app/stage_processes.hpp"

#include "app/stage_workers.hpp"
#include "core/error.hpp"
#include "core/live_line.hpp"
#include "core/log.hpp"
#include "core/stop.hpp"
#include "experiments/report.hpp"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <optional>
#include <set>
#include <utility>

namespace sns {

namespace {

/// Keeps `jobs` stages of some experiments going until all are made.
class Scheduler {
 public:
  Scheduler(int jobs, const std::vector<ExperimentStages>& experiments, const SideBySideEvents& events)
      : jobs_(static_cast<std::size_t>(jobs)), events_(events) {
    for (const ExperimentStages& experiment : experiments) {
      experiment.graph.restore(experiment.targets);
      all_.push_back({experiment, {}});
      // Now: a folder that is a link is a folder of its own after it was set aside.
      for (const StageStatus& status : experiment.graph.plan(experiment.targets))
        all_.back().records[status.name] = experiment.record(status.name);
    }
  }

  void run() {
    for (;;) {
      go_on();
      if (!ending()) {
        const auto next = std::find_if(all_.begin(), all_.end(),
                                       [&](const Entry& e) { return e.state == State::going && !waits(e); });
        if (next != all_.end()) {
          finish(*next);
          continue;
        }
      }
      if (workers_.all().empty() && (ending() || !look_)) break;
    }
    if (failure_ && failure_->configuration) fail<ConfigError>("{}", failure_->message);
    if (failure_) fail("{}", failure_->message);
    if (workers_.stopped || any_goes()) fail<Stopped>("on request; run the same command to continue");
  }

 private:
  enum class State { going, at_its_rest, finished, given_up };
  struct Entry {
    const ExperimentStages& stages;
    std::map<std::string, std::filesystem::path> records;  ///< of its plan, by stage
    std::map<std::string, double> made = {};
    State state = State::going;

    bool has(const std::filesystem::path& record) const {
      return std::any_of(records.begin(), records.end(), [&](const auto& r) { return r.second == record; });
    }
  };

  bool any_goes() const {
    return std::any_of(all_.begin(), all_.end(),
                       [](const Entry& e) { return e.state == State::going || e.state == State::at_its_rest; });
  }
  bool ending() const { return stop_requested() || workers_.stopped || (failure_ && !any_goes()); }

  /// Whether stages of it are to begin, or are made just now.
  bool waits(const Entry& entry) const {
    if (std::any_of(workers_.all().begin(), workers_.all().end(),
                    [&](const Worker& worker) { return entry.has(worker.record); }))
      return true;
    const auto ready = entry.stages.graph.ready(entry.stages.targets);
    return std::any_of(ready.begin(), ready.end(), [&](const StageStatus& status) {
      return !begun_.contains(entry.records.at(status.name));
    });
  }

  /// Starts what can start, waits a moment, and takes in what has ended. A stop is passed on.
  void go_on() {
    if (ending()) {
      if (failure_ && !stop_requested())
        workers_.stop(workers_.all().empty() ? "" : "a stage failed; the others stop at their next safe point");
      else
        workers_.stop(any_goes() ? "stopping at the next safe point; signal again to end at once" : "");
    } else if (std::exchange(look_, false)) {
      start_stages();
    }
    workers_.wait();
    for (const Origin& origin : std::exchange(workers_.made, {})) {
      Entry& entry = all_[origin.experiment];
      entry.made[origin.stage] = entry.stages.graph.status(origin.stage).seconds;
      look_ = true;
    }
    for (const auto& [origin, failure] : std::exchange(workers_.failed, {})) {
      for (Entry& entry : all_)
        if (entry.has(origin.record)) entry.state = State::given_up;
      note(failure);
    }
  }

  void start_stages() {
    for (std::size_t i = 0; i < all_.size(); ++i) {
      const Entry& entry = all_[i];
      if (entry.state != State::going) continue;
      for (const StageStatus& status : entry.stages.graph.ready(entry.stages.targets)) {
        if (workers_.all().size() >= jobs_) return;
        if (!begun_.insert(entry.records.at(status.name)).second) continue;
        events_.started(i, status);
        const ExperimentStages& of = entry.stages;
        workers_.add(
            start_worker({i, status.name, of.name(status.name), entry.records.at(status.name)}, of.arguments,
                         {status.name, status.hash, of.label, of.arguments.command("reproduce"), -1, false},
                         std::max(1, of.run.threads / static_cast<int>(jobs_))));
      }
    }
  }

  void finish(Entry& entry) {
    entry.state = State::at_its_rest;
    try {
      const detail::LineLabel label(entry.stages.label);
      const WhileDrawing meanwhile([this] { go_on(); });
      events_.finished(static_cast<std::size_t>(&entry - all_.data()), entry.made);
      entry.state = State::finished;
    } catch (const Stopped&) {
      entry.state = State::going;  // and the loop ends
    } catch (const ConfigError& error) {
      entry.state = State::given_up;
      note({true, entry.stages.name(error.what())});
    } catch (const Error& error) {
      entry.state = State::given_up;
      note({false, entry.stages.name(error.what())});
    }
    look_ = true;
  }

  void note(const Failure& failure) {
    if (any_goes()) log::warn("{}; experiments that do not need it go on", failure.message);
    if (!failure_) failure_ = failure;
    look_ = true;
  }

  const std::size_t jobs_;
  const SideBySideEvents& events_;
  std::vector<Entry> all_;
  std::set<std::filesystem::path> begun_;  ///< records
  std::optional<Failure> failure_;         ///< the first
  Workers workers_;
  bool look_ = true;  ///< whether something may have become ready
};

/// Whether one of two paths is the other one or lies in it.
bool overlap(const std::filesystem::path& a, const std::filesystem::path& b) {
  const auto inside = [](const std::filesystem::path& file, const std::filesystem::path& folder) {
    const auto relative = file.lexically_relative(folder);
    return !relative.empty() && *relative.begin() != "..";
  };
  return inside(a, b) || inside(b, a);
}

std::filesystem::path real(const std::filesystem::path& path) {
  return std::filesystem::weakly_canonical(std::filesystem::absolute(path));
}

/// The files of a stage.
struct Claim {
  std::string name, hash;
  std::filesystem::path record;
  std::vector<std::filesystem::path> replaced, files;  ///< leftovers; those, outputs and the record

  bool against(const Claim& other) const {
    if (record == other.record) return hash != other.hash;
    const auto replaces = [](const Claim& one, const Claim& another) {
      return std::any_of(one.replaced.begin(), one.replaced.end(), [&](const auto& leftover) {
        return std::any_of(another.files.begin(), another.files.end(),
                           [&](const auto& file) { return overlap(leftover, file); });
      });
    };
    return replaces(*this, other) || replaces(other, *this);
  }
};

std::vector<Claim> claims_of(const ExperimentStages& experiment) {
  std::vector<Claim> claims;
  for (const StageStatus& status : experiment.graph.plan(experiment.targets)) {
    const Stage& stage = experiment.graph.stage(status.name);
    Claim claim{experiment.name(stage.name), status.hash, experiment.record(stage.name), {}, {}};
    for (const auto& path : stage.leftovers) claim.replaced.push_back(real(path));
    claim.files = claim.replaced;
    for (const auto& path : stage.outputs) claim.files.push_back(real(path));
    claim.files.push_back(claim.record);
    claims.push_back(std::move(claim));
  }
  return claims;
}

}  // namespace

void add_jobs(CLI::App& verb, int& jobs) {
  verb.add_option(
          "--jobs", jobs,
          "stages that are made side by side, each in a process of its own, with run.threads / N threads and "
          "memory of its own (reproduce: of a collection those of all experiments); costs are then measured "
          "with so many "
          "threads, beside other work")
      ->type_name("N")
      ->check(at_least(1))
      ->capture_default_str();
}

std::string ExperimentStages::name(const std::string& stage) const {
  return label.empty() ? stage : label + ": " + stage;
}

std::filesystem::path ExperimentStages::record(const std::string& stage) const {
  return real(graph.stage(stage).record);
}

std::optional<std::string> conflict(const std::vector<ExperimentStages>& experiments) {
  std::vector<Claim> earlier;
  for (const ExperimentStages& experiment : experiments) {
    std::vector<Claim> claims = claims_of(experiment);
    for (const Claim& claim : claims)
      for (const Claim& other : earlier)
        if (claim.against(other)) return fmt::format("{} and {}", other.name, claim.name);
    earlier.insert(earlier.end(), std::make_move_iterator(claims.begin()),
                   std::make_move_iterator(claims.end()));
  }
  return std::nullopt;
}

void make_side_by_side(int jobs, const std::vector<ExperimentStages>& experiments,
                       const SideBySideEvents& events) {
  Scheduler(jobs, experiments, events).run();
}

}  // namespace sns
