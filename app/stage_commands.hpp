#pragma once
// What the verbs that run stages of an experiment share.
#include "app/config_arguments.hpp"
#include "app/stage_processes.hpp"
#include "experiments/experiment.hpp"

#include <optional>
#include <string>
#include <vector>

namespace sns {

/// One line per stage: name, state, what will happen and why. To stdout.
void print_plan(const std::vector<StageStatus>& plan);

/// Saves the resolved configuration in the run folder and runs what is not finished of `targets`, with the run
/// folder locked and every stage announced on stderr; then prints the wall-clock time of each stage. `beside`:
/// side by side where they can be (make_side_by_side).
void run_stages(const Experiment& experiment, const Config& config, StageGraph& graph,
                const std::vector<std::string>& targets,
                const std::optional<SideBySide>& beside = std::nullopt);

/// ConfigError where running `targets` would train a model from nothing or anew: verbs that come after
/// training say so instead.
void require_trained(const Experiment& experiment, const StageGraph& graph,
                     const std::vector<std::string>& targets, const ConfigArguments& arguments);

}  // namespace sns
