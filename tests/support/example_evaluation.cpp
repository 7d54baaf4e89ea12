// write_example_evaluation FOLDER: the example rollouts, evaluated, with the configuration of a run beside
// them; `--draw` also draws figures and writes the report. For the tests of the Python scripts.
#include "core/error.hpp"
#include "core/files.hpp"
#include "experiments/evaluate.hpp"
#include "tests/support/example_rollouts.hpp"

#include <cstdio>
#include <string>

namespace {

constexpr const char* kConfiguration = R"(solver: {system: kolmogorov, grid: {points: 16}, viscosity: 0.01}
models:
  plain: {kind: gaussian, network: {hidden: 4, blocks: 1}, training: {steps: 900}}
  refiner: {kind: sns, network: {hidden: 8, blocks: 1}, diffusion: {levels: 200}}
rollout: {methods: {other: {emulator: plain, refiner: refiner, level_floor: 2}}}
)";

int write(const std::filesystem::path& folder, bool draw) {
  auto inputs = sns::test::write_example(folder);
  inputs.figure.kinds = {"snapshots", "stability", "dynamics", "levels", "temporal", "traversals", "forecast"};
  inputs.methods[2].ensemble = folder / "rollouts/ensemble.h5";
  sns::test::write_example_ensemble(*inputs.methods[2].ensemble);
  inputs.solver_ensemble = inputs.methods[2].ensemble;
  sns::evaluate_rollouts(inputs);
  sns::write_text(folder / "config.yaml", kConfiguration);
  sns::write_text(folder / "models/plain/metrics.jsonl",
                  "{\"step\": 1, \"loss\": 1.5}\n{\"step\": 2, \"loss\": 0.5}\n{\"step\": 2, \"validation\": "
                  "{\"loss\": 0.7}}\n");
  if (!draw) return 0;
  sns::ReportInputs report{.run = folder,
                           .results = folder,
                           .title = "Example <run>",
                           .models = {},
                           .stages = {},
                           .figure = inputs.figure,
                           .notes = {}};
  report.models.push_back({"plain", "gaussian", false, "", ""});
  report.models.push_back(
      {"refiner", "sns", true, "/weights/refiner", "sns reproduce example.yaml retrain=true"});
  report.stages = {{"rollout", 3.0}, {"evaluate", std::nullopt}};
  report.notes = {"A note of the caller."};
  const bool figures = sns::draw_figures(folder, inputs.figure);
  return figures && sns::write_report(report) ? 0 : 1;
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 2) {
    std::fputs("usage: write_example_evaluation FOLDER [--draw]\n", stderr);
    return sns::kExitUsage;
  }
  try {
    std::filesystem::create_directories(std::filesystem::path(arguments[1]) / "models/plain");
    return write(arguments[1], count > 2 && std::string(arguments[2]) == "--draw");
  } catch (const sns::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return sns::kExitFailure;
  }
}
