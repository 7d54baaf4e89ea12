#pragma once
// What stands at the bottom of a terminal, rewritten by progress, while log lines go above it: one line, or one
// of each process that works for this one.
#include <string>
#include <string_view>

namespace sns::detail {

/// Whether live lines are shown: on a terminal, and by a process whose parent shows them (relay_live_lines).
bool stderr_is_terminal();
/// Shows `text` there (lines cut to the width of the terminal), in place of what was there.
void show_live_line(std::string_view text);
/// Removes what is there.
void clear_live_line();

/// While one lives, "label: " stands before each log line and live line of this process; empty: nothing.
class LineLabel {
 public:
  explicit LineLabel(std::string label);
  ~LineLabel();
  LineLabel(const LineLabel&) = delete;
  LineLabel& operator=(const LineLabel&) = delete;

 private:
  std::string before_;
};

/// From now on stderr is a pipe to a process that relays what comes: each live line as one line that begins
/// with a carriage return (empty: there is none any more).
void relay_live_lines();
/// Prints a line that another process has written, above what is live here.
void print_above(std::string_view line);

/// Takes what such a process writes apart.
class RelayedLines {
 public:
  /// Prints all whole log lines in `text` and what was left of the text before; true where the live line is
  /// another one now.
  bool take(std::string_view text);
  /// Prints an unfinished line.
  void finish();
  const std::string& live() const { return live_; }

 private:
  std::string rest_, live_;
};

}  // namespace sns::detail
