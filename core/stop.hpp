#pragma once
// Cooperative stop. Long loops poll stop_requested() at points where their state can be saved.
namespace sns {

/// Installs handlers for SIGINT and SIGTERM that only set a flag; a second signal ends the program at once.
void install_stop_handlers();
/// True once a stop was asked for by a signal, by request_stop() or by an expired time budget.
bool stop_requested() noexcept;
/// Asks for a stop from inside the program (used by tests).
void request_stop() noexcept;
/// Stop after this many seconds from now (`--time-budget`); 0 removes the budget.
void set_time_budget(double seconds);
/// Forgets all requests and the budget (used by tests).
void reset_stop() noexcept;

}  // namespace sns
