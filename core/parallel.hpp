#pragma once
// Threads over independent work items. A persistent pool that sleeps between calls: spinning
// barriers ruin timings on shared machines.
#include <cstdint>
#include <functional>
#include <memory>

namespace sns {

/// Threads to use for `threads: auto`: OMP_NUM_THREADS, else SLURM_CPUS_PER_TASK, else the cores this
/// process may run on, or what a CPU quota of its control group leaves of them, rounded up.
int default_threads();

/// More are refused, as a mistake: each takes memory and time to start.
constexpr int kMostThreads = 1024;

class ThreadPool {
 public:
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const;
  /// Runs body(item, worker) for item = 0..items-1, dynamically scheduled; worker < threads() names the
  /// executing thread so that it can own scratch memory. Returns when all are done; the first exception
  /// thrown by a body is rethrown here. The calling thread takes part as worker 0.
  void for_each(std::int64_t items, const std::function<void(std::int64_t item, int worker)>& body);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sns
