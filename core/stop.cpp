#include "core/stop.hpp"

#include "core/error.hpp"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <string_view>

namespace sns {
namespace {

constexpr std::int64_t kNoDeadline = INT64_MAX;
/// A request that arrives twice within this time (from the terminal, and forwarded by `timeout` or a script) is
/// one.
constexpr std::int64_t kOneRequest_ns = 500'000'000;
std::atomic<bool> requested{false};
std::atomic<std::int64_t> deadline{kNoDeadline};
std::atomic<std::int64_t> first_signal{0};  // when it came; 0 = none yet
std::atomic<int> nothing_to_save{0};        // living EndAtOnce objects
std::atomic<bool> silent{false}, worker{false};
std::array<std::atomic<int>, 65> helpers{};  // ended by 0
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<int>::is_always_lock_free &&
                  std::atomic<std::int64_t>::is_always_lock_free,
              "the signal handler may only touch lock-free atomics");

std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

void say(std::string_view text) {
  if (silent.load()) return;
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
}

extern "C" void on_stop_signal(int signal) {
  requested.store(true);
  if (nothing_to_save.load() > 0) {
    say("\nsns: stopped: on request; nothing was under way that could be lost, run the same command again\n");
    _exit(kExitStopped);
  }
  const std::int64_t now = now_ns();
  std::int64_t first = 0;
  if (first_signal.compare_exchange_strong(first, now)) {
    say("\nsns: stopping at the next safe point; signal again to end at once\n");
  } else if (now - first > kOneRequest_ns && !worker.load()) {
    for (const std::atomic<int>& process : helpers) {
      if (process.load() == 0) break;
      ::kill(process.load(), SIGKILL);
    }
    struct sigaction standard {};
    standard.sa_handler = SIG_DFL;
    sigaction(signal, &standard, nullptr);
    ::raise(signal);  // pending until this handler returns
  }
}

}  // namespace

void install_stop_handlers() {
  ::signal(SIGXFSZ, SIG_IGN);  // a limit on the size of files is then an error of the write, which says so
  for (const int signal : {SIGINT, SIGTERM}) {
    struct sigaction previous {};
    sigaction(signal, nullptr, &previous);
    if (previous.sa_handler == SIG_IGN) continue;  // started in the background with the signal ignored
    struct sigaction action {};
    action.sa_handler = on_stop_signal;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    sigaction(signal, &action, nullptr);
  }
}

void stop_as_worker() noexcept {
  silent.store(true);
  worker.store(true);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

void announce_stops(bool wanted) noexcept {
  silent.store(!wanted);
}

void end_together_with(const std::vector<int>& processes) noexcept {
  std::size_t count = 0;
  for (; count < std::min(processes.size(), helpers.size() - 1); ++count)
    helpers[count].store(processes[count]);
  helpers[count].store(0);
}

bool stop_requested_at_once() noexcept {
  return requested.load(std::memory_order_relaxed);
}

bool stop_requested() noexcept {
  if (stop_requested_at_once()) return true;
  const std::int64_t limit = deadline.load(std::memory_order_relaxed);
  return limit != kNoDeadline && now_ns() >= limit;
}

void throw_if_stopped(std::string_view during) {
  if (stop_requested()) fail<Stopped>("on request {}; run the same command again to go on", during);
}

// The count goes up before the look at the request: a signal in between is seen by one or the other.
EndAtOnce::EndAtOnce() {
  ++nothing_to_save;
  if (!stop_requested()) return;
  --nothing_to_save;
  throw_if_stopped("before anything was begun");
}
EndAtOnce::~EndAtOnce() {
  --nothing_to_save;
}

void request_stop() noexcept {
  requested.store(true);
}

void set_time_budget(double seconds) {
  // a budget beyond a century is none
  deadline.store(seconds > 0 && seconds < 3e9 ? now_ns() + static_cast<std::int64_t>(seconds * 1e9)
                                              : kNoDeadline);
}

void reset_stop() noexcept {
  requested.store(false);
  deadline.store(kNoDeadline);
}

}  // namespace sns
