#include "experiments/report_notes.hpp"

#include "core/config.hpp"

#include <fmt/ranges.h>

#include <cmath>
#include <optional>
#include <set>
#include <string>
#include <tuple>

namespace sns {
namespace {

// The paper's set-ups (arXiv 2603.17750 and its code): Kolmogorov flow, and two layers.
constexpr double kPaperViscosity = 1e-4, kPrintedViscosity = 1e-3;  // what its code runs, and what it prints
constexpr int kPaperPoints = 512, kPaperLayerPoints = 256;
constexpr int kPaperCoarsening = 8, kPaperLayerCoarsening = 4;
constexpr double kPaperInterval = 0.002, kPaperLayerInterval = 36000;  // between frames; s for two layers
constexpr double kPaperDrag = 0.1, kPaperAmplitude = 1, kPaperForcedWavenumber = 4;
constexpr double kPaperLayerLength = 1e6, kPaperLayerStep = 3600;
constexpr double kPaperBeta = 1e-11, kPaperBottomDrag = 7e-8, kPaperDepthRatio = 0.1;
constexpr double kPaperDeformationRadius = 15000, kPaperMeanFlow = 0.025;
constexpr double kPaperRmsPenalty = 1, kPaperRmsLimit = 1;
constexpr int kPaperHidden = 64, kPaperLayerSnsHidden = 128;
constexpr int kPaperLayerThreshold = 5;
constexpr int kPaperBlocks = 2;
constexpr int kPaperLevels = 1000, kPaperAcdmLevels = 200;
constexpr int kPaperLagWindow = 100;
constexpr double kPaperSnsCrossEntropy = 0.1, kPaperThermalizerCrossEntropy = 1;
// The thermalizer's levels; its attempt on two layers begins higher.
constexpr int kPaperStartLevel = 6, kPaperLayerStartLevel = 10, kPaperStopLevel = 4, kPaperNoiseLimit = 100;

template <class T>
T value_or(Section section, const char* key, T fallback) {
  section.maybe(key, fallback);
  return fallback;
}

bool has_layers(Section root) {
  return value_or<std::string>(root.child("solver"), "system", "kolmogorov") == "qg2layer";
}

/// The time between frames, where the file has data of its own.
void note_interval(Section root, double paper, const char* unit, std::vector<std::string>& notes) {
  Section data = root.child("datagen");
  const auto dt = value_or(root.child("solver").child("stepper"), "dt", 0.0);
  const double interval = dt * value_or(data, "steps_per_frame", 1);
  if (interval == 0 || !root.has("datagen") || std::abs(interval - paper) < 1e-9 * paper) return;
  notes.push_back(fmt::format("Frames are {:g}{} apart (paper: {:g}{}).", interval, unit, paper, unit));
}

/// How many points the networks see.
void note_network_points(Section root, int points, int paper_points, int paper_factor,
                         std::vector<std::string>& notes) {
  const int factor =
      root.has("datagen") ? value_or(root.child("datagen").child("coarsen"), "factor", 1) : paper_factor;
  if (const int coarse = points / factor, paper = paper_points / paper_factor; coarse != paper)
    notes.push_back(
        fmt::format("The networks see {} x {} points (paper: {} x {}).", coarse, coarse, paper, paper));
}

/// What of the potential vorticity becomes a frame.
void note_layer_frames(Section coarsen, std::vector<std::string>& notes) {
  if (const auto kind = value_or<std::string>(coarsen, "kind", "none"); kind != "block_mean")
    notes.push_back(fmt::format("Frames are the solver's {} (paper: means over blocks of points).",
                                kind == "none" ? "own points" : "lowest Fourier modes"));
  if (value_or<std::string>(coarsen, "remove", "none") != "zonal_mean")
    notes.push_back("Frames keep the zonal mean (paper: removed).");
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
  const auto radius = value_or(solver, "deformation_radius", kPaperDeformationRadius);
  const auto flow = value_or(solver, "mean_flow", std::vector<double>{kPaperMeanFlow, 0});
  if (radius != kPaperDeformationRadius || flow != std::vector<double>{kPaperMeanFlow, 0})
    notes.push_back(
        fmt::format("Deformation radius {:g} km, mean flow {} m/s (paper: {:g} km, {:g} and 0 m/s).",
                    radius / 1000, fmt::join(flow, " and "), kPaperDeformationRadius / 1000, kPaperMeanFlow));
  if (const auto length = value_or(grid, "length", kPaperLayerLength); length != kPaperLayerLength)
    notes.push_back(fmt::format("The box is {:g} km long (paper: {:g} km): fewer eddies and jets fit into it.",
                                length / 1000, kPaperLayerLength / 1000));
  const auto points = value_or(grid, "points", kPaperLayerPoints);
  if (points != kPaperLayerPoints)
    notes.push_back(fmt::format(
        "The flow is smaller than the paper's: {} x {} solver points (paper: {} x {}). Energies and "
        "spectra depend on the resolution.",
        points, points, kPaperLayerPoints, kPaperLayerPoints));
  note_network_points(root, points, kPaperLayerPoints, kPaperLayerCoarsening, notes);
  note_interval(root, kPaperLayerInterval, " s", notes);
  if (root.has("datagen")) note_layer_frames(root.child("datagen").child("coarsen"), notes);
  if (const auto dt = value_or(solver.child("stepper"), "dt", kPaperLayerStep); dt != kPaperLayerStep)
    notes.push_back(fmt::format("The solver's time step is {:g} s (paper: {:g} s).", dt, kPaperLayerStep));
}

void note_flow(Section root, std::vector<std::string>& notes) {
  if (has_layers(root)) return note_layers(root, notes);
  Section solver = root.child("solver");
  const auto viscosity = value_or(solver, "viscosity", kPaperViscosity);
  const auto points = value_or(solver.child("grid"), "points", kPaperPoints);
  const auto drag = value_or(solver, "drag", kPaperDrag);
  Section forcing = solver.child("forcing");
  const auto amplitude = value_or(forcing, "amplitude", kPaperAmplitude),
             wavenumber = value_or(forcing, "wavenumber", kPaperForcedWavenumber);
  if (drag != kPaperDrag || amplitude != kPaperAmplitude || wavenumber != kPaperForcedWavenumber)
    notes.push_back(
        fmt::format("Drag {:g}, forcing of amplitude {:g} at wavenumber {:g} (paper: {:g}, {:g}, {:g}).", drag,
                    amplitude, wavenumber, kPaperDrag, kPaperAmplitude, kPaperForcedWavenumber));
  note_network_points(root, points, kPaperPoints, kPaperCoarsening, notes);
  note_interval(root, kPaperInterval, " time units", notes);
  if ((viscosity == kPaperViscosity || viscosity == kPrintedViscosity) && points == kPaperPoints) return;
  notes.push_back(
      fmt::format("The flow is not the paper's: viscosity {:g} on {} x {} solver points (paper: {:g} in its "
                  "code, {:g} in its "
                  "text, on {} x {}). Less turbulent flow is easier to learn.",
                  viscosity, points, points, kPaperViscosity, kPrintedViscosity, kPaperPoints, kPaperPoints));
}

std::string kind_of(Section model) {
  return value_or<std::string>(model, "kind", "gaussian");
}

/// SNS conditioned on an earlier frame.
int levels_of(Section model) {
  auto diffusion = model.maybe_child("diffusion");
  return diffusion ? value_or(*diffusion, "levels", 1000) : 1000;
}

bool is_lagged(Section model) {
  return model.child("network").maybe_child("lag").has_value();
}

/// Of the paper's networks, SNS for two layers has attention in its middle; its lagged variant and all others
/// have none. The softmax of its code's attention runs over the queries.
void note_attention(const std::string& name, Section attention, bool expected,
                    std::vector<std::string>& notes) {
  const bool there = value_or(attention, "middle", false);
  if (there != expected)
    notes.push_back(fmt::format("{} has {} in its middle (paper: {}).", name,
                                there ? "attention" : "no attention", expected ? "it has" : "none"));
  if (!there) return;
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

void note_whitening(const std::string& name, Section rollout, std::vector<std::string>& notes) {
  if (const auto exponent = value_or(rollout, "whitening", 0.0); exponent > 0)
    notes.push_back(
        fmt::format("The loss of {} weighs the Fourier modes of its error, by their shell's power to the {:g} "
                    "(paper: mean square).",
                    name, -exponent));
}

/// Which levels a diffusion model was trained on. The paper's code leaves the last one of ACDM out.
void note_training_levels(const std::string& name, Section levels, bool acdm, std::vector<std::string>& notes) {
  const auto sampling = value_or<std::string>(levels, "sampling", "uniform");
  const char* papers = acdm ? "all but the last" : "all";
  if (sampling == "low")
    notes.push_back(
        fmt::format("{} was trained on levels 0 to {}, low ones more often (paper's code: {}, uniformly).",
                    name, value_or(levels, "max_level", 0), papers));
  else if ((sampling == "but_last") != acdm)
    notes.push_back(fmt::format("{} was trained on {} levels (paper's code: {}).", name,
                                acdm ? "all" : "all but the last of its", papers));
  if (const auto past = value_or<std::string>(levels, "past", "noised"); past != "noised")
    notes.push_back(fmt::format("{} was trained beside {}clean past frames (paper: noised ones).", name,
                                past == "mixed" ? "noised and " : ""));
}

void note_diffusion(const std::string& name, Section model, std::vector<std::string>& notes) {
  const bool acdm = kind_of(model) == "acdm";
  Section diffusion = model.child("diffusion");
  const int paper_levels = acdm ? kPaperAcdmLevels : kPaperLevels;
  // Thresholds and limits are numbers of levels: they mean another noise where there are fewer or more.
  if (const auto levels = value_or(diffusion, "levels", paper_levels); levels != paper_levels)
    notes.push_back(fmt::format("{} has {} noise levels (paper: {}){}.", name, levels, paper_levels,
                                acdm ? ""
                                     : fmt::format(": a level of the same number stands for {} noise",
                                                   levels < paper_levels ? "more" : "less")));
  const std::string paper_schedule = acdm ? "linear" : "cosine";
  if (const auto schedule = value_or(diffusion, "schedule", paper_schedule); schedule != paper_schedule)
    notes.push_back(fmt::format("{} has a {} schedule (paper: {}).", name, schedule, paper_schedule));
  if (const auto prediction = value_or<std::string>(diffusion, "prediction", "eps"); prediction != "eps")
    notes.push_back(fmt::format("The output of {} is read as {} (paper: noise).", name,
                                prediction == "v" ? "v, noise less clean frame" : "sigma x noise"));
  note_training_levels(name, model.child("training").child("levels"), acdm, notes);
  if (acdm) return;
  const double paper_weight = kind_of(model) == "sns" ? kPaperSnsCrossEntropy : kPaperThermalizerCrossEntropy;
  const auto weight = value_or(model.child("training"), "cross_entropy_weight", paper_weight);
  if (weight != paper_weight)
    notes.push_back(fmt::format("In training, the heads of {} have weight {:g} (paper's code: {:g}).", name,
                                weight, paper_weight));
}

void note_size(const std::string& name, Section model, bool layers, std::vector<std::string>& notes) {
  Section network = model.child("network");
  const std::string kind = kind_of(model);
  const int paper_hidden = layers && kind == "sns" ? kPaperLayerSnsHidden : kPaperHidden;
  const auto hidden = value_or(network, "hidden", kPaperHidden);
  const auto blocks = value_or(network, "blocks", kPaperBlocks);
  if (hidden >= paper_hidden && blocks >= kPaperBlocks) return;
  notes.push_back(fmt::format(
      "{} is deliberately small: {} hidden channels, residual blocks per level: {} (paper: {}, {}), {} "
      "training steps.{}",
      name, hidden, blocks, paper_hidden, kPaperBlocks, value_or(model.child("training"), "steps", 0),
      kind == "gaussian"
          ? " Whether such a surrogate is stable depends on its size, the length of its training and its seed; "
            "another one may be stable on this flow without refinement."
          : ""));
}

void note_model(const std::string& name, Section model, bool layers, std::vector<std::string>& notes) {
  Section network = model.child("network");
  const std::string kind = kind_of(model);
  const bool lagged = is_lagged(model);
  note_size(name, model, layers, notes);
  if (layers && kind == "gaussian") note_penalty(name, model.child("training").child("rollout"), notes);
  if (kind == "gaussian") note_whitening(name, model.child("training").child("rollout"), notes);
  note_attention(name, network.child("attention"), layers && kind == "sns" && !lagged, notes);
  if (value_or(network, "forcing_wavenumber", std::optional<int>()))
    notes.push_back(fmt::format("{} sees where the flow's force is (paper: frames alone).", name));
  if (kind == "gaussian") return;
  if (value_or(network, "whitened", false))
    notes.push_back(fmt::format("{} sees each frame whitened, too (paper: as it is).", name));
  note_diffusion(name, model, notes);
  const std::string paper_frames = layers ? "present" : "both";
  if (const auto predicts = value_or<std::string>(network, "predicts", "both");
      kind == "acdm" && predicts != paper_frames)
    notes.push_back(fmt::format("{} estimates the noise of the {} (paper's code: of the {}).", name,
                                predicts == "both" ? "past and the present frame" : "present frame alone",
                                layers ? "present frame alone" : "past and the present frame"));
  if (!lagged) return;
  if (const auto window = value_or(network.child("lag"), "window", kPaperLagWindow); window != kPaperLagWindow)
    notes.push_back(fmt::format("{} looks back {} frames at most (paper's code: {}).", name, window - 1,
                                kPaperLagWindow - 1));
}

/// "a, b and c"
std::string enumeration(const std::vector<std::string>& names) {
  std::string out;
  for (std::size_t i = 0; i < names.size(); ++i)
    out += (i == 0 ? "" : i + 1 == names.size() ? " and " : ", ") + names[i];
  return out;
}

/// What several methods have in common is said once.
struct SharedChoices {
  std::vector<std::string> inclusive, exclusive;  ///< methods by rule
  std::vector<std::string> noised_heads;          ///< methods whose heads see noised frames
  std::vector<std::string> averaged;              ///< methods with averaged weights
};

void collect_shared(const std::string& name, Section method, SharedChoices& shared) {
  const auto rule = value_or<std::string>(method, "rule", "inclusive");
  if (rule == "inclusive") shared.inclusive.push_back(name);
  if (rule == "exclusive") shared.exclusive.push_back(name);
  if (value_or<std::string>(method, "classify", "as_given") == "noised") shared.noised_heads.push_back(name);
}

void note_shared(const SharedChoices& shared, std::vector<std::string>& notes) {
  for (const auto& [rule, names, where] : {std::tuple("inclusive", shared.inclusive, "at"),
                                           std::tuple("exclusive", shared.exclusive, "one level below")})
    if (!names.empty())
      notes.push_back(
          fmt::format("Rule {} ({}): each sample's reverse sweep starts {} its own predicted level. The "
                      "paper's code starts one "
                      "level below the batch's largest, so that a sample of that level keeps some of the added "
                      "noise (rule: "
                      "reference).",
                      rule, enumeration(names), where));
  if (!shared.noised_heads.empty())
    notes.push_back(fmt::format(
        "Heads of {} see the frames that refinement noises with the noise of the lowest level, the least that "
        "they were trained with (classify: noised). In the paper they see them as they come.",
        enumeration(shared.noised_heads)));
  if (!shared.averaged.empty())
    notes.push_back(fmt::format("Averaged weights are used by {} (paper's code: the last ones, weights: raw).",
                                enumeration(shared.averaged)));
}

void note_thermalizer(const std::string& name, Section method, int levels, bool layers, SharedChoices& shared,
                      std::vector<std::string>& notes) {
  const int paper_start = layers ? kPaperLayerStartLevel : kPaperStartLevel;
  const auto start = value_or(method, "start_level", kPaperStartLevel),
             stop = value_or(method, "stop_level", kPaperStopLevel),
             limit = value_or(method, "noise_limit", kPaperNoiseLimit);
  if (start != paper_start || stop != kPaperStopLevel)
    notes.push_back(fmt::format(
        "{} denoises states with a predicted level above {} down to {} of {} (paper's code: above {} "
        "down to {} of 1000).",
        name, start, stop, levels, paper_start, kPaperStopLevel));
  if (limit != kPaperNoiseLimit)
    notes.push_back(fmt::format("{} gives a trajectory up above level {} of {} (paper's code: {} of 1000).",
                                name, limit, levels, kPaperNoiseLimit));
  collect_shared(name, method, shared);
}

/// Which states SNS refines. The paper's code: all for Kolmogorov flow, for two layers those above a threshold;
/// the lagged variant has a gate of its own and is run so that it refines all.
void note_gate(const std::string& name, Section method, bool layers, bool lagged,
               std::vector<std::string>& notes) {
  const auto refined = [](int threshold) {
    return threshold < 0 ? std::string("every state")
                         : fmt::format("states with a predicted level above {}", threshold);
  };
  const int paper_threshold = layers && !lagged ? kPaperLayerThreshold : -1;
  const std::string paper_gate = lagged ? "present" : "either";
  const auto threshold = value_or(method, "threshold", -1);
  if (threshold != paper_threshold)
    notes.push_back(
        fmt::format("{} refines {} (paper's code: {}).", name, refined(threshold), refined(paper_threshold)));
  if (const auto gate = value_or<std::string>(method, "gate", "either"); gate != paper_gate)
    notes.push_back(fmt::format("{} chooses the states to refine by the gate '{}' (paper's code: '{}').", name,
                                gate, paper_gate));
}

void note_sns_refiner(const std::string& name, Section method, bool layers, bool lagged, SharedChoices& shared,
                      std::vector<std::string>& notes) {
  if (const auto floor = value_or(method, "level_floor", 0); floor > 0)
    notes.push_back(
        fmt::format("{} refines every frame from level {} at least, whatever the heads predict (level_floor: "
                    "{}). The paper has no "
                    "floor; without it refinement acts only where a head sees noise.",
                    name, floor, floor));
  if (method.has("fixed_levels")) {
    std::vector<int> levels;
    method.maybe("fixed_levels", levels);
    const auto share = value_or(method, "fixed_share", 1.0);
    const std::string frames = share < 1 ? fmt::format("{:g} of the frames, by chance,", share) : "every frame";
    notes.push_back(fmt::format(
        "{} refines {} from levels {}{}, whatever the heads predict (fixed_levels: past, present{}). "
        "In the paper they are what the heads predict.",
        name, frames, fmt::join(levels, ", "), share < 1 ? " and the others from level 0" : "",
        share < 1 ? "; fixed_share" : ""));
  }
  if (const auto path = value_or<std::string>(method, "path", "A");
      path.find(',') != std::string::npos)  // corners
    notes.push_back(fmt::format("{} goes a way of its own through the plane of levels: {}.", name, path));
  note_gate(name, method, layers, lagged, notes);
  collect_shared(name, method, shared);
  if (value_or<std::string>(method, "long", "initial") == "first_initial")
    notes.push_back(fmt::format(
        "Beside the pairs of {} stands one frame for all trajectories (paper's code: the beginning of "
        "each).",
        name));
}

/// ACDM, and SNS as a generator.
void note_generator(const std::string& name, Section method, bool acdm, std::vector<std::string>& notes) {
  const std::string paper_start = acdm ? "noised_past" : "pure_noise";
  if (const auto start = value_or(method, "start", paper_start); start != paper_start)
    notes.push_back(fmt::format("{} starts a frame from {} (paper{}: from {}).", name,
                                acdm ? "pure noise" : "the noised past frame", acdm ? "'s code" : "",
                                acdm ? "the noised past frame" : "pure noise"));
  if (acdm && value_or<std::string>(method, "conditioning", "per_step") == "single")
    notes.push_back(fmt::format(
        "{} conditions all reverse steps on one noised past frame (paper's code: noised anew for each).",
        name));
  if (const auto clip = value_or(method, "clip", 0.0); !acdm && clip > 0)
    notes.push_back(fmt::format(
        "{} clips estimates of clean frames at {} standard deviations (paper's code: does not).", name, clip));
  if (const auto path = value_or<std::string>(method, "path", "fixed_past");
      !acdm && path != "fixed_past" && path != "A" && path != "clean_past")
    notes.push_back(
        fmt::format("{} generates along path {} (paper: fixed_past in its Algorithm 2, A in its Figure 2, "
                    "clean_past in its Figure 8).",
                    name, path));
}

/// What is added to a surrogate's steps. The paper's code: nothing for Kolmogorov flow; for two layers white
/// noise of 1e-4 standard deviations beside a refiner, of 1e-3 for the surrogate alone.
void note_step_noise(const std::string& name, Section method, bool layers, std::vector<std::string>& notes) {
  if (value_or(method, "sampled", false))
    notes.push_back(fmt::format(
        "To each step of the surrogate {} adds noise with the covariance of its error (paper's code: {}).",
        name, layers ? "white noise" : "none"));
  else {
    const double of_paper = !layers                                                     ? 0.0
                            : value_or(method, "refiner", std::optional<std::string>()) ? 1e-4
                                                                                        : 1e-3;
    const auto said = [](double noise) { return noise > 0 ? fmt::format("{}", noise) : std::string("none"); };
    if (const auto noise = value_or(method, "noise", 0.0); noise != of_paper)
      notes.push_back(
          fmt::format("White noise that {} adds to each step of the surrogate, in standard deviations: {} "
                      "(paper's code: {}).",
                      name, said(noise), said(of_paper)));
  }
}

void note_method(const std::string& name, Section method, Section models, bool layers, SharedChoices& shared,
                 std::vector<std::string>& notes) {
  if (method.maybe_child("solver")) return;  // no network
  if (value_or<std::string>(method, "weights", "ema") == "ema") shared.averaged.push_back(name);
  const std::optional<std::string> none;
  const auto generator = value_or(method, "generator", none), refiner = value_or(method, "refiner", none);
  if (!generator) note_step_noise(name, method, layers, notes);
  const auto scales = value_or<std::string>(method, "unpredicted_scales", "as_predicted");
  if (!generator && scales != "as_predicted")
    notes.push_back(fmt::format(
        "In scales in which the surrogate's step is no nearer than the frame before, frames of {} have "
        "{} (paper: what networks make of them).",
        name, scales == "empty" ? "nothing" : "the power of the data"));
  if (value_or(method, "conserve_mean", false))
    notes.push_back(fmt::format(
        "{} keeps the mean of each field over the domain, which the flow conserves (paper: it may wander).",
        name));
  if (!generator && !refiner) return;
  Section model = models.child(generator ? *generator : *refiner);
  const std::string kind = kind_of(model);
  if (generator)
    note_generator(name, method, kind == "acdm", notes);
  else if (kind == "thermalizer")
    note_thermalizer(name, method, levels_of(model), layers, shared, notes);
  else
    note_sns_refiner(name, method, layers, is_lagged(model), shared, notes);
  if (const auto every = value_or<std::int64_t>(method, "every", 1); refiner && every > 1)
    notes.push_back(fmt::format("{} refines one of {} frames (paper: each).", name, every));
  if (value_or<std::string>(method, "estimate", "network") == "combined") {
    notes.push_back(fmt::format(
        "The reverse steps of {} follow the best linear combination of network, noisy frame and surrogate, and "
        "add noise for what it gets wrong (paper: the network's estimate).",
        name));
    return;
  }
  const auto reverse_std = value_or<std::string>(method, "reverse_std", "posterior");
  if (reverse_std == "sqrt_beta")
    notes.push_back(
        fmt::format("The reverse steps of {} add noise of standard deviation sqrt(beta), as the paper prints "
                    "(paper's code: the posterior's).",
                    name));
  else if (reverse_std == "measured")
    notes.push_back(fmt::format(
        "The reverse steps of {} add noise for what its estimates of clean frames get wrong, too, the last "
        "one as well (paper's code: as if they were known).",
        name));
}

/// Names of the models that methods or the oracle ask for.
std::set<std::string> models_in_use(Section root, Section methods) {
  std::set<std::string> used;
  const auto note = [&](Section section, const char* key) {
    if (const auto name = value_or(section, key, std::optional<std::string>())) used.insert(*name);
  };
  for (const auto& name : methods.keys())
    for (const char* key : {"emulator", "generator", "refiner"}) note(methods.child(name), key);
  if (const auto oracle = root.maybe_child("oracle")) note(*oracle, "model");
  return used;
}

}  // namespace

std::vector<std::string> deviations_from_paper(const std::filesystem::path& configuration) {
  const Config config = Config::load(configuration);
  std::vector<std::string> notes;
  Section root = config.root();
  note_flow(root, notes);
  Section models = root.child("models");
  Section methods = root.child("rollout").child("methods");
  const std::set<std::string> used = models_in_use(root, methods);
  for (const auto& name : models.keys())
    if (used.contains(name)) note_model(name, models.child(name), has_layers(root), notes);
  SharedChoices shared;
  for (const auto& name : methods.keys())
    note_method(name, methods.child(name), models, has_layers(root), shared, notes);
  note_shared(shared, notes);
  return notes;
}

}  // namespace sns
