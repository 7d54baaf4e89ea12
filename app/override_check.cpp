#include "app/override_check.hpp"

#include "core/config_tree.hpp"
#include "core/error.hpp"
#include "core/run_config.hpp"
#include "datagen/plan.hpp"
#include "datagen/simulate.hpp"
#include "solvers/kolmogorov/kolmogorov.hpp"
#include "solvers/qg2layer/qg2layer.hpp"
#if SNS_HAVE_EXPERIMENTS
#include "experiments/experiment.hpp"
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
  bool retrain = false;
  root.maybe("retrain", retrain);
  EvaluateConfig evaluate;
  Section evaluate_section = root.child("evaluate");
  read(evaluate_section, evaluate);
  FigureConfig figure;
  Section figure_section = root.child("figure");
  read(figure_section, figure);
  const std::vector<ModelSpec> models = root.has("models") ? read_models(config) : std::vector<ModelSpec>();
  if (root.has("rollout")) read_rollout(root.child("rollout"), models);
#endif
}

}  // namespace

void check_overrides(const Config& config) {
  try {
    read_all_blocks(config);
  } catch (const ConfigError& error) {
    if (std::string_view(error.what()).find(detail::kCommandLine) != std::string_view::npos) throw;
    return;
  }
#if SNS_HAVE_EXPERIMENTS
  config.finish_overrides();
#else
  config.finish_overrides({"models", "rollout", "evaluate", "figure", "retrain"});
#endif
}

}  // namespace sns
