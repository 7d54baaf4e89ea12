#include "app/file_check.hpp"

#include "core/error.hpp"
#include "core/run_config.hpp"
#include "datagen/plan.hpp"
#include "datagen/simulate.hpp"
#include "solvers/kolmogorov/kolmogorov.hpp"
#include "solvers/qg2layer/qg2layer.hpp"
#if SNS_HAVE_EXPERIMENTS
#include "experiments/describe.hpp"
#endif

#include <string>
#include <vector>

namespace sns {
namespace {

void read_solver(Section solver) {
  std::string system;
  solver.need("system", system, one_of({"kolmogorov", "qg2layer"}));
  if (system == "qg2layer")
    qg2layer::read_config(solver);
  else
    kolmogorov::read_config(solver);
}

/// Reads all blocks; `unread` gets those that an initial state that is not there keeps from being read, which
/// not every verb needs.
void read_all_blocks(const Config& config, std::vector<std::string>& unread) {
  Section root = config.root();
  const RunConfig run = read_run(config);
  read_simulate_plan(root.child("simulate"), run.seed);
  read_datagen_plan(root.child("datagen"), run.name, run.seed);
  try {
    if (root.has("solver")) read_solver(root.child("solver"));
  } catch (const ConfigError&) {
    throw;
  } catch (const Error&) {
    unread.emplace_back("solver");
  }
#if SNS_HAVE_EXPERIMENTS
  read_experiment_blocks(config);
#endif
}

}  // namespace

void check_whole_file(const Config& config) {
  std::vector<std::string> unread;
  try {
    read_all_blocks(config, unread);
  } catch (const ConfigError&) {
    throw;
  } catch (const Error&) {
    return;  // a folder of weights that is not there, which not every verb needs
  }
#if !SNS_HAVE_EXPERIMENTS
  unread.insert(unread.end(), {"models", "rollout", "evaluate", "figure", "oracle", "video", "retrain"});
#endif
  config.finish(unread);
}

}  // namespace sns
