#pragma once
// Stages of one or several experiments that need nothing of one another, side by side: each in a process of its
// own, since LibTorch keeps its threads and its random numbers for a whole process.
#include "app/config_arguments.hpp"
#include "experiments/experiment.hpp"

#include <CLI/CLI.hpp>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace sns {

/// Adds `--jobs N`.
void add_jobs(CLI::App& verb, int& jobs);

/// An experiment of which stages are made. What it refers to must outlive it.
struct ExperimentStages {
  const ConfigArguments& arguments;  ///< as they were typed, for the processes
  const RunConfig& run;
  StageGraph& graph;
  std::vector<std::string> targets;
  std::string label = {};  ///< what its lines and errors begin with, where there are several

  /// "figure1: train/sns"
  std::string name(const std::string& stage) const;
  /// Where the record of a stage lies, the same for one that several experiments have in one folder.
  std::filesystem::path record(const std::string& stage) const;
};

/// Why experiments cannot be made side by side: a stage of one and a stage of another that would set aside or
/// replace each other's files. nullopt where there is none.
std::optional<std::string> conflict(const std::vector<ExperimentStages>& experiments);

/// What is done with experiments, by their number.
struct SideBySideEvents {
  std::function<void(std::size_t, const StageStatus&)> started;  ///< before each stage
  /// As soon as all stages of an experiment are made that can be made side by side, with the seconds of those
  /// that were made for it: the rest is to be made now.
  std::function<void(std::size_t, const std::map<std::string, double>&)> finished;
};

/// Makes the stages of `targets` that may have a process of their own (Stage::own_process), at most `jobs` at a
/// time, each as soon as what it needs is there and with its share of run.threads; those of the first
/// experiment come first, and one that several have is made once. The others go on while the rest of one is
/// made (WhileDrawing). The caller holds the locks of the run folders: the processes inherit them, so that they
/// outlive this one where they do.
///
/// A stop (signal or time budget) is passed on and ends in Stopped when all have saved their state. Where a
/// stage fails, experiments that need it are given up and those that do not are made; the first failure is
/// thrown in the end: ConfigError as such, all else as Error. A single experiment is given up at once.
void make_side_by_side(int jobs, const std::vector<ExperimentStages>& experiments,
                       const SideBySideEvents& events);

}  // namespace sns
