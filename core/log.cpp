#include "core/log.hpp"

#include "core/live_line.hpp"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/ansicolor_sink.h>
#include <spdlog/spdlog.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <utility>

namespace sns {
namespace {

/// %* in the pattern: the level as a prefix, nothing for info.
class LevelPrefix : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&, spdlog::memory_buf_t& out) override {
    std::string_view text;
    if (message.level == spdlog::level::debug) text = "debug: ";
    if (message.level == spdlog::level::warn) text = "warning: ";
    if (message.level == spdlog::level::err) text = "error: ";
    out.append(text.data(), text.data() + text.size());
  }
  std::unique_ptr<custom_flag_formatter> clone() const override { return std::make_unique<LevelPrefix>(); }
};

spdlog::level::level_enum spdlog_level(log::Level level) {
  switch (level) {
    case log::Level::debug:
      return spdlog::level::debug;
    case log::Level::info:
      return spdlog::level::info;
    case log::Level::warn:
      return spdlog::level::warn;
    case log::Level::error:
      break;
  }
  return spdlog::level::err;
}

bool on_terminal() {
  const char* terminal = std::getenv("TERM");
  return isatty(STDERR_FILENO) == 1 && terminal != nullptr && std::string_view(terminal) != "dumb";
}

/// stderr, shared by log lines and what is live.
struct Output {
  std::mutex mutex;
  std::shared_ptr<spdlog::sinks::ansicolor_stderr_sink_st> sink;
  std::unique_ptr<spdlog::logger> logger;
  std::string live;      // lines
  std::string label;     // before each line, with its colon
  bool relayed = false;  // stderr is a pipe to a process that shows live lines

  Output() {
    const bool colour = on_terminal() && std::getenv("NO_COLOR") == nullptr;
    sink = std::make_shared<spdlog::sinks::ansicolor_stderr_sink_st>(colour ? spdlog::color_mode::always
                                                                            : spdlog::color_mode::never);
    auto formatter = std::make_unique<spdlog::pattern_formatter>();
    formatter->add_flag<LevelPrefix>('*').set_pattern("%H:%M:%S sns: %^%*%$%v");
    sink->set_formatter(std::move(formatter));
    logger = std::make_unique<spdlog::logger>("sns", sink);
    logger->set_level(spdlog::level::info);
    logger->flush_on(spdlog::level::debug);
    if (const char* wanted = std::getenv("SNS_LOG")) {
      const std::string name = wanted;
      if (name == "debug") logger->set_level(spdlog::level::debug);
      if (name == "warn") logger->set_level(spdlog::level::warn);
      if (name == "error") logger->set_level(spdlog::level::err);
      if (name != "debug" && name != "info" && name != "warn" && name != "error") {
        logger->warn("SNS_LOG is '{}' but must be debug, info, warn or error", name);
        ::unsetenv("SNS_LOG");  // processes that work for this one need not say so again
      }
    }
  }

  void erase() const {
    if (live.empty() || relayed) return;
    std::fputs("\r\x1b[K", stderr);
    for (const char c : live)
      if (c == '\n') std::fputs("\x1b[1A\x1b[K", stderr);
  }
  void draw() const {
    if (!live.empty() && !relayed) std::fputs(live.c_str(), stderr);
    std::fflush(stderr);
  }
  void show(std::string text) {
    erase();
    live = std::move(text);
    if (relayed) fmt::print(stderr, "\r{}\n", live);
    draw();
  }
};

/// Never destroyed: destructors of other statics may still log.
Output& output() {
  static Output* const instance = new Output;
  return *instance;
}

std::size_t terminal_width() {
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1) return size.ws_col;
  return 80;
}

}  // namespace

namespace log {

void set_level(Level level) {
  Output& out = output();
  const std::lock_guard lock(out.mutex);
  out.logger->set_level(spdlog_level(level));
}

ErrorsOnly::ErrorsOnly() {
  Output& out = output();
  const std::lock_guard lock(out.mutex);
  before_ = out.logger->level();
  out.logger->set_level(spdlog::level::err);
}

ErrorsOnly::~ErrorsOnly() {
  Output& out = output();
  const std::lock_guard lock(out.mutex);
  out.logger->set_level(static_cast<spdlog::level::level_enum>(before_));
}

void write(Level level, std::string_view message) {
  Output& out = output();
  const std::lock_guard lock(out.mutex);
  if (!out.logger->should_log(spdlog_level(level))) return;
  out.erase();
  out.logger->log(spdlog_level(level), "{}{}", out.label, message);
  out.draw();
}

}  // namespace log

namespace detail {

bool stderr_is_terminal() {
  Output& out = output();
  const std::lock_guard lock(out.mutex);
  return out.relayed || on_terminal();
}

void show_live_line(std::string_view text) {
  Output& out = output();
  const std::lock_guard lock(out.mutex);
  if (out.relayed) return out.show(out.label + std::string(text));
  std::string lines;
  for (bool first = true; !text.empty(); first = false) {
    const std::string_view line = text.substr(0, text.find('\n'));
    if (!first) lines += '\n';
    lines += line.substr(0, terminal_width() - 1);
    text.remove_prefix(std::min(text.size(), line.size() + 1));
  }
  out.show(std::move(lines));
}

void clear_live_line() {
  Output& out = output();
  const std::lock_guard lock(out.mutex);
  out.show("");
}

LineLabel::LineLabel(std::string label) : before_(label.empty() ? "" : std::move(label) + ": ") {
  Output& out = output();
  const std::lock_guard lock(out.mutex);
  std::swap(out.label, before_);
}

LineLabel::~LineLabel() {
  Output& out = output();
  const std::lock_guard lock(out.mutex);
  out.label = std::move(before_);
}

void relay_live_lines() {
  Output& out = output();
  const std::lock_guard lock(out.mutex);
  out.live.clear();
  out.relayed = true;
}

void print_above(std::string_view line) {
  Output& out = output();
  const std::lock_guard lock(out.mutex);
  out.erase();
  fmt::print(stderr, "{}\n", line);
  out.draw();
}

bool RelayedLines::take(std::string_view text) {
  bool changed = false;
  rest_ += text;
  for (std::size_t end = 0; (end = rest_.find('\n')) != std::string::npos; rest_.erase(0, end + 1)) {
    if (rest_.front() != '\r') {
      print_above(std::string_view(rest_).substr(0, end));
      continue;
    }
    live_ = rest_.substr(1, end - 1);
    changed = true;
  }
  return changed;
}

void RelayedLines::finish() {
  if (!rest_.empty() && rest_.front() != '\r') print_above(rest_);
  rest_.clear();
  live_.clear();
}

}  // namespace detail
}  // namespace sns
