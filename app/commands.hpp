#pragma once
// The verbs of the `sns` program. Each cmd_<verb>.cpp adds one subcommand with its options and a callback;
// callbacks report failure by throwing (core/error.hpp), and run_program turns that into an exit code.
#include <CLI/CLI.hpp>

#include <string>

namespace sns {

void add_check(CLI::App& app);
void add_simulate(CLI::App& app);
void add_datagen(CLI::App& app);
void add_verify(CLI::App& app);
void add_stability(CLI::App& app);
void add_train(CLI::App& app);
void add_predict(CLI::App& app);
void add_export(CLI::App& app);
void add_calibrate(CLI::App& app);
void add_rollout(CLI::App& app);
void add_evaluate(CLI::App& app);
void add_reproduce(CLI::App& app);
void add_bench(CLI::App& app);
void add_info(CLI::App& app);

/// Starts the program once more with OMP_WAIT_POLICY=passive unless the variable is set. OpenMP threads
/// otherwise spin between the small parallel regions of a network, which on a machine that does anything else
/// makes two threads many times slower than one; the OpenMP library reads the variable when it is loaded.
void let_idle_threads_sleep(char** argv);

/// The command line that runs now, as one would type it, the program as "sns"; empty before run_program.
const std::string& typed_command();

/// Parses the command line and runs the chosen verb; errors become one line on stderr.
/// Returns the exit code (core/error.hpp).
int run_program(CLI::App& app, int argc, char** argv);

}  // namespace sns
