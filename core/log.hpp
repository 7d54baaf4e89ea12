#pragma once
// Logging to stderr. Formats in the caller, so that no logging library reaches other headers
// (LibTorch's include folder brings an fmt of its own, which spdlog cannot be compiled with).
#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

namespace sns::log {

enum class Level { debug, info, warn, error };

/// Lowest level that is printed; default info. SNS_LOG=debug|info|warn|error sets it at start-up.
void set_level(Level level);
/// While one lives, nothing but errors is printed.
class ErrorsOnly {
 public:
  ErrorsOnly();
  ~ErrorsOnly();
  ErrorsOnly(const ErrorsOnly&) = delete;
  ErrorsOnly& operator=(const ErrorsOnly&) = delete;

 private:
  int before_;
};
/// Prints one line to stderr; thread safe; an active progress line is kept intact.
void write(Level level, std::string_view message);

template <class... Args>
void debug(fmt::format_string<Args...> text, Args&&... args) {
  write(Level::debug, fmt::format(text, std::forward<Args>(args)...));
}
template <class... Args>
void info(fmt::format_string<Args...> text, Args&&... args) {
  write(Level::info, fmt::format(text, std::forward<Args>(args)...));
}
template <class... Args>
void warn(fmt::format_string<Args...> text, Args&&... args) {
  write(Level::warn, fmt::format(text, std::forward<Args>(args)...));
}
template <class... Args>
void error(fmt::format_string<Args...> text, Args&&... args) {
  write(Level::error, fmt::format(text, std::forward<Args>(args)...));
}

}  // namespace sns::log
