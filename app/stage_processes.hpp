#pragma once
// Stages of an experiment that need nothing of one another, side by side: each in a process of its own, since
// LibTorch keeps its threads and its random numbers for a whole process.
#include "app/config_arguments.hpp"
#include "experiments/experiment.hpp"

#include <CLI/CLI.hpp>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace sns {

/// Adds `--jobs N`.
void add_jobs(CLI::App& verb, int& jobs);

/// How many stages at a time, and the experiment as it was typed, for the processes that make them.
struct SideBySide {
  int jobs = 1;
  const ConfigArguments& arguments;
};

/// Makes the stages of `targets` that may have a process of their own (Stage::own_process), at most `jobs` at a
/// time, each as soon as what it needs is there and with its share of run.threads. `started` is called before
/// each. Returns the seconds of those that were made. The caller holds the lock of the run folder: the
/// processes inherit it, so that it outlives this one where they do.
///
/// A stop (signal or time budget) is passed on and ends in Stopped when all have saved their state. Where one
/// fails the others are stopped, and the failure is thrown here: ConfigError as such, all else as Error.
std::map<std::string, double> make_side_by_side(const SideBySide& how, const RunConfig& run, StageGraph& graph,
                                                const std::vector<std::string>& targets,
                                                const std::function<void(const StageStatus&)>& started);

/// What such a process is told beside the experiment's arguments, as the text of one hidden option.
struct WorkerOrder {
  std::string stage, hash;  ///< the stage, and what it must be: the YAML file may have changed meanwhile
  std::string command;      ///< what the user typed, for model cards
  int failure = -1;   ///< descriptor that takes what went wrong: 'c' (ConfigError) or 'e', then the message
  bool live = false;  ///< whether progress goes to the parent as live lines

  std::string text() const;
  /// ConfigError for one that text() has not made.
  static WorkerOrder parse(const std::string& text);
};

/// In such a process: has the experiment read and makes the stage. Ends the process, with an exit code of the
/// program.
[[noreturn]] void work(const WorkerOrder& order, const std::function<void(StageGraph&)>& read_stages);

}  // namespace sns
