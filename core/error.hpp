#pragma once
// Exceptions of the suite. What went wrong, the offending value, what is allowed, what to do:
// every message is one line that a user can act on.
#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace sns {

/// Exit codes of the `sns` program.
inline constexpr int kExitSuccess = 0;
inline constexpr int kExitFailure = 1;   ///< run-time failure
inline constexpr int kExitUsage = 2;     ///< bad command line or configuration
inline constexpr int kExitStopped = 75;  ///< stopped on request, checkpoint written, resumable

/// Run-time failure: bad data, a failing device, a full disk (exit code 1).
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Bad command line or configuration (exit code 2).
class ConfigError : public Error {
 public:
  using Error::Error;
};

/// A stop that was asked for (signal or time budget), after the work so far was saved (exit code 75).
class Stopped : public Error {
 public:
  using Error::Error;
};

/// Throws `E` with a formatted message: fail<ConfigError>("{} is not even", n).
template <class E = Error, class... Args>
[[noreturn]] void fail(fmt::format_string<Args...> text, Args&&... args) {
  throw E(fmt::format(text, std::forward<Args>(args)...));
}

/// Throws Error with a formatted message unless `condition` holds.
template <class... Args>
void require(bool condition, fmt::format_string<Args...> text, Args&&... args) {
  if (!condition) throw Error(fmt::format(text, std::forward<Args>(args)...));
}

}  // namespace sns
