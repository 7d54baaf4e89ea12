#pragma once
// What the verbs that run stages of an experiment share.
#include "app/config_arguments.hpp"
#include "app/stage_processes.hpp"
#include "experiments/experiment.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace sns {

/// One line per stage: name, state, what will happen and why. To stdout.
void print_plan(const std::vector<StageStatus>& plan);

/// An experiment that is to be run.
struct Runnable {
  Runnable(ConfigArguments typed, const std::string& verb);
  Runnable(const Runnable&) = delete;  ///< its parts refer to one another
  Runnable& operator=(const Runnable&) = delete;

  const ConfigArguments arguments;
  const Config config;
  const Experiment experiment;
  StageGraph graph;
  std::vector<std::string> targets;
};

/// Saves the resolved configuration in the run folder and runs what is not finished of the targets, with the
/// run folder locked and every stage announced on stderr, up to `jobs` side by side where they can be
/// (make_side_by_side); then prints the wall-clock time of each stage.
void run_stages(Runnable& experiment, int jobs = 1);

/// The same for several experiments at once (one after the other where they would replace each other's files).
void run_together(const std::vector<std::unique_ptr<Runnable>>& experiments, int jobs);

/// ConfigError where running the targets would train a model from nothing or anew: verbs that come after
/// training say so instead.
void require_trained(const Runnable& run);

}  // namespace sns
