#include "experiments/report_notes.hpp"

#include "core/config.hpp"

namespace sns {
namespace {

// The paper's set-ups (arXiv 2603.17750 and its code): Kolmogorov flow, and two layers.
constexpr double kPaperViscosity = 1e-4;
constexpr int kPaperPoints = 512, kPaperLayerPoints = 256;
constexpr int kPaperHidden = 64, kPaperLayerSnsHidden = 128;
constexpr int kPaperLayerThreshold = 5;
constexpr int kPaperBlocks = 2;
constexpr int kPaperLevels = 1000;

template <class T>
T value_or(Section section, const char* key, T fallback) {
  section.maybe(key, fallback);
  return fallback;
}

bool has_layers(Section root) {
  return value_or<std::string>(root.child("solver"), "system", "kolmogorov") == "qg2layer";
}

void note_flow(Section root, std::vector<std::string>& notes) {
  Section solver = root.child("solver");
  if (has_layers(root)) {
    const auto points = value_or(solver.child("grid"), "points", kPaperLayerPoints);
    if (points != kPaperLayerPoints)
      notes.push_back(fmt::format(
          "The flow is smaller than the paper's: {} x {} solver points (paper: {} x {}). Energies and "
          "spectra depend on the resolution.",
          points, points, kPaperLayerPoints, kPaperLayerPoints));
    return;
  }
  const auto viscosity = value_or(solver, "viscosity", kPaperViscosity);
  const auto points = value_or(solver.child("grid"), "points", kPaperPoints);
  if (viscosity == kPaperViscosity && points == kPaperPoints) return;
  notes.push_back(fmt::format(
      "The flow is smaller than the paper's: viscosity {:g} on {} x {} solver points (paper: {:g} on {} x "
      "{}). Less turbulent flow is easier to learn.",
      viscosity, points, points, kPaperViscosity, kPaperPoints, kPaperPoints));
}

void note_model(const std::string& name, Section model, bool layers, std::vector<std::string>& notes) {
  Section network = model.child("network");
  const int paper_hidden =
      layers && value_or<std::string>(model, "kind", "gaussian") == "sns" ? kPaperLayerSnsHidden : kPaperHidden;
  const auto hidden = value_or(network, "hidden", kPaperHidden);
  const auto blocks = value_or(network, "blocks", kPaperBlocks);
  const auto kind = value_or<std::string>(model, "kind", "gaussian");
  Section training = model.child("training");
  const auto steps = value_or(training, "steps", 0);
  if (hidden < paper_hidden || blocks < kPaperBlocks) {
    notes.push_back(fmt::format(
        "{} is deliberately small: {} hidden channels and {} residual blocks per level (paper: {} and {}), {} "
        "training "
        "steps.{}",
        name, hidden, blocks, paper_hidden, kPaperBlocks, steps,
        kind == "gaussian"
            ? " Its instability comes from its size and short training; trained longer, a surrogate can "
              "be stable on this flow without refinement."
            : ""));
  }
  if (kind != "sns") return;
  Section diffusion = model.child("diffusion");
  const auto levels = value_or(diffusion, "levels", kPaperLevels);
  if (levels != kPaperLevels)
    notes.push_back(fmt::format("{} has {} noise levels (paper: {}).", name, levels, kPaperLevels));
  if (value_or<std::string>(diffusion, "prediction", "eps") != "eps")
    notes.push_back(fmt::format("The output of {} is read as sigma x noise (paper: noise).", name));
  Section sampling = training.child("levels");
  if (value_or<std::string>(sampling, "sampling", "uniform") != "uniform")
    notes.push_back(
        fmt::format("{} was trained on levels 0 to {}, low ones more often (paper: all, uniformly).", name,
                    value_or(sampling, "max_level", 0)));
}

void note_method(const std::string& name, Section method, bool layers, std::vector<std::string>& notes) {
  if (!method.has("refiner") || !value_or(method, "refiner", std::optional<std::string>())) return;
  if (const auto floor = value_or(method, "level_floor", 0); floor > 0)
    notes.push_back(
        fmt::format("{} refines every frame from level {} at least, whatever the heads predict (level_floor: "
                    "{}). The paper has no "
                    "floor; without it refinement acts only where a head sees noise.",
                    name, floor, floor));
  const auto threshold = value_or(method, "threshold", -1);
  if (layers && threshold != kPaperLayerThreshold)
    notes.push_back(fmt::format("{} refines {} (paper: states with a predicted level above {}).", name,
                                threshold < 0
                                    ? std::string("every state")
                                    : fmt::format("states with a predicted level above {}", threshold),
                                kPaperLayerThreshold));
  if (!layers && threshold >= 0)
    notes.push_back(
        fmt::format("{} refines only states with a predicted level above {} (threshold).", name, threshold));
  const auto rule = value_or<std::string>(method, "rule", "inclusive");
  if (rule != "reference")
    notes.push_back(fmt::format(
        "{} starts each sample's reverse sweep {} its own predicted level (rule: {}). The paper's code starts "
        "one "
        "level below the batch's largest, so that a sample of that level keeps some of the added noise (rule: "
        "reference).",
        name, rule == "inclusive" ? "at" : "one level below", rule));
}

}  // namespace

std::vector<std::string> deviations_from_paper(const std::filesystem::path& configuration) {
  const Config config = Config::load(configuration);
  std::vector<std::string> notes;
  Section root = config.root();
  note_flow(root, notes);
  Section models = root.child("models");
  for (const auto& name : models.keys()) note_model(name, models.child(name), has_layers(root), notes);
  Section methods = root.child("rollout").child("methods");
  for (const auto& name : methods.keys()) note_method(name, methods.child(name), has_layers(root), notes);
  return notes;
}

}  // namespace sns
