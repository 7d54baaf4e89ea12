#include "app/stage_processes.hpp"

#include "app/failures.hpp"
#include "core/error.hpp"
#include "core/live_line.hpp"
#include "core/log.hpp"
#include "core/stop.hpp"
#include "experiments/report.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <list>
#include <new>
#include <optional>
#include <set>
#include <thread>
#include <utility>

namespace sns {

namespace {

constexpr std::chrono::milliseconds kPoll{100};
constexpr std::size_t kLongestFailure = 4096;  // bytes that a pipe takes at once
constexpr const char* kWorkerOption = "--worker";

/// A pipe from a child: the parent reads, without waiting, what the child writes. Closed by exec.
class Pipe {
 public:
  Pipe() {
    std::array<int, 2> ends{};
    require(::pipe2(ends.data(), O_CLOEXEC) == 0, "cannot make a pipe: {}", std::strerror(errno));
    read_ = ends[0];
    write_ = ends[1];
    ::fcntl(read_, F_SETFL, O_NONBLOCK);
  }
  Pipe(Pipe&& other) noexcept
      : read_(std::exchange(other.read_, -1)), write_(std::exchange(other.write_, -1)) {}
  ~Pipe() {
    close_writing();
    if (read_ >= 0) ::close(read_);
  }
  void close_writing() {
    if (const int end = std::exchange(write_, -1); end >= 0) ::close(end);
  }
  int writing() const { return write_; }
  /// What there is to read.
  std::string drain() const {
    std::string text;
    std::array<char, 4096> block{};
    for (ssize_t got = 0; (got = ::read(read_, block.data(), block.size())) > 0;)
      text.append(block.data(), static_cast<std::size_t>(got));
    return text;
  }

 private:
  int read_ = -1, write_ = -1;
};

/// Whose stage it is.
struct Origin {
  std::size_t experiment = 0;
  std::string stage, name;  ///< name: in messages
  std::filesystem::path record;
};

/// One stage that another process makes.
struct Worker : Origin {
  pid_t process = -1;
  Pipe failure, lines;  ///< `lines` is used on a terminal only; elsewhere stderr is shared
  detail::RelayedLines relayed;
};

/// While one lives, SIGTERM waits.
class SigtermBlocked {
 public:
  SigtermBlocked() {
    sigset_t set;
    ::sigemptyset(&set);
    ::sigaddset(&set, SIGTERM);
    ::pthread_sigmask(SIG_BLOCK, &set, &before_);
  }
  ~SigtermBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SigtermBlocked(const SigtermBlocked&) = delete;
  SigtermBlocked& operator=(const SigtermBlocked&) = delete;

 private:
  sigset_t before_{};
};

/// The command line of the process that makes a stage.
std::vector<std::string> command_of(const ConfigArguments& arguments, const WorkerOrder& order, int threads) {
  std::vector<std::string> words = {"sns", "reproduce", arguments.file.string(), kWorkerOption, order.text()};
  if (!arguments.scale.empty()) words.insert(words.end(), {"--scale", arguments.scale});
  if (!arguments.device.empty()) words.insert(words.end(), {"--device", arguments.device});
  words.insert(words.end(), arguments.overrides.begin(), arguments.overrides.end());
  words.push_back(fmt::format("run.threads={}", threads));
  return words;
}

/// A process of its own from the beginning (exec), since a device that is open here, and threads that LibTorch
/// has started here, would be of no use to a mere copy.
Worker start(const ExperimentStages& experiment, const StageStatus& status, int jobs) {
  Worker worker;
  worker.stage = status.name;
  worker.name = experiment.name(status.name);
  const bool live = detail::stderr_is_terminal();
  const ConfigArguments& arguments = experiment.arguments;
  std::vector<std::string> words = command_of(arguments,
                                              {status.name, status.hash, experiment.label,
                                               arguments.command("reproduce"), worker.failure.writing(), live},
                                              std::max(1, experiment.run.threads / jobs));
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  const pid_t parent = ::getpid();
  // Held back until the process can answer it (stop_as_worker), which is long after exec.
  const SigtermBlocked blocked;
  worker.process = ::fork();
  require(worker.process >= 0, "cannot start a process: {}", std::strerror(errno));
  if (worker.process == 0) {
    // A terminal sends Ctrl-C to both: the parent passes it on, as SIGTERM, which nobody who started the parent
    // may have switched off. It saves its state where the parent is killed, and then has nobody to write to.
    ::signal(SIGINT, SIG_IGN);
    ::signal(SIGTERM, SIG_DFL);
    ::signal(SIGPIPE, SIG_IGN);
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent) ::_exit(kExitStopped);
    ::fcntl(worker.failure.writing(), F_SETFD, 0);
    if (live) {
      ::dup2(worker.lines.writing(), STDERR_FILENO);
      if (::isatty(STDOUT_FILENO) == 1) ::dup2(worker.lines.writing(), STDOUT_FILENO);
    }
    ::execv("/proc/self/exe", pointers.data());
    ::_exit(kExitFailure);
  }
  worker.failure.close_writing();
  worker.lines.close_writing();
  return worker;
}

/// What went wrong with a stage.
struct Failure {
  bool configuration = false;  ///< ConfigError
  std::string message;
};

class Workers {
 public:
  Workers() {
    ::signal(SIGCHLD, SIG_DFL);  // ignored, as by some supervisors, it would hide how they end
    announce_stops(false);
  }
  ~Workers() {  // where starting one failed: none outlives this
    stop("");
    while (!all_.empty()) wait();
    announce_stops(true);
  }
  const std::list<Worker>& all() const { return all_; }
  void add(Worker worker) {
    all_.push_back(std::move(worker));
    share_fate();
  }
  /// Once: all save their state and end. Says why.
  void stop(const std::string& why) {
    if (std::exchange(told_, true)) return;
    if (!why.empty()) log::info("{}", why);
    for (const Worker& worker : all_) ::kill(worker.process, SIGTERM);
  }
  /// Waits a moment, shows what they write, and takes those out that have ended: stages that were made come
  /// into `made`, failures into `failed`.
  void wait() {
    if (all_.empty()) return;
    std::this_thread::sleep_for(kPoll);
    bool changed = false, some_ended = false;
    for (Worker& worker : all_) changed = worker.relayed.take(worker.lines.drain()) || changed;
    for (auto worker = all_.begin(); worker != all_.end();) {
      int status = 0;
      const pid_t ended = ::waitpid(worker->process, &status, WNOHANG);
      if (ended == 0 || (ended < 0 && errno == EINTR)) {
        ++worker;
        continue;
      }
      changed = some_ended = true;
      worker->relayed.take(worker->lines.drain());
      worker->relayed.finish();
      if (ended < 0)
        failed.emplace_back(*worker, Failure{false, fmt::format("{}: how its process ended is not known: {}",
                                                                worker->name, std::strerror(errno))});
      if (ended > 0) judge(*worker, status);
      worker = all_.erase(worker);
    }
    if (some_ended) share_fate();
    if (!changed || !detail::stderr_is_terminal()) return;
    std::string live;
    for (const Worker& worker : all_)
      if (!worker.relayed.live().empty()) live += (live.empty() ? "" : "\n") + worker.relayed.live();
    detail::show_live_line(live);
  }

  std::vector<Origin> made;
  std::vector<std::pair<Origin, Failure>> failed;
  bool stopped = false;  ///< one of them was

 private:
  void share_fate() const {
    std::vector<int> processes;
    for (const Worker& worker : all_) processes.push_back(worker.process);
    end_together_with(processes);
  }

  void judge(const Worker& worker, int status) {
    if (WIFEXITED(status) && WEXITSTATUS(status) == kExitSuccess) return made.push_back(worker);
    if ((WIFEXITED(status) && WEXITSTATUS(status) == kExitStopped) ||
        (told_ && WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM)) {
      stopped = true;
      return;
    }
    Failure failure;
    if (const std::string said = worker.failure.drain(); !said.empty())
      failure = {said.front() == 'c', fmt::format("{}: {}", worker.name, said.substr(1))};
    else if (WIFSIGNALED(status))
      failure = {false,
                 fmt::format("{}: its process was ended by signal {} ({}){}; run the same command to continue",
                             worker.name, WTERMSIG(status), ::strsignal(WTERMSIG(status)),
                             WTERMSIG(status) == SIGKILL
                                 ? ", perhaps for lack of memory, which fewer --jobs need less of"
                                 : "")};
    else
      failure = {false,
                 fmt::format("{}: its process ended with exit code {}", worker.name, WEXITSTATUS(status))};
    failed.emplace_back(worker, std::move(failure));
  }

  std::list<Worker> all_;
  bool told_ = false;
};

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
        Worker worker = start(entry.stages, status, static_cast<int>(jobs_));
        worker.experiment = i;
        worker.record = entry.records.at(status.name);
        workers_.add(std::move(worker));
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
          "memory of its own; costs are then measured with so many threads, beside other work")
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

std::string WorkerOrder::text() const {
  return nlohmann::json{{"stage", stage},     {"hash", hash},       {"label", label},
                        {"command", command}, {"failure", failure}, {"live", live}}
      .dump();
}

WorkerOrder WorkerOrder::parse(const std::string& text) {
  try {
    const auto json = nlohmann::json::parse(text);
    WorkerOrder order{json.at("stage").get<std::string>(), json.at("hash").get<std::string>(),
                      json.at("label").get<std::string>(), json.at("command").get<std::string>(),
                      json.at("failure").get<int>(),       json.at("live").get<bool>()};
    struct stat failure {};
    if (::fstat(order.failure, &failure) == 0 && S_ISFIFO(failure.st_mode)) return order;
  } catch (const nlohmann::json::exception&) {
  }
  fail<ConfigError>("{} is for processes that --jobs starts", kWorkerOption);
}

void work(const WorkerOrder& order, const std::function<void(StageGraph&)>& read_stages) {
  const auto end = [](int code) {
    std::fflush(nullptr);
    ::_exit(code);
  };
  const auto fail_with = [&](const char* kind, const std::string& message) {
    const std::string text = (kind + message).substr(0, kLongestFailure);
    [[maybe_unused]] const ssize_t written = ::write(order.failure, text.data(), text.size());
    end(kExitFailure);
  };
  try {
    stop_as_worker();
    if (order.live) detail::relay_live_lines();
    const detail::LineLabel label(order.label);
    StageGraph graph;
    {
      const log::ErrorsOnly said_before;  // what there is to say of the configuration
      read_stages(graph);
    }
    if (!graph.contains(order.stage) || graph.hash(order.stage) != order.hash)
      fail<ConfigError>(
          "the configuration is no longer what it was when the run began; run the same command again");
    graph.run({order.stage}, [](const StageStatus&) {});
    end(kExitSuccess);
  } catch (const Stopped&) {
    end(kExitStopped);
  } catch (const ConfigError& error) {
    fail_with("c", error.what());
  } catch (const std::bad_alloc&) {
    fail_with("e", "out of memory; use fewer members, a smaller grid or fewer --jobs");
  } catch (const std::exception& error) {
    fail_with("e", last_words(error));
  }
  end(kExitFailure);
  std::abort();  // for the compiler: end() does not return
}

}  // namespace sns
