// What a surrogate gets wrong in one step: measured, kept beside its weights, and read again.
#include "core/files.hpp"
#include "emulator/dataset.hpp"
#include "emulator/safetensors.hpp"
#include "emulator/training/step_error.hpp"
#include "tests/support/scratch.hpp"
#include "tests/support/small_training.hpp"
#include "tests/support/synthetic_dataset.hpp"
#include "tests/support/torch_doctest.hpp"

#include <torch/utils.h>

#include <filesystem>

using namespace sns;
using test::contains;
namespace fs = std::filesystem;

namespace {

/// A folder of untrained weights for frames of `channels` fields on 8 x 8 points; averaged and raw ones differ.
ModelConfig write_weights(const fs::path& folder, int channels) {
  ModelConfig config = test::small_spec("gaussian").model;
  config.image = 8;
  config.field_channels = channels;
  config.field_std = std::vector<double>(static_cast<std::size_t>(channels), 1.5);
  GaussianEmulator averaged(config, 1, torch::kCPU), raw(config, 2, torch::kCPU);
  save_weights(averaged.network(), folder / file_name(Weights::ema));
  save_weights(raw.network(), folder / file_name(Weights::raw));
  save_model_config(config, folder);
  return config;
}

DataSplit open(const fs::path& folder, const ModelConfig& config, const std::string& split = "valid") {
  return {describe_dataset(folder), split, config.field_std};
}

/// All pairs of consecutive frames [pairs, 2, C, n, n].
torch::Tensor all_pairs(const TrainingFrames& frames) {
  const std::int64_t pairs = frames.windows(2);
  torch::Tensor out = torch::empty({pairs, 2, frames.channels(), frames.nx(), frames.ny()});
  for (std::int64_t i = 0; i < pairs; ++i)
    frames.read_window(i, 2,
                       {out.data_ptr<float>() + i * 2 * frames.frame_size(),
                        static_cast<std::size_t>(2 * frames.frame_size())});
  return out;
}

std::map<Weights, StepError> calibrate(const fs::path& folder, const TrainingFrames& frames,
                                       std::int64_t pairs = kStepErrorPairs) {
  auto measured = measure_step_errors(folder, frames, pairs, torch::kCPU);
  save_step_errors(folder, measured);
  return measured;
}

double difference(const FieldCovariance& a, const FieldCovariance& b) {
  return ((a.spectrum() - b.spectrum()).norm() / b.spectrum().norm()).item<double>();
}

}  // namespace

TEST_CASE("error of a step: the covariance over all pairs, of networks, changes and frames") {
  const test::ScratchFolder scratch;
  test::write_synthetic_dataset(scratch / "data", {.fields = {"upper", "lower"}});
  fs::create_directories(scratch / "weights");
  const ModelConfig config = write_weights(scratch / "weights", 2);
  const DataSplit frames = open(scratch / "data", config);
  const auto model = load_model_as<GaussianEmulator>(scratch / "weights", Weights::ema, torch::kCPU);
  const StepError found = measure_step_error(*model, frames, 1000);
  CHECK(found.pairs == 33);  // three trajectories of twelve frames: more than one batch
  const torch::Tensor pairs = all_pairs(frames), before = pairs.select(1, 0), after = pairs.select(1, 1);
  CHECK(difference(found.error, FieldCovariance::of(after - model->step(before))) < 1e-5);
  CHECK(difference(found.change, FieldCovariance::of(after - before)) < 1e-9);
  CHECK(difference(found.frame, FieldCovariance::of(after)) < 1e-9);
  CHECK(difference(found.prediction, FieldCovariance::of(model->step(before))) < 1e-5);
  const StepError fewer = measure_step_error(*model, frames, 5);
  CHECK(fewer.pairs == 5);
  CHECK(difference(fewer.error, found.error) > 1e-6);
}

TEST_CASE("error of a step: calibrate writes what load_step_error reads, for each of a folder's weights") {
  const test::ScratchFolder scratch;
  test::write_synthetic_dataset(scratch / "data");
  const fs::path folder = scratch / "weights";
  fs::create_directories(folder);
  const ModelConfig config = write_weights(folder, 1);
  const DataSplit frames = open(scratch / "data", config);
  const auto message = [&](Weights weights) {
    return test::message_of<Error>([&] { load_step_error(folder, weights); });
  };
  CHECK(contains(message(Weights::ema), "sns calibrate --weights " + folder.string()));

  const auto found = calibrate(folder, frames);
  REQUIRE(found.size() == 2);
  for (const Weights weights : {Weights::ema, Weights::raw})
    CHECK(difference(load_step_error(folder, weights), found.at(weights).error) < 1e-6);
  CHECK(difference(found.at(Weights::ema).error, found.at(Weights::raw).error) > 1e-2);
  const UnpredictedScales scales = load_unpredicted_scales(folder, Weights::ema);
  const UnpredictedScales measured(found.at(Weights::ema).error.shell_power(),
                                   found.at(Weights::ema).change.shell_power(),
                                   found.at(Weights::ema).frame.shell_power(), config.image);
  CHECK(scales.shells() == measured.shells());
  CHECK_FALSE(scales.none());  // the weights are untrained
  const std::string first = read_text(folder / kStepErrorFile);
  calibrate(folder, frames);
  CHECK(read_text(folder / kStepErrorFile) == first);

  SUBCASE("of a version that kept the error alone") {
    const SafeTensors stored(folder / kStepErrorFile);
    save_safetensors(folder / kStepErrorFile, {{"ema", stored.tensor("ema")}, {"raw", stored.tensor("raw")}},
                     stored.metadata());
    CHECK_NOTHROW(load_step_error(folder, Weights::raw));
    const std::string why = test::message_of<Error>([&] { load_unpredicted_scales(folder, Weights::raw); });
    CHECK(contains(why, "of an earlier version"));
    CHECK(contains(why, "sns calibrate --weights " + folder.string()));
  }
  SUBCASE("of averaged weights alone") {
    fs::remove(folder / file_name(Weights::raw));
    CHECK(calibrate(folder, frames, 8).size() == 1);
    CHECK_NOTHROW(load_step_error(folder, Weights::ema));
    CHECK(contains(message(Weights::raw), "is not of the folder's model.safetensors"));
  }
  SUBCASE("a folder with a list of its files") {
    const std::string of_config = sha256_file(folder / "config.yaml") + "  config.yaml\n";
    write_text(folder / "SHA256SUMS", of_config + "4567  step_error.safetensors\n");
    calibrate(folder, frames, 8);
    CHECK(read_text(folder / "SHA256SUMS") ==
          of_config + sha256_file(folder / kStepErrorFile) + "  step_error.safetensors\n");
    // What is listed is looked at where it is used.
    write_text(folder / "SHA256SUMS", of_config + "4567  step_error.safetensors\n");
    CHECK(contains(test::message_of<Error>([&] { load_step_error(folder, Weights::ema); }),
                   "does not have the SHA-256"));
    write_text(folder / "SHA256SUMS", "0123  config.yaml\n");
    CHECK(contains(test::message_of<Error>([&] { load_model(folder, Weights::ema, torch::kCPU); }),
                   "config.yaml does not have the SHA-256"));
  }
  SUBCASE("frames of another size") {
    test::write_synthetic_dataset(scratch / "larger", {.points = 12});
    CHECK(contains(test::message_of<Error>([&] { calibrate(folder, open(scratch / "larger", config)); }),
                   "1 fields on 12 x 12 points"));
    CHECK(read_text(folder / kStepErrorFile) == first);
  }
  SUBCASE("weights that were replaced") {
    fs::copy_file(folder / file_name(Weights::raw), folder / file_name(Weights::ema),
                  fs::copy_options::overwrite_existing);
    CHECK(contains(message(Weights::ema), "is not of the folder's ema.safetensors"));
    CHECK_NOTHROW(load_step_error(folder, Weights::raw));
  }
  SUBCASE("of frames of another size") {
    const SafeTensors stored(folder / kStepErrorFile);
    save_safetensors(folder / kStepErrorFile, {{"ema", torch::ones({6, 4, 1, 1, 2})}}, stored.metadata());
    CHECK(contains(message(Weights::ema), "of 1 channels of 6 x 6 points"));
  }
  SUBCASE("a file that is none") {
    write_text(folder / kStepErrorFile, "nonsense");
    CHECK(contains(message(Weights::ema), kStepErrorFile));
  }
}

TEST_CASE("error of a step: training a surrogate measures it at its end, and only then") {
  const test::ScratchFolder scratch;
  test::write_synthetic_dataset(scratch / "data");
  const fs::path folder = scratch / "model";
  const ModelSpec spec = test::small_spec("gaussian");
  train_model(spec, scratch / "data", folder, test::cpu_run(), {true, "", "", {}});
  const ModelConfig config = load_model_config(folder / "config.yaml");
  const std::string written = read_text(folder / kStepErrorFile);
  CHECK_NOTHROW(load_step_error(folder, Weights::raw));
  const DataSplit frames = open(scratch / "data", config);
  calibrate(folder, frames);
  CHECK(read_text(folder / kStepErrorFile) == written);

  // A training that is finished puts back what is missing, and leaves what is there.
  fs::remove(folder / kStepErrorFile);
  train_model(spec, scratch / "data", folder, test::cpu_run(), {true, "", "", {}});
  CHECK(read_text(folder / kStepErrorFile) == written);
  // So it does where a version that kept the error alone had measured it.
  {
    const SafeTensors stored(folder / kStepErrorFile);
    save_safetensors(folder / kStepErrorFile, {{"ema", stored.tensor("ema")}, {"raw", stored.tensor("raw")}},
                     stored.metadata());
  }
  CHECK_FALSE(has_step_errors(folder));
  train_model(spec, scratch / "data", folder, test::cpu_run(), {true, "", "", {}});
  CHECK(read_text(folder / kStepErrorFile) == written);
  // One that goes on measures anew.
  ModelSpec longer = spec;
  longer.training.steps = 40;
  train_model(longer, scratch / "data", folder, test::cpu_run(), {true, "", "", {}});
  CHECK(read_text(folder / kStepErrorFile) != written);
  CHECK_NOTHROW(load_step_error(folder, Weights::ema));

  // What a run that was stopped before it measured has left: a file of other weights.
  write_text(folder / kStepErrorFile, written);
  CHECK_FALSE(has_step_errors(folder));
  train_model(longer, scratch / "data", folder, test::cpu_run(), {true, "", "", {}});
  CHECK(has_step_errors(folder));
  CHECK_NOTHROW(load_step_error(folder, Weights::ema));
  write_text(folder / kStepErrorFile, "nonsense");
  train_model(longer, scratch / "data", folder, test::cpu_run(), {true, "", "", {}});
  CHECK(has_step_errors(folder));
  // Where it cannot be kept the training is finished all the same.
  fs::remove(folder / kStepErrorFile);
  fs::create_directory(folder / kStepErrorFile);
  CHECK_NOTHROW(train_model(longer, scratch / "data", folder, test::cpu_run(), {true, "", "", {}}));

  train_model(test::small_spec("sns"), scratch / "data", scratch / "sns", test::cpu_run(), {true, "", "", {}});
  CHECK_FALSE(fs::exists(scratch / "sns" / kStepErrorFile));
}
