#pragma once
// How long something takes that is repeated.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

namespace sns {

/// Seconds of one call: the least over groups of calls that together take about `seconds`, or of one call where
/// that alone takes longer. `wait` returns when all that was called is done, as devices work on by themselves.
/// The first call must have been made before: it plans, compiles and touches memory.
template <class Call, class Wait>
double seconds_per_call(double seconds, const Call& call, const Wait& wait) {
  constexpr int kGroups = 5;
  constexpr double kMostCalls = 1e6;
  const auto time = [&](int calls) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < calls; ++i) call();
    wait();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  double best = std::numeric_limits<double>::infinity(), spent = 0;
  for (int calls = 1; spent < seconds;) {
    const double elapsed = time(calls);
    spent += elapsed;
    best = std::min(best, elapsed / calls);
    calls = static_cast<int>(
        std::clamp(std::ceil(seconds / kGroups / best), 1.0, std::min(10.0 * calls, kMostCalls)));
  }
  return best;
}

}  // namespace sns
