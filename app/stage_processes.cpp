#include "app/stage_processes.hpp"

#include "app/failures.hpp"
#include "core/error.hpp"
#include "core/live_line.hpp"
#include "core/log.hpp"
#include "core/stop.hpp"

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

/// One stage that another process makes.
struct Worker {
  std::size_t experiment = 0;
  std::string stage, name;  ///< name: in messages
  std::filesystem::path record;
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
Worker start(const std::vector<ExperimentStages>& experiments, std::size_t index, const StageStatus& status,
             int jobs) {
  const ExperimentStages& experiment = experiments[index];
  Worker worker;
  worker.experiment = index;
  worker.stage = status.name;
  worker.record = record_of(experiment, status);
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
    stop();
    while (!all_.empty()) wait();
    announce_stops(true);
  }
  bool empty() const { return all_.empty(); }
  std::size_t count() const { return all_.size(); }
  bool make(const std::filesystem::path& record) const {
    return std::any_of(all_.begin(), all_.end(), [&](const Worker& w) { return w.record == record; });
  }
  void add(Worker worker) {
    all_.push_back(std::move(worker));
    share_fate();
  }
  /// Once: all save their state and end.
  void stop() {
    if (std::exchange(told_, true) || all_.empty()) return;
    if (failure)
      log::info("a stage failed; the others stop at their next safe point");
    else
      log::info("stopping at the next safe point; signal again to end at once");
    for (const Worker& worker : all_) ::kill(worker.process, SIGTERM);
  }
  /// Waits a moment, shows what they write, and takes those out that have ended: stages that were made come
  /// into `made`, a first failure into `failure`. Whether any has ended.
  bool wait() {
    if (all_.empty()) return false;
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
      if (ended < 0 && !failure)
        failure = {false, fmt::format("{}: how its process ended is not known: {}", worker->name,
                                      std::strerror(errno))};
      if (ended > 0) judge(*worker, status);
      worker = all_.erase(worker);
    }
    if (some_ended) share_fate();
    if (!changed || !detail::stderr_is_terminal()) return some_ended;
    std::string live;
    for (const Worker& worker : all_)
      if (!worker.relayed.live().empty()) live += (live.empty() ? "" : "\n") + worker.relayed.live();
    detail::show_live_line(live);
    return some_ended;
  }

  std::vector<std::pair<std::size_t, std::string>> made;  ///< experiment and stage
  std::optional<Failure> failure;
  bool stopped = false;  ///< one of them was

 private:
  void share_fate() const {
    std::vector<int> processes;
    for (const Worker& worker : all_) processes.push_back(worker.process);
    end_together_with(processes);
  }

  void judge(const Worker& worker, int status) {
    if (WIFEXITED(status) && WEXITSTATUS(status) == kExitSuccess) {
      made.emplace_back(worker.experiment, worker.stage);
      return;
    }
    if ((WIFEXITED(status) && WEXITSTATUS(status) == kExitStopped) ||
        (told_ && WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM)) {
      stopped = true;
      return;
    }
    if (failure) return;
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
  }

  std::list<Worker> all_;
  bool told_ = false;
};

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

std::filesystem::path record_of(const ExperimentStages& experiment, const StageStatus& status) {
  return std::filesystem::weakly_canonical(std::filesystem::absolute(experiment.graph.record(status.name)));
}

bool can_share(const std::vector<ExperimentStages>& experiments) {
  std::map<std::filesystem::path, std::string> hashes;
  for (const ExperimentStages& experiment : experiments)
    for (const StageStatus& status : experiment.graph.plan(experiment.targets))
      if (const auto known = hashes.emplace(record_of(experiment, status), status.hash).first;
          known->second != status.hash)
        return false;
  return true;
}

void make_side_by_side(int jobs, const std::vector<ExperimentStages>& experiments,
                       const std::function<void(const ExperimentStages&, const StageStatus&)>& started,
                       const std::function<void(std::size_t, const std::map<std::string, double>&)>& finished) {
  for (const ExperimentStages& experiment : experiments) experiment.graph.restore(experiment.targets);
  Workers workers;
  std::set<std::filesystem::path> begun;  // records
  std::size_t first = 0;                  // experiment that is not finished
  // Whether stages of it are to begin, or are made just now.
  const auto waits = [&](const ExperimentStages& experiment) {
    const auto ready = experiment.graph.ready(experiment.targets);
    return std::any_of(ready.begin(), ready.end(), [&](const StageStatus& status) {
      const auto record = record_of(experiment, status);
      return !begun.contains(record) || workers.make(record);
    });
  };
  for (bool look = true; look || !workers.empty();) {
    if (stop_requested() || workers.stopped || workers.failure) {
      workers.stop();
      workers.wait();
      look = false;
      continue;
    }
    if (std::exchange(look, false)) {
      for (std::size_t i = first; i < experiments.size(); ++i) {
        for (const StageStatus& status : experiments[i].graph.ready(experiments[i].targets)) {
          if (workers.count() >= static_cast<std::size_t>(jobs)) break;
          if (!begun.insert(record_of(experiments[i], status)).second) continue;
          started(experiments[i], status);
          workers.add(start(experiments, i, status, jobs));
        }
      }
      // What is left of an experiment, figures and report, is drawn while the others go on.
      if (first < experiments.size() && !waits(experiments[first])) {
        std::map<std::string, double> made;
        for (const auto& [of, stage] : workers.made)
          if (of == first) made[stage] = experiments[first].graph.status(stage).seconds;
        finished(first++, made);
        look = true;
      }
    }
    look = workers.wait() || look;
  }
  if (workers.failure) {
    if (workers.failure->configuration) fail<ConfigError>("{}", workers.failure->message);
    fail("{}", workers.failure->message);
  }
  if (workers.stopped || stop_requested()) fail<Stopped>("on request; run the same command to continue");
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
    detail::label_lines(order.label);
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
