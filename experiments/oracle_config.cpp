#include "experiments/oracle_config.hpp"

#include "core/log.hpp"

#include <algorithm>

namespace sns {

OracleConfig read_oracle(Section oracle, const std::vector<ModelSpec>& models) {
  OracleConfig config;
  oracle.need("model", config.model);
  const auto model =
      std::find_if(models.begin(), models.end(), [&](const ModelSpec& m) { return m.name == config.model; });
  if (model == models.end() || model->model.kind != "sns")
    oracle.reject("model", fmt::format("'{}' is not a model of kind sns", config.model));
  if (model->training.levels.past == "clean")
    oracle.reject("model",
                  fmt::format("{} was trained beside clean past frames (levels.past: clean); the oracle "
                              "noises them",
                              config.model));
  oracle.maybe("weights", config.weights, one_of({"ema", "raw"}));
  oracle.maybe("level", config.level, between(0, model->model.diffusion.levels - 1));
  oracle.maybe("past_levels", config.past_levels, positive);
  oracle.maybe("examples", config.examples, between(1, 12));
  oracle.maybe("trajectories", config.trajectories, positive);
  oracle.maybe("times", config.times, positive);
  const int highest = highest_level(model->training.levels, model->model.diffusion.levels);
  if (config.level.value_or(0) > highest)
    log::warn("oracle.level: {} of {}, which was trained on levels 0 to {}: little can be expected",
              *config.level, config.model, highest);
  config.levels = highest + 1;
  return config;
}

}  // namespace sns
