#pragma once
// Time that passes while the program runs, and what of it the program's own work took.
#include <chrono>
#include <ctime>

namespace sns {

using Clock = std::chrono::steady_clock;

inline double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Seconds of CPU time that all threads of this process have used. Other work on the machine hardly adds to it,
/// as it does to the time on the clock.
inline double cpu_seconds() {
  timespec used{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) + 1e-9 * static_cast<double>(used.tv_nsec);
}

}  // namespace sns
