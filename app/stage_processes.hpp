#pragma once
// Stages of an experiment that need nothing of one another, side by side: each in a process of its own, since
// LibTorch keeps its threads and its random numbers for a whole process.
#include "experiments/experiment.hpp"

#include <CLI/CLI.hpp>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace sns {

/// Adds `--jobs N`.
void add_jobs(CLI::App& verb, int& jobs);

/// Makes the stages of `targets` that may have a process of their own (Stage::own_process), at most `jobs` at a
/// time, each as soon as what it needs is there and with its share of run.threads. `started` is called before
/// each. Returns the seconds of those that were made. The caller holds the lock of the run folder: the
/// processes inherit it, so that it outlives this one where they do.
///
/// A stop (signal or time budget) is passed on and ends in Stopped when all have saved their state. Where one
/// fails the others are stopped, and the failure is thrown here: ConfigError as such, all else as Error.
std::map<std::string, double> make_side_by_side(Experiment& experiment, StageGraph& graph,
                                                const std::vector<std::string>& targets, int jobs,
                                                const std::function<void(const StageStatus&)>& started);

}  // namespace sns
