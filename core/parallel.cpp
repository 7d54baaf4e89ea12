#include "core/parallel.hpp"

#include "core/control_group.hpp"
#include "core/error.hpp"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cmath>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace sns {
namespace {

/// Leading positive number of an environment variable, or 0.
int environment_count(const char* name) {
  const char* text = std::getenv(name);
  if (!text) return 0;
  int count = 0;
  std::from_chars(text, text + std::strlen(text), count);
  return std::clamp(count, 0, kMostThreads);
}

}  // namespace

int default_threads() {
  if (const int n = environment_count("OMP_NUM_THREADS")) return n;
  if (const int n = environment_count("SLURM_CPUS_PER_TASK")) return n;
  // A quota of one and a half cores keeps two threads busier than one.
  const double quota = std::ceil(cores_in_group());
  cpu_set_t allowed;
  const unsigned cores = sched_getaffinity(0, sizeof allowed, &allowed) == 0
                             ? static_cast<unsigned>(CPU_COUNT(&allowed))
                             : std::thread::hardware_concurrency();
  return static_cast<int>(std::clamp(std::min<double>(cores, quota), 1.0, double{kMostThreads}));
}

struct ThreadPool::State {
  using Body = std::function<void(std::int64_t, int)>;

  std::mutex call;  ///< one for_each at a time
  std::mutex mutex;
  std::condition_variable start, done;
  std::uint64_t round = 0;  ///< of for_each; a change wakes the workers
  int busy = 0;             ///< workers still in this round
  bool quit = false;
  std::int64_t items = 0;
  const Body* body = nullptr;
  std::atomic<std::int64_t> next{0};
  std::exception_ptr failure;
  std::vector<std::thread> workers;
  static thread_local const State* inside;  ///< pool whose body this thread is executing

  void work(int worker) {
    inside = this;
    for (std::int64_t item = next.fetch_add(1); item < items; item = next.fetch_add(1)) {
      try {
        (*body)(item, worker);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!failure) failure = std::current_exception();
        next.store(items);  // the rest is not started
      }
    }
    inside = nullptr;
  }

  /// Every worker that was started has ended afterwards.
  void end() {
    {
      const std::lock_guard lock(mutex);
      quit = true;
    }
    start.notify_all();
    for (std::thread& worker : workers) worker.join();
    workers.clear();
  }

  void loop(int worker) {
    std::uint64_t seen = 0;
    std::unique_lock lock(mutex);
    while (true) {
      start.wait(lock, [&] { return quit || round != seen; });
      if (quit) return;
      seen = round;
      lock.unlock();
      work(worker);
      lock.lock();
      if (--busy == 0) done.notify_one();
    }
  }
};

thread_local const ThreadPool::State* ThreadPool::State::inside = nullptr;

ThreadPool::ThreadPool(int threads) : state_(std::make_unique<State>()) {
  require(threads >= 1, "a thread pool needs at least one thread, not {}", threads);
  try {
    for (int worker = 1; worker < threads; ++worker)
      state_->workers.emplace_back([state = state_.get(), worker] { state->loop(worker); });
  } catch (const std::system_error& error) {
    const std::size_t started = state_->workers.size();
    state_->end();
    fail("only {} of {} threads could be started ({}); set run.threads", started + 1, threads, error.what());
  }
}

ThreadPool::~ThreadPool() {
  state_->end();
}

int ThreadPool::threads() const {
  return static_cast<int>(state_->workers.size()) + 1;
}

void ThreadPool::for_each(std::int64_t items, const std::function<void(std::int64_t, int)>& body) {
  if (items <= 0) return;
  State& s = *state_;
  require(State::inside != &s, "for_each was called from inside a for_each of the same thread pool");
  const std::lock_guard call(s.call);
  const bool alone = s.workers.empty() || items == 1;
  {
    const std::lock_guard lock(s.mutex);
    s.items = items;
    s.body = &body;
    s.next.store(0);
    s.failure = nullptr;
    if (!alone) {
      s.busy = static_cast<int>(s.workers.size());
      ++s.round;
    }
  }
  if (!alone) s.start.notify_all();
  const State* const outer = State::inside;
  s.work(0);
  State::inside = outer;
  std::unique_lock lock(s.mutex);
  s.done.wait(lock, [&] { return s.busy == 0; });
  if (s.failure) std::rethrow_exception(std::exchange(s.failure, nullptr));
}

}  // namespace sns
