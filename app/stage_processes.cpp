#include "app/stage_processes.hpp"

#include "app/config_arguments.hpp"
#include "app/failures.hpp"
#include "core/error.hpp"
#include "core/live_line.hpp"
#include "core/stop.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <list>
#include <new>
#include <optional>
#include <set>
#include <thread>
#include <utility>

namespace sns {

namespace {

constexpr std::chrono::milliseconds kPoll{100};

/// How a process that made a stage tells what went wrong; kExitStopped and kExitSuccess speak for themselves.
struct Failure {
  bool configuration = false;  ///< ConfigError
  std::string message;
};

/// A pipe from a child: the parent reads, without waiting, what the child writes.
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
  int reading() const { return read_; }
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
  std::string stage;
  pid_t process = -1;
  Pipe failure, lines;  ///< `lines` is used on a terminal only; elsewhere stderr is shared
  detail::RelayedLines relayed;
  bool restored = false;  ///< it was finished before and only has to be put back
};

/// In the child: makes the stage, writes what went wrong into the pipe; the exit code.
int make_stage(Experiment& experiment, StageGraph& graph, const std::string& stage, int threads,
               const Pipe& failed) {
  const auto fail_with = [&](char kind, const std::string& message) {
    const std::string text = kind + message;
    [[maybe_unused]] const ssize_t written =
        ::write(failed.writing(), text.data(), std::min(text.size(), 4096UL));
    return kExitFailure;
  };
  try {
    experiment.use_threads(threads);
    graph.run({stage}, [](const StageStatus&) {});
    return kExitSuccess;
  } catch (const Stopped&) {
    return kExitStopped;
  } catch (const ConfigError& error) {
    return fail_with('c', error.what());
  } catch (const std::bad_alloc&) {
    return fail_with('e', "out of memory; use fewer members, a smaller grid or fewer --jobs");
  } catch (const std::exception& error) {
    return fail_with('e', last_words(error));
  }
}

Worker start(Experiment& experiment, StageGraph& graph, const StageStatus& status, int threads) {
  Worker worker;
  worker.stage = status.name;
  worker.restored = status.aside;
  const bool live = detail::stderr_is_terminal();
  std::fflush(stdout);  // or both processes print what waits there
  std::fflush(stderr);
  const pid_t parent = ::getpid();
  worker.process = ::fork();
  require(worker.process >= 0, "cannot start a process: {}", std::strerror(errno));
  if (worker.process == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);  // it saves its state where the parent is killed
    ::signal(SIGPIPE, SIG_IGN);          // and then has nobody to write to
    if (::getppid() != parent) ::_exit(kExitStopped);
    stop_silently();
    if (live) {
      ::dup2(worker.lines.writing(), STDERR_FILENO);
      detail::relay_live_lines();
    }
    const int code = make_stage(experiment, graph, worker.stage, threads, worker.failure);
    std::fflush(stdout);
    std::fflush(stderr);
    ::_exit(code);  // what the parent registered for its own end is not for this process
  }
  worker.failure.close_writing();
  worker.lines.close_writing();
  return worker;
}

class Workers {
 public:
  ~Workers() {  // where starting one failed: none outlives this
    stop();
    while (!all_.empty()) wait();
  }
  bool empty() const { return all_.empty(); }
  std::size_t count() const { return all_.size(); }
  void add(Worker worker) { all_.push_back(std::move(worker)); }
  /// Once: all save their state and end.
  void stop() {
    if (std::exchange(told_, true)) return;
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
      judge(*worker, status);
      worker = all_.erase(worker);
    }
    if (!changed || !detail::stderr_is_terminal()) return some_ended;
    std::string live;
    for (const Worker& worker : all_)
      if (!worker.relayed.live().empty()) live += (live.empty() ? "" : "\n") + worker.relayed.live();
    detail::show_live_line(live);
    return some_ended;
  }

  std::vector<std::string> made;
  std::optional<Failure> failure;
  bool stopped = false;  ///< one of them was

 private:
  void judge(const Worker& worker, int status) {
    if (WIFEXITED(status) && WEXITSTATUS(status) == kExitSuccess) {
      if (!worker.restored) made.push_back(worker.stage);
      return;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == kExitStopped) stopped = true;
    if (stopped || failure) return;
    const std::string said = worker.failure.drain();
    if (!said.empty())
      failure = {said.front() == 'c', fmt::format("{}: {}", worker.stage, said.substr(1))};
    else if (WIFSIGNALED(status) && !(told_ && WTERMSIG(status) == SIGTERM))
      failure = {false,
                 fmt::format("{}: its process was ended by signal {} ({}); run the same command to continue",
                             worker.stage, WTERMSIG(status), ::strsignal(WTERMSIG(status)))};
    else if (WIFEXITED(status))
      failure = {false,
                 fmt::format("{}: its process ended with exit code {}", worker.stage, WEXITSTATUS(status))};
  }

  std::list<Worker> all_;
  bool told_ = false;
};

}  // namespace

void add_jobs(CLI::App& verb, int& jobs) {
  verb.add_option(
          "--jobs", jobs,
          "stages that are made side by side, each in a process of its own with its share of run.threads")
      ->type_name("N")
      ->check(at_least(1))
      ->capture_default_str();
}

std::map<std::string, double> make_side_by_side(Experiment& experiment, StageGraph& graph,
                                                const std::vector<std::string>& targets, int jobs,
                                                const std::function<void(const StageStatus&)>& started) {
  const int all = experiment.run().threads, share = std::max(1, all / jobs);
  Workers workers;
  std::set<std::string> begun;
  for (bool ended = true; ended || !workers.empty(); ended = workers.wait()) {
    if (stop_requested() || workers.stopped || workers.failure) {
      workers.stop();
      if (workers.empty()) break;
    } else if (ended) {
      for (const StageStatus& status : graph.ready(targets)) {
        if (workers.count() >= static_cast<std::size_t>(jobs)) break;
        if (!begun.insert(status.name).second) continue;
        started(status);
        workers.add(start(experiment, graph, status, graph.find(status.name).all_threads ? all : share));
      }
    }
  }
  if (workers.failure) {
    if (workers.failure->configuration) fail<ConfigError>("{}", workers.failure->message);
    fail("{}", workers.failure->message);
  }
  if (workers.stopped || stop_requested()) fail<Stopped>("on request; run the same command to continue");
  std::map<std::string, double> made;
  for (const std::string& stage : workers.made) made[stage] = graph.status(stage).seconds;
  return made;
}

}  // namespace sns
