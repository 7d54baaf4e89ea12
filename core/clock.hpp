#pragma once
// Time that passes while the program runs.
#include <chrono>

namespace sns {

using Clock = std::chrono::steady_clock;

inline double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace sns
