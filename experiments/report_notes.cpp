#include "experiments/report_notes.hpp"

#include "core/config.hpp"

namespace sns {
namespace {

// The paper's set-ups (arXiv 2603.17750 and its code): Kolmogorov flow, and two layers.
constexpr double kPaperViscosity = 1e-4;
constexpr int kPaperPoints = 512, kPaperLayerPoints = 256;
constexpr int kPaperLayerCoarsening = 4;
constexpr double kPaperLayerLength = 1e6, kPaperLayerStep = 3600;
constexpr double kPaperBeta = 1e-11, kPaperBottomDrag = 7e-8, kPaperDepthRatio = 0.1;
constexpr double kPaperRmsPenalty = 1, kPaperRmsLimit = 1;
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

/// The paper's two-layer flow is the jet case of its code.
void note_layers(Section root, std::vector<std::string>& notes) {
  Section solver = root.child("solver"), grid = solver.child("grid");
  const auto beta = value_or(solver, "beta", kPaperBeta),
             drag = value_or(solver, "bottom_drag", kPaperBottomDrag),
             ratio = value_or(solver, "depth_ratio", kPaperDepthRatio);
  if (beta != kPaperBeta || drag != kPaperBottomDrag || ratio != kPaperDepthRatio)
    notes.push_back(fmt::format(
        "The flow is another one than the paper's jet: beta {:g} /(m s), bottom drag {:g} /s, depth ratio "
        "{:g} (paper: {:g}, {:g}, {:g}). pyqg's default eddy case has 1.5e-11, 5.787e-07 and 0.25.",
        beta, drag, ratio, kPaperBeta, kPaperBottomDrag, kPaperDepthRatio));
  if (const auto length = value_or(grid, "length", kPaperLayerLength); length != kPaperLayerLength)
    notes.push_back(fmt::format("The box is {:g} km long (paper: {:g} km): fewer eddies and jets fit into it.",
                                length / 1000, kPaperLayerLength / 1000));
  const auto points = value_or(grid, "points", kPaperLayerPoints);
  if (points != kPaperLayerPoints)
    notes.push_back(fmt::format(
        "The flow is smaller than the paper's: {} x {} solver points (paper: {} x {}). Energies and "
        "spectra depend on the resolution.",
        points, points, kPaperLayerPoints, kPaperLayerPoints));
  const int factor = value_or(root.child("datagen").child("coarsen"), "factor", 1);
  if (const int coarse = points / factor, paper = kPaperLayerPoints / kPaperLayerCoarsening; coarse != paper)
    notes.push_back(
        fmt::format("The networks see {} x {} points (paper: {} x {}).", coarse, coarse, paper, paper));
  if (const auto dt = value_or(solver.child("stepper"), "dt", kPaperLayerStep); dt != kPaperLayerStep)
    notes.push_back(fmt::format("The solver's time step is {:g} s (paper: {:g} s).", dt, kPaperLayerStep));
}

void note_flow(Section root, std::vector<std::string>& notes) {
  if (has_layers(root)) return note_layers(root, notes);
  Section solver = root.child("solver");
  const auto viscosity = value_or(solver, "viscosity", kPaperViscosity);
  const auto points = value_or(solver.child("grid"), "points", kPaperPoints);
  if (viscosity == kPaperViscosity && points == kPaperPoints) return;
  notes.push_back(fmt::format(
      "The flow is smaller than the paper's: viscosity {:g} on {} x {} solver points (paper: {:g} on {} x "
      "{}). Less turbulent flow is easier to learn.",
      viscosity, points, points, kPaperViscosity, kPaperPoints, kPaperPoints));
}

/// The networks of the paper's code for two layers have attention in the middle, whose softmax runs over the
/// queries.
void note_attention(const std::string& name, Section attention, std::vector<std::string>& notes) {
  if (!value_or(attention, "middle", false)) {
    notes.push_back(fmt::format("{} has no attention in its middle (paper: it has).", name));
    return;
  }
  if (const auto softmax = value_or<std::string>(attention, "softmax", "keys"); softmax != "queries")
    notes.push_back(fmt::format(
        "The softmax of {}'s attention runs over the {} (paper's code: over the queries).", name, softmax));
}

void note_penalty(const std::string& name, Section rollout, std::vector<std::string>& notes) {
  const auto weight = value_or(rollout, "rms_penalty", 0.0),
             limit = value_or(rollout, "rms_limit", kPaperRmsLimit);
  if (weight == kPaperRmsPenalty && limit == kPaperRmsLimit) return;
  notes.push_back(fmt::format(
      "In training, states of {} with a root mean square above {:g} standard deviations are penalised with "
      "weight {:g} (paper: above {:g}, {:g}).",
      name, limit, weight, kPaperRmsLimit, kPaperRmsPenalty));
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
  if (layers && kind == "gaussian") note_penalty(name, training.child("rollout"), notes);
  if (kind != "sns") return;
  if (layers) note_attention(name, network.child("attention"), notes);
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
