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

namespace sns {
namespace {

void read_all_blocks(const Config& config) {
  Section root = config.root();
  const RunConfig run = read_run(config);
  read_simulate_plan(root.child("simulate"), run.seed);
  read_datagen_plan(root.child("datagen"), run.name, run.seed);
  if (root.has("solver")) {
    Section solver = root.child("solver");
    std::string system;
    solver.need("system", system, one_of({"kolmogorov", "qg2layer"}));
    if (system == "qg2layer")
      qg2layer::read_config(solver);
    else
      kolmogorov::read_config(solver);
  }
#if SNS_HAVE_EXPERIMENTS
  read_experiment_blocks(config);
#endif
}

}  // namespace

void check_whole_file(const Config& config) {
  try {
    read_all_blocks(config);
  } catch (const ConfigError&) {
    throw;
  } catch (const Error&) {
    return;  // a state or a folder of weights that is not there, which not every verb needs
  }
#if SNS_HAVE_EXPERIMENTS
  config.finish();
#else
  config.finish({"models", "rollout", "evaluate", "figure", "oracle", "video", "retrain"});
#endif
}

}  // namespace sns
