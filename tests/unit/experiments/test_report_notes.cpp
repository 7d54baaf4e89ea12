// What a report says of a run beside the paper's: every sentence must be true of the model that it names.
#include "core/files.hpp"
#include "experiments/report_notes.hpp"
#include "tests/support/scratch.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

using namespace sns;

namespace {

using Notes = std::vector<std::string>;

Notes notes_of_file(const std::string& file) {
  return deviations_from_paper(std::string(SNS_SOURCE_DIR) + "/yaml/" + file);
}

Notes notes_of_text(const std::string& yaml) {
  const test::ScratchFolder folder;
  write_text(folder / "config.yaml", yaml);
  return deviations_from_paper(folder / "config.yaml");
}

/// Whether one note holds both texts.
bool says(const Notes& notes, const std::string& subject, const std::string& text) {
  return std::any_of(notes.begin(), notes.end(), [&](const std::string& note) {
    return test::contains(note, subject) && test::contains(note, text);
  });
}

/// The paper's own set-up, with one further line in `models` and one in `methods`.
std::string paper(bool layers, const std::string& model, const std::string& method) {
  const std::string kolmogorov = "solver: {system: kolmogorov, viscosity: 1.0e-4, grid: {points: 512}}\n";
  const std::string jet =
      "solver: {system: qg2layer, grid: {points: 256, length: 1.0e6}, beta: 1.0e-11, bottom_drag: 7.0e-8, "
      "depth_ratio: 0.1, stepper: {dt: 3600}}\ndatagen: {steps_per_frame: 10, coarsen: {factor: 4, kind: "
      "block_mean, remove: "
      "zonal_mean}}\n";
  const std::string penalty = layers ? ", training: {rollout: {rms_penalty: 1.0}}" : "";
  const std::string alone = layers ? ", noise: 1.0e-3" : "",
                    refined = layers && test::contains(method, "refiner:") ? ", noise: 1.0e-4" : "";
  return (layers ? jet : kolmogorov) + "models:\n  gaussian: {kind: gaussian" + penalty + "}\n  " + model +
         "\nrollout:\n  methods:\n    plain: {emulator: gaussian" + alone + ", weights: raw}\n    " +
         method.substr(0, method.size() - 1) + refined + ", weights: raw}\n";
}

}  // namespace

TEST_CASE("notes: the paper's own set-ups have none") {
  const std::string layer_net = "network: {hidden: 128, attention: {middle: true, softmax: queries}}";
  const std::string lagged_net = "network: {hidden: 128, lag: {window: 100}}";
  for (const std::string& yaml : {
           paper(false, "d: {kind: sns}", "m: {emulator: gaussian, refiner: d, rule: reference}"),
           paper(false, "d: {kind: thermalizer}", "m: {emulator: gaussian, refiner: d, rule: reference}"),
           paper(false, "d: {kind: acdm, training: {levels: {sampling: but_last}}}", "m: {generator: d}"),
           paper(false, "d: {kind: sns}", "m: {generator: d}"),
           paper(true, "d: {kind: sns, " + layer_net + "}",
                 "m: {emulator: gaussian, refiner: d, rule: reference, threshold: 5}"),
           paper(true, "d: {kind: sns, " + lagged_net + "}",
                 "m: {emulator: gaussian, refiner: d, rule: reference, gate: present, first_step: 100}"),
           paper(true, "d: {kind: thermalizer}",
                 "m: {emulator: gaussian, refiner: d, rule: reference, start_level: 10}"),
           paper(true,
                 "d: {kind: acdm, network: {predicts: present}, training: {levels: {sampling: but_last}}}",
                 "m: {generator: d}"),
       }) {
    CAPTURE(yaml);
    CHECK(notes_of_text(yaml) == Notes{});
  }
}

TEST_CASE("notes: models that nothing asks for are not judged") {
  const std::string small = "d: {kind: sns, diffusion: {levels: 20}}";
  const std::string method = "m: {emulator: gaussian, refiner: d, rule: reference}";
  CHECK(says(notes_of_text(paper(false, small, method)), "d", "20 noise levels"));
  CHECK(notes_of_text(paper(false, small, "m: {emulator: gaussian}")) == Notes{});
  CHECK(says(notes_of_text(paper(false, small, "m: {emulator: gaussian}") + "oracle: {model: d}\n"), "d",
             "20 noise levels"));
}

TEST_CASE("notes: a loss that is not the mean square") {
  std::string yaml = paper(false, "d: {kind: sns}", "m: {emulator: gaussian}");
  yaml.replace(yaml.find("gaussian: {kind: gaussian"), 25,
               "gaussian: {kind: gaussian, training: {rollout: {whitening: 0.5}}");
  CHECK(says(notes_of_text(yaml), "The loss of gaussian", "to the -0.5 (paper: mean square)"));
}

TEST_CASE("notes: networks that see more than frames") {
  const auto of = [](const std::string& network) {
    return notes_of_text(paper(false, "d: {kind: sns, network: {" + network + "}}",
                               "m: {emulator: gaussian, refiner: d, rule: reference}"));
  };
  CHECK(says(of("whitened: true"), "d sees each frame whitened, too", "as it is"));
  CHECK(says(of("forcing_wavenumber: 4"), "d sees where the flow's force is", "frames alone"));
  CHECK_FALSE(says(of("whitened: false"), "d sees", "paper"));
  // as a run's own configuration says it
  CHECK_FALSE(says(of("forcing_wavenumber: null, whitened: false"), "d sees", "paper"));
}

TEST_CASE("notes: what is added to a surrogate's steps") {
  const auto of = [](bool layers, const std::string& key) {
    return notes_of_text(paper(layers, "d: {kind: sns}", "m: {emulator: gaussian, " + key + "}"));
  };
  CHECK(says(of(false, "noise: 0.01"), "White noise that m adds to each step", ": 0.01 (paper's code: none)"));
  CHECK(says(of(true, "noise: 1.0e-4"), "White noise that m adds to each step",
             ": 0.0001 (paper's code: 0.001)"));
  CHECK(says(of(true, "noise: 0"), "White noise that m adds to each step", ": none (paper's code: 0.001)"));
  CHECK(of(true, "noise: 1.0e-3") == Notes{});
  CHECK(says(of(false, "sampled: true"), "m adds noise with the covariance of its error", "none"));
  CHECK(says(of(true, "sampled: true"), "m adds noise with the covariance of its error", "white noise"));
  CHECK(says(of(true, "noise: 1.0e-3, conserve_mean: true"), "m keeps the mean of each field over the domain",
             "may wander"));
  CHECK(of(true, "noise: 1.0e-3, conserve_mean: false") == Notes{});
  CHECK(says(of(true, "noise: 1.0e-3, unpredicted_scales: climatology"),
             "frames of m have the power of the data", "what networks make"));
  CHECK(says(of(true, "noise: 1.0e-3, unpredicted_scales: empty"), "frames of m have nothing",
             "what networks make"));
  CHECK(of(true, "noise: 1.0e-3, unpredicted_scales: as_predicted") == Notes{});
  CHECK(of(false, "sampled: false") == Notes{});
}

TEST_CASE("notes: every model and method is judged by its own kind") {
  const Notes notes = notes_of_file("qg2layer/methods.yaml");
  CHECK_FALSE(says(notes, "thermalizer", "above 5"));
  CHECK(says(notes, "thermalizer denoises",
             "above 0 down to 0 of 200 (paper's code: above 10 down to 4 of 1000)"));
  CHECK(
      says(notes,
           "Rule inclusive (sns, sns_clean, thermalizer, sns_above_0, sns_lagged and sns_lagged_above_0): each "
           "sample's reverse sweep starts at",
           "reference"));
  CHECK(says(notes, "Averaged weights are used by gaussian, sns, sns_clean, thermalizer,", "raw"));
  CHECK(says(notes, "In training, the heads of sns have weight 0.5", "0.1"));
  CHECK(says(notes, "thermalizer has 200 noise levels (paper: 1000)", "more noise"));
  CHECK(says(notes, "The output of thermalizer", "sigma x noise"));
  CHECK(says(notes, "thermalizer was trained on levels 0 to 50", "all, uniformly"));
  CHECK(says(notes, "acdm has 20 noise levels", "(paper: 200)"));
  CHECK(says(notes, "acdm was trained on all levels", "all but the last"));
  CHECK_FALSE(says(notes, "acdm", "estimates the noise"));
  CHECK(says(notes, "sns refines every state", "states with a predicted level above 5"));
  CHECK(says(notes, "sns's attention", "over the keys"));
  for (const char* other : {"gaussian", "thermalizer", "acdm"})
    CHECK_FALSE(says(notes, other, "attention in its middle"));
  CHECK_FALSE(says(notes, "sns_generated", "refines"));
}

TEST_CASE("notes: the lagged variant has no attention and refines always, as in the paper") {
  const Notes notes = notes_of_file("qg2layer/methods.yaml");
  CHECK(says(notes, "sns_lagged looks back 19 frames at most", "99"));
  CHECK(says(notes, "sns_lagged has 200 noise levels", "1000"));
  CHECK_FALSE(says(notes, "sns_lagged", "attention"));
  CHECK_FALSE(says(notes, "sns_lagged", "above 5"));
  CHECK_FALSE(says(notes, "sns_lagged refines", "every state"));
  const auto changed = notes_of_text(paper(
      true,
      "d: {kind: sns, network: {hidden: 128, lag: {window: 100}, attention: {middle: true, softmax: queries}}}",
      "m: {emulator: gaussian, refiner: d, rule: reference, threshold: 5}"));
  CHECK(changed.size() == 3);
  CHECK(says(changed, "d has attention in its middle", "none"));
  CHECK(says(changed, "m refines states with a predicted level above 5", "(paper's code: every state)"));
  CHECK(says(changed, "m chooses the states to refine by the gate 'either'", "'present'"));
}

TEST_CASE("notes: choices of sampling and training that are not the paper's") {
  const auto notes = [](const std::string& model, const std::string& method) {
    return notes_of_text(paper(false, model, method));
  };
  const std::string acdm = "d: {kind: acdm, training: {levels: {sampling: but_last}}}";
  CHECK(says(notes(acdm, "m: {generator: d, start: pure_noise}"), "m starts a frame from pure noise",
             "noised past"));
  CHECK(says(notes(acdm, "m: {generator: d, conditioning: single}"), "m conditions", "one noised past frame"));
  CHECK(says(notes("d: {kind: acdm, network: {predicts: present}}", "m: {generator: d}"), "d estimates",
             "of the present frame alone (paper's code: of the past"));
  CHECK(says(notes("d: {kind: sns}", "m: {generator: d, path: C}"), "path C", "Algorithm 2"));
  CHECK_FALSE(says(notes("d: {kind: sns}", "m: {generator: d, path: clean_past}"), "path", "clean_past"));
  CHECK(says(notes("d: {kind: sns, training: {levels: {past: clean}}}", "m: {generator: d}"), "d was trained",
             "clean past frames"));
  CHECK(says(notes("d: {kind: sns, training: {levels: {past: mixed}}}", "m: {generator: d}"), "d was trained",
             "noised and clean past frames"));
  CHECK(says(notes("d: {kind: sns, training: {levels: {sampling: but_last}}}", "m: {generator: d}"),
             "d was trained on all but the last", "(paper's code: all)"));
  const std::string refined = "m: {emulator: gaussian, refiner: d, rule: reference";
  CHECK(says(notes("d: {kind: sns}", refined + ", long: first_initial}"), "m stands one frame",
             "beginning of each"));
  CHECK(says(notes("d: {kind: thermalizer}", refined + ", noise_limit: 200}"), "m gives a trajectory up",
             "above level 200 of 1000 (paper's code: 100 of 1000)"));
  CHECK(
      says(notes("d: {kind: sns}", refined + ", reverse_std: sqrt_beta}"), "reverse steps of m", "posterior"));
  CHECK(says(notes("d: {kind: sns}", refined + ", reverse_std: measured}"), "reverse steps of m", "get wrong"));
  CHECK(says(notes("d: {kind: sns}", refined + ", every: 4}"), "m refines one of 4 frames", "paper: each"));
  CHECK(says(notes("d: {kind: sns}", refined + ", path: 'top,top 4,top clean,clean'}"),
             "m goes a way of its own", "top,top 4,top clean,clean"));
  CHECK(says(notes("d: {kind: sns}", refined + ", fixed_levels: [0, 2]}"),
             "m refines every frame from levels 0, 2", "(fixed_levels"));
  CHECK(says(notes("d: {kind: sns}", refined + ", fixed_levels: [0, 2], fixed_share: 0.2}"),
             "m refines 0.2 of the frames, by chance, from levels 0, 2 and the others from level 0", "(fixed"));
  CHECK(says(notes("d: {kind: sns}", refined + ", classify: noised}"),
             "Heads of m see the frames that refinement noises", "(classify: noised)"));
  CHECK(says(notes("d: {kind: thermalizer}", refined + ", classify: noised}"),
             "Heads of m see the frames that refinement noises", "lowest level"));
  CHECK(says(notes("d: {kind: sns}", refined + ", level_floor: 2}"), "m refines every frame",
             "level 2 at least"));
}

TEST_CASE("notes: the files of the paper's figures say nothing of the flow, the frames or the weights") {
  for (const char* file : {"kolmogorov/figure1.yaml", "qg2layer/figure4.yaml"}) {
    CAPTURE(file);
    const Notes notes = notes_of_file(file);
    for (const char* words : {"apart (paper", "points (paper", "zonal mean", "Averaged weights", "Drag",
                              "Deformation", "The flow is", "In training"})
      CHECK_FALSE(says(notes, words, ""));
  }
  const Notes eddies = notes_of_file("qg2layer/quickstart.yaml");
  CHECK(says(eddies, "Frames are 72000 s apart", "(paper: 36000 s)"));
  CHECK(says(eddies, "keep the zonal mean", "removed"));
  CHECK(says(eddies, "lowest Fourier modes", "means over blocks"));
  const Notes flow = notes_of_file("kolmogorov/quickstart.yaml");
  CHECK(says(flow, "Frames are 0.04 time units apart", "0.002"));
  CHECK(says(flow, "The networks see 32 x 32 points", "64 x 64"));
  CHECK(says(notes_of_text("solver: {drag: 0.2}\n"), "Drag 0.2", "0.1"));
  const Notes uncoarsened =
      notes_of_text("solver: {system: qg2layer, grid: {points: 64}}\ndatagen: {frames: 2}\n");
  CHECK(says(uncoarsened, "Frames are the solver's own points", "means over blocks"));
  CHECK(says(uncoarsened, "The flow is smaller", "64 x 64 solver points"));
  CHECK_FALSE(says(uncoarsened, "The networks see", ""));
  CHECK(says(notes_of_text("solver: {system: qg2layer, mean_flow: [0.05, 0.0]}\n"), "mean flow 0.05 and 0",
             "15 km"));
}

TEST_CASE("notes: a smaller flow is told beside both viscosities that the paper gives") {
  const auto flow = [](const std::string& viscosity, int points) {
    return notes_of_text("solver: {system: kolmogorov, viscosity: " + viscosity +
                         ", grid: {points: " + std::to_string(points) + "}}\n");
  };
  CHECK(says(flow("1.0e-2", 64), "viscosity 0.01 on 64 x 64", "0.0001 in its code, 0.001 in its text"));
  CHECK(says(flow("1.0e-3", 256), "256 x 256", "512 x 512"));
  CHECK_FALSE(says(flow("1.0e-3", 512), "flow", "viscosity"));
  CHECK_FALSE(says(flow("1.0e-4", 512), "flow", "viscosity"));
}
