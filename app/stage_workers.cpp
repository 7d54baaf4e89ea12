#include "app/stage_workers.hpp"

#include "app/failures.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "core/stop.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <thread>

namespace sns {

namespace {

constexpr std::chrono::milliseconds kPoll{100};
constexpr std::size_t kLongestFailure = 4096;  // bytes that a pipe takes at once
constexpr const char* kWorkerOption = "--worker";

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

}  // namespace

Pipe::Pipe() {
  std::array<int, 2> ends{};
  require(::pipe2(ends.data(), O_CLOEXEC) == 0, "cannot make a pipe: {}", std::strerror(errno));
  read_ = ends[0];
  write_ = ends[1];
  ::fcntl(read_, F_SETFL, O_NONBLOCK);
}

Pipe::Pipe(Pipe&& other) noexcept
    : read_(std::exchange(other.read_, -1)), write_(std::exchange(other.write_, -1)) {}

Pipe::~Pipe() {
  close_writing();
  if (read_ >= 0) ::close(read_);
}

void Pipe::close_writing() {
  if (const int end = std::exchange(write_, -1); end >= 0) ::close(end);
}

std::string Pipe::drain() const {
  std::string text;
  std::array<char, 4096> block{};
  for (ssize_t got = 0; (got = ::read(read_, block.data(), block.size())) > 0;)
    text.append(block.data(), static_cast<std::size_t>(got));
  return text;
}

Worker start_worker(const Origin& origin, const ConfigArguments& arguments, WorkerOrder order, int threads) {
  Worker worker;
  static_cast<Origin&>(worker) = origin;
  order.failure = worker.failure.writing();
  order.live = detail::stderr_is_terminal();
  std::vector<std::string> words = command_of(arguments, order, threads);
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
    if (order.live) {
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

Workers::Workers() {
  ::signal(SIGCHLD, SIG_DFL);  // ignored, as by some supervisors, it would hide how they end
  announce_stops(false);
}

Workers::~Workers() {  // where starting one failed: none outlives this
  stop("");
  while (!all_.empty()) wait();
  announce_stops(true);
}

void Workers::add(Worker worker) {
  all_.push_back(std::move(worker));
  share_fate();
}

void Workers::stop(const std::string& why) {
  if (std::exchange(told_, true)) return;
  if (!why.empty()) log::info("{}", why);
  for (const Worker& worker : all_) ::kill(worker.process, SIGTERM);
}

void Workers::wait() {
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

void Workers::share_fate() const {
  std::vector<int> processes;
  for (const Worker& worker : all_) processes.push_back(worker.process);
  end_together_with(processes);
}

void Workers::judge(const Worker& worker, int status) {
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
    failure = {false, fmt::format("{}: its process ended with exit code {}", worker.name, WEXITSTATUS(status))};
  failed.emplace_back(worker, std::move(failure));
}

std::string WorkerOrder::text() const {
  return nlohmann::json{{"stage", stage},     {"hash", hash},       {"label", label},
                        {"command", command}, {"failure", failure}, {"live", live}}
      .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);  // paths need not be UTF-8
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
