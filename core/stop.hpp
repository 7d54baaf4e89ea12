#pragma once
// Cooperative stop. Long loops poll stop_requested() at points where their state can be saved; stretches that
// cannot poll and have nothing to save declare that (EndAtOnce).
#include <string_view>
#include <vector>

namespace sns {

/// Installs handlers for SIGINT and SIGTERM that only set a flag; a second signal, half a
/// second or more after the first, ends the program at once.
void install_stop_handlers();
/// For a process that works for another one, which passes stops on, as SIGTERM, and speaks of them: says
/// nothing, and a second signal is no other than the first. It may have been started with SIGTERM blocked,
/// until here.
void stop_as_worker() noexcept;
/// Whether a signal that asks for a stop is answered on stderr at once. Off: whoever polls says it.
void announce_stops(bool wanted) noexcept;
/// Processes that are killed where a second signal ends this one (the first 64; an empty list: none).
void end_together_with(const std::vector<int>& processes) noexcept;
/// True once a stop was asked for by a signal, by request_stop() or by an expired time budget.
bool stop_requested() noexcept;
/// The same, but not for an expired time budget.
bool stop_requested_at_once() noexcept;
/// Throws Stopped if a stop was asked for. during: "while reading states.h5".
void throw_if_stopped(std::string_view during);

/// While one lives, there is nothing to save: the first SIGINT or SIGTERM ends the program there and then, with
/// exit code 75. For what cannot poll: planning of transforms, allocation, calls of other libraries.
class EndAtOnce {
 public:
  /// Stopped if a stop was asked for before.
  EndAtOnce();
  ~EndAtOnce();
  EndAtOnce(const EndAtOnce&) = delete;
  EndAtOnce& operator=(const EndAtOnce&) = delete;
};

/// Asks for a stop from inside the program (used by tests).
void request_stop() noexcept;
/// Stop after this many seconds from now (`--time-budget`); 0 removes the budget.
void set_time_budget(double seconds);
/// Forgets all requests and the budget (used by tests).
void reset_stop() noexcept;

}  // namespace sns
