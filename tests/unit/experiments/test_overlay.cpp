#include "core/config.hpp"
#include "core/error.hpp"
#include "core/files.hpp"
#include "emulator/training/trainer.hpp"
#include "experiments/overlay.hpp"
#include "tests/support/scratch.hpp"

#include <doctest/doctest.h>

#include <map>
#include <string>
#include <vector>

namespace fs = std::filesystem;
using Overrides = std::vector<std::string>;

namespace {

struct Files {
  sns::test::ScratchFolder folder;
  fs::path experiment = folder / "kolmogorov/example.yaml", overlay = folder / "scales/tiny.yaml";
  Files() {
    fs::create_directories(experiment.parent_path());
    fs::create_directories(overlay.parent_path());
    sns::write_text(experiment,
                    "run: {name: example}\n"
                    "solver: {viscosity: 0.01, grid: {points: 64}}\n"
                    "models: {plain: {training: {schedule: {name: step, size: 10}}}}\n");
  }
  Overrides overrides(const std::string& text) {
    sns::write_text(overlay, text);
    return sns::scale_overrides(experiment, overlay);
  }
};

/// Whether each model of an experiment is of the lagged variant.
std::map<std::string, bool> lagged_models(const fs::path& experiment, const Overrides& overrides = {}) {
  std::map<std::string, bool> lagged;
  for (const sns::ModelSpec& spec : sns::read_models(sns::Config::load(experiment, overrides)))
    lagged[spec.name] = spec.model.network.lag.has_value();
  return lagged;
}

}  // namespace

TEST_CASE("an overlay becomes overrides, in a run folder of its own") {
  Files files;
  CHECK(
      files.overrides("solver: {grid: {points: 32}}\nevaluate: {thresholds: [0.9, 0.5]}\n") ==
      Overrides{"solver.grid.points=32", "evaluate.thresholds=[0.9, 0.5]", "run.output=\"runs/example-tiny\""});
  CHECK(files.overrides("run: {output: elsewhere}\n") == Overrides{"run.output=elsewhere"});
  // A name that is typed names the folder, too, where the experiment names none.
  sns::write_text(files.overlay, "solver: {viscosity: 0.1}\n");
  const Overrides typed{"run.name=first", "solver.viscosity=1", "run.name=\"mine\""};
  CHECK(sns::scale_overrides(files.experiment, files.overlay, typed).back() == "run.output=\"runs/mine-tiny\"");
  sns::write_text(files.experiment, "run: {name: example, output: runs/here}\nsolver: {viscosity: 0.01}\n");
  CHECK(sns::scale_overrides(files.experiment, files.overlay, typed).back() == "run.output=\"runs/here-tiny\"");
}

TEST_CASE("models and methods that the experiment does not have are left out") {
  Files files;
  const Overrides got = files.overrides(
      "models: {plain: {weights: null}, sns: {weights: null}}\n"
      "rollout: {steps: 5, methods: {sns: {level_floor: 0}}}\n");
  CHECK(got == Overrides{"models.plain.weights=null", "rollout.steps=5", "run.output=\"runs/example-tiny\""});
}

TEST_CASE("an experiment has what its base has, and the blocks of a figure only where it names them") {
  Files files;
  const fs::path child = files.folder / "kolmogorov/child.yaml";
  sns::write_text(child, "base: example.yaml\nrun: {output: runs/shared}\nvideo: {fps: 5}\n");
  sns::write_text(files.overlay, "models: {plain: {weights: null}}\noracle: {times: 2}\nvideo: {seconds: 1}\n");
  CHECK(sns::scale_overrides(child, files.overlay) ==
        Overrides{"models.plain.weights=null", "video.seconds=1", "run.output=\"runs/shared-tiny\""});
}

TEST_CASE("a choice replaces the experiment's with all its settings") {
  Files files;
  const Overrides got = files.overrides("models: {plain: {training: {schedule: {name: cosine}}}}\n");
  REQUIRE(got.front() == "models.plain.training.schedule={name: cosine}");
  const sns::Config config = sns::Config::load(files.experiment, got);
  CHECK(config.root().child("models").child("plain").child("training").child("schedule").keys() ==
        Overrides{"name"});
}

TEST_CASE("a scale is found above the experiment; an unknown one is an error that lists them") {
  Files files;
  files.overrides("solver: {}\n");
  CHECK(sns::find_scale(files.experiment, "tiny") == files.overlay);
  CHECK(sns::find_scale(files.experiment, files.overlay.string()) == files.overlay);
  const std::string message =
      sns::test::message_of<sns::ConfigError>([&] { sns::find_scale(files.experiment, "huge"); });
  CHECK(sns::test::contains(message, "have: tiny"));
}

TEST_CASE(
    "a file of one size, or one built on it, has no named scale; an overlay of the user's own may change it") {
  Files files;
  files.overrides("solver: {}\n");
  const fs::path child = files.folder / "kolmogorov/child.yaml";
  sns::write_text(files.experiment, "run: {name: example, one_size: true}\n");
  sns::write_text(child, "base: example.yaml\n");
  for (const fs::path& file : {files.experiment, child})
    CHECK(sns::test::contains(sns::test::message_of<sns::ConfigError>([&] { sns::find_scale(file, "tiny"); }),
                              file.filename().string() + " has one size (run.one_size)"));
  CHECK(sns::find_scale(files.experiment, files.overlay.string()) == files.overlay);
  sns::write_text(child, "base: example.yaml\nrun: {one_size: false}\n");
  CHECK(sns::find_scale(child, "tiny") == files.overlay);
}

TEST_CASE("no scale makes a lagged model of a plain one, or a plain one of a lagged one") {
  std::size_t compared = 0, lagged = 0;
  for (const auto& file : fs::recursive_directory_iterator(fs::path(SNS_SOURCE_DIR) / "yaml")) {
    const fs::path& experiment = file.path();
    if (experiment.extension() != ".yaml" || experiment.parent_path().filename() == "scales") continue;
    if (!sns::Config::load(experiment).root().has("models")) continue;  // a list of experiments, a solver alone
    if (sns::has_one_size(experiment)) continue;
    const auto own = lagged_models(experiment);
    for (const std::string scale : {"smoke", "cpu", "paper"}) {
      CAPTURE(experiment.string());
      CAPTURE(scale);
      const auto scaled =
          lagged_models(experiment, sns::scale_overrides(experiment, sns::find_scale(experiment, scale)));
      for (const auto& [name, is_lagged] : scaled) {  // a scale may leave a model out
        CAPTURE(name);
        CHECK(own.at(name) == is_lagged);
      }
      ++compared;
    }
    for (const auto& [name, is_lagged] : own) lagged += is_lagged;
  }
  CHECK(compared >= 30);
  CHECK(lagged >= 2);
}
