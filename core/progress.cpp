#include "core/progress.hpp"

#include "core/live_line.hpp"
#include "core/log.hpp"

#include <algorithm>
#include <cmath>

namespace sns {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kLiveInterval{100};
constexpr std::chrono::seconds kPlainInterval{10};

double seconds_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

}  // namespace

std::string duration_text(double seconds) {
  const auto s = std::int64_t{std::lround(std::min(seconds, 1e9))};
  if (s < 60) return fmt::format("{} s", s);
  if (s < 3600) return fmt::format("{}:{:02}", s / 60, s % 60);
  if (s < 86400) return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
  return fmt::format("{} d {:02}:{:02}:{:02}", s / 86400, s / 3600 % 24, s / 60 % 60, s % 60);
}

Progress::Progress(std::string what, std::int64_t total, std::string unit, std::int64_t done)
    : what_(std::move(what)),
      unit_(std::move(unit)),
      total_(total),
      first_(done),
      done_(done),
      start_(Clock::now()),
      last_print_(start_),
      terminal_(detail::stderr_is_terminal()) {}

Progress::~Progress() {
  finish();
}

std::string Progress::line(Clock::time_point now, std::string_view note) const {
  const double elapsed = seconds_between(start_, now);
  std::string text = total_ > 0 ? fmt::format("{}: {}/{} {} ({:.0f} %)", what_, done_, total_, unit_,
                                              100.0 * static_cast<double>(done_) / static_cast<double>(total_))
                                : fmt::format("{}: {} {}", what_, done_, unit_);
  const std::int64_t fresh = done_ - first_;
  if (fresh > 0 && elapsed > 0) {
    const double rate = static_cast<double>(fresh) / elapsed;
    text += fmt::format(", {:.3g} {}/s", rate, unit_);
    if (finished_) text += fmt::format(", took {}", duration_text(elapsed));
    if (!finished_ && total_ > done_)
      text += fmt::format(", {} left", duration_text(static_cast<double>(total_ - done_) / rate));
  }
  if (!note.empty()) text += fmt::format(", {}", note);
  return text;
}

void Progress::update(std::int64_t done, std::string_view note) {
  const std::lock_guard lock(mutex_);
  done_ = done;
  const Clock::time_point now = Clock::now();
  if (finished_ ||
      now - last_print_ < (terminal_ ? Clock::duration(kLiveInterval) : Clock::duration(kPlainInterval)))
    return;
  last_print_ = now;
  if (terminal_)
    detail::show_live_line(line(now, note));
  else
    log::info("{}", line(now, note));
}

void Progress::skip(std::int64_t units) {
  const std::lock_guard lock(mutex_);
  first_ += units;
  done_ += units;
}

void Progress::finish(std::string_view note) {
  const std::lock_guard lock(mutex_);
  if (finished_) return;
  finished_ = true;
  if (terminal_) detail::clear_live_line();
  log::info("{}", line(Clock::now(), note));
}

}  // namespace sns
