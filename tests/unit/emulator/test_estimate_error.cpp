// What refiners get wrong in their estimates of noise: measured on frames, kept beside the weights, and read
// again.
#include "core/files.hpp"
#include "emulator/dataset.hpp"
#include "emulator/models/acdm.hpp"
#include "emulator/half_spectrum.hpp"
#include "emulator/models/sns.hpp"
#include "emulator/models/thermalizer.hpp"
#include "emulator/safetensors.hpp"
#include "emulator/training/estimate_error.hpp"
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

constexpr int kPoints = 8;

ModelConfig small_model(const std::string& kind, int channels = 1) {
  ModelConfig config = test::small_spec(kind).model;
  config.image = kPoints;
  config.field_channels = channels;
  config.field_std = std::vector<double>(static_cast<std::size_t>(channels), 1.5);
  return config;
}

/// A folder of untrained weights; averaged and raw ones differ.
template <class T>
ModelConfig write_weights(const fs::path& folder, const ModelConfig& config) {
  fs::create_directories(folder);
  T averaged(config, 1, torch::kCPU), raw(config, 2, torch::kCPU);
  save_weights(averaged.network(), folder / file_name(Weights::ema));
  save_weights(raw.network(), folder / file_name(Weights::raw));
  save_model_config(config, folder);
  return config;
}

DataSplit open(const fs::path& folder, const ModelConfig& config) {
  return {describe_dataset(folder), "valid", config.field_std};
}

/// A network whose estimate is zero errs by all of the noise.
template <class T>
void silence(T& model) {
  const torch::NoGradGuard no_grad;
  for (auto& parameter : model.network().parameters()) parameter.zero_();
}

std::int64_t shell_count() {
  return half_spectrum(kPoints, torch::kFloat64).shells;
}

}  // namespace

TEST_CASE(
    "error of estimates: of a network that says nothing it is the noise, but for what the frames' power "
    "tells") {
  const test::ScratchFolder scratch;
  test::write_synthetic_dataset(scratch / "data");
  const ModelConfig config = small_model("sns");
  Sns model(config, 1, torch::kCPU);
  silence(model);
  const DataSplit frames = open(scratch / "data", config);
  const EstimateErrors found = measure_estimate_errors(model, frames, {-1, 0, 7}, 1000);
  const torch::Tensor table = found.table().flatten(3);  // one field
  REQUIRE(table.sizes() == torch::IntArrayRef({3, 3, 2, shell_count()}));
  // Waves at |k| = sqrt(2), amplitude 2.8, divided by 1.5: the square's mean (2.8 / 1.5)^2 / 4 in four modes of
  // 64, in shell 1 with the four along the axes, whose modes have nothing.
  const double power = 64 * std::pow(2.8 / 1.5, 2) / 4 / 8;
  for (const auto& [place, level] : {std::pair{1, 0}, {2, 7}}) {
    const double ratio =
        std::pow(model.schedule().signal(level) / model.schedule().noise_std(level), 2) * power;
    for (int other = 0; other < 3; ++other) {
      CAPTURE(level);
      CAPTURE(other);
      // 36 samples of four pairs of modes each: the noise is within a fifth of 1.
      for (const torch::Tensor& shells : {table[other][place][1], table[place][other][0]}) {
        const double at_waves = shells[1].item<double>();
        CHECK(at_waves <= ratio / (1 + ratio) + 1e-6);
        CHECK(at_waves > 0.8 * ratio / (1 + ratio));
        CHECK(shells[0].item<double>() < 1e-3);  // no frame has a mean
        CHECK(shells[4].item<double>() < 1e-3);
      }
    }
  }
  // A clean frame has no error.
  CHECK(table[0][1][0].abs().max().item<double>() == 0);
  CHECK(table[1][0][1].abs().max().item<double>() == 0);
}

TEST_CASE("error of estimates: fields of a frame are measured with what they share") {
  const test::ScratchFolder scratch;
  test::write_synthetic_dataset(scratch / "data", {.fields = {"upper", "lower"}});
  const ModelConfig config = small_model("thermalizer", 2);
  const fs::path folder = scratch / "weights";
  write_weights<Thermalizer>(folder, config);
  const DataSplit frames = open(scratch / "data", config);
  const auto model = load_model_as<Thermalizer>(folder, Weights::ema, torch::kCPU);
  const EstimateErrors found = measure_estimate_errors(*model, frames, measured_levels(19), 1000);
  CHECK(found.channels() == 2);
  const torch::Tensor table = found.table();
  CHECK(torch::allclose(table, table.transpose(-1, -2)));
  CHECK(table[0][1][1].select(1, 0).select(1, 1).abs().max().item<double>() > 1e-6);
  // One frame: what a past one would stand at makes no difference.
  CHECK(torch::equal(table[0], table[3]));
  // More samples, other numbers; the same samples, the same.
  CHECK(torch::equal(table, measure_estimate_errors(*model, frames, measured_levels(19), 1000).table()));
  CHECK_FALSE(torch::equal(table, measure_estimate_errors(*model, frames, measured_levels(19), 8).table()));
  torch::Tensor z = torch::ones({2, kPoints, kPoints});
  found.shape({Levels::kClean, 3}, Frame::present, {z.data_ptr<float>(), static_cast<std::size_t>(z.numel())});
  CHECK(z.isfinite().all().item<bool>());
}

TEST_CASE("error of estimates: levels that are measured") {
  CHECK(measured_levels(0) == std::vector{-1, 0});
  CHECK(measured_levels(7) == std::vector{-1, 0, 1, 2, 3, 4, 5, 6, 7});
  CHECK(measured_levels(9) == std::vector{-1, 0, 1, 2, 3, 4, 5, 7, 9});
  CHECK(measured_levels(999).size() == 9);
  CHECK(measured_levels(999).back() == 999);
}

TEST_CASE("error of estimates: a network that was trained beside clean past frames is measured beside them") {
  const test::ScratchFolder scratch;
  test::write_synthetic_dataset(scratch / "data");
  ModelConfig config = small_model("sns");
  config.trained_past = "clean";
  write_weights<Sns>(scratch / "weights", config);
  const auto model = load_model_as<Sns>(scratch / "weights", Weights::ema, torch::kCPU);
  const torch::Tensor table =
      measure_estimate_errors(*model, open(scratch / "data", config), {-1, 0, 5}, 20).table();
  CHECK(torch::equal(table[0], table[2]));
  CHECK(table[0][2][1].abs().max().item<double>() > 0);
  CHECK(table[2][2][0].abs().max().item<double>() == 0);
}

TEST_CASE(
    "error of estimates: calibrate writes what load_estimate_errors reads, for each of a folder's weights") {
  const test::ScratchFolder scratch;
  test::write_synthetic_dataset(scratch / "data");
  const fs::path folder = scratch / "weights";
  const ModelConfig config = write_weights<Sns>(folder, small_model("sns"));
  const DataSplit frames = open(scratch / "data", config);
  const auto message = [&](Weights weights) {
    return test::message_of<Error>([&] { load_estimate_errors(folder, weights); });
  };
  const auto measure = [&] {
    auto found = measure_estimate_errors(folder, frames, {-1, 0, 4, 9}, 16, torch::kCPU);
    save_estimate_errors(folder, found);
    return found;
  };
  CHECK(contains(message(Weights::ema), "sns calibrate --weights " + folder.string()));
  CHECK_FALSE(has_estimate_errors(folder));
  const auto found = measure();
  CHECK(has_estimate_errors(folder));
  for (const Weights weights : {Weights::ema, Weights::raw}) {
    const EstimateErrors read = load_estimate_errors(folder, weights);
    CHECK(read.levels() == std::vector{-1, 0, 4, 9});
    CHECK(torch::allclose(read.table(), found.at(weights).table(), 1e-6, 1e-9));
  }
  CHECK_FALSE(torch::allclose(found.at(Weights::ema).table(), found.at(Weights::raw).table(), 1e-3));

  SUBCASE("weights that were replaced") {
    fs::copy_file(folder / file_name(Weights::raw), folder / file_name(Weights::ema),
                  fs::copy_options::overwrite_existing);
    CHECK(contains(message(Weights::ema), "is not of the folder's ema.safetensors"));
    CHECK_FALSE(has_estimate_errors(folder));
  }
  SUBCASE("a table of other fields, or of none") {
    const SafeTensors stored(folder / kEstimateErrorFile);
    const auto metadata = stored.metadata();
    save_safetensors(folder / kEstimateErrorFile, {{"ema", torch::ones({4, 4, 2, shell_count(), 2, 2})}},
                     metadata);
    CHECK(contains(message(Weights::ema), "of 2 fields"));
    save_safetensors(folder / kEstimateErrorFile, {{"ema", torch::ones({4, 4})}}, metadata);
    CHECK(
        contains(message(Weights::ema), "estimate_error.safetensors: errors of estimates must have the shape"));
    auto without_levels = metadata;
    without_levels.erase("levels");
    save_safetensors(folder / kEstimateErrorFile, {{"ema", torch::ones({4, 4, 2, shell_count(), 1, 1})}},
                     without_levels);
    CHECK(contains(message(Weights::ema), "a clean frame, level 0"));
  }
  SUBCASE("frames of another size, models that refine nothing") {
    test::write_synthetic_dataset(scratch / "larger", {.points = 12});
    CHECK(contains(test::message_of<Error>([&] {
                     measure_estimate_errors(folder, open(scratch / "larger", config), {-1, 0}, 4, torch::kCPU);
                   }),
                   "1 fields on 12 x 12 points"));
    const ModelConfig acdm = write_weights<Acdm>(scratch / "acdm", small_model("acdm"));
    CHECK(contains(
        test::message_of<ConfigError>([&] {
          measure_estimate_errors(scratch / "acdm", open(scratch / "data", acdm), {-1, 0}, 4, torch::kCPU);
        }),
        "not of kind acdm"));
  }
}

TEST_CASE("error of estimates: training a refiner measures it at its end where that is asked for") {
  const test::ScratchFolder scratch;
  test::write_synthetic_dataset(scratch / "data");
  for (const std::string kind : {"sns", "thermalizer", "acdm"}) {
    CAPTURE(kind);
    const fs::path folder = scratch / kind;
    ModelSpec spec = test::small_spec(kind);
    if (kind != "thermalizer") {
      spec.training.levels.sampling = "low";
      spec.training.levels.max_level = 6;
    }
    train_model(spec, scratch / "data", folder, test::cpu_run(), {true, "", "", {}, true});
    CHECK(fs::exists(folder / kEstimateErrorFile) == (kind != "acdm"));
    train_model(spec, scratch / "data", scratch / (kind + "-unasked"), test::cpu_run(), {});
    CHECK_FALSE(fs::exists(scratch / (kind + "-unasked") / kEstimateErrorFile));
    const ModelConfig config = load_model_config(folder / "config.yaml");
    CHECK(config.trained_max_level == (kind == "thermalizer" ? std::nullopt : std::optional<int>(6)));
    if (kind == "acdm") continue;
    const std::vector<int> levels = measured_levels(kind == "sns" ? 6 : 19);
    const std::string written = read_text(folder / kEstimateErrorFile);
    save_estimate_errors(folder, measure_estimate_errors(folder, open(scratch / "data", config), levels,
                                                         kEstimateErrorSamples, torch::kCPU));
    CHECK(read_text(folder / kEstimateErrorFile) == written);
    // A training that is finished puts back what is missing.
    fs::remove(folder / kEstimateErrorFile);
    train_model(spec, scratch / "data", folder, test::cpu_run(), {true, "", "", {}, true});
    CHECK(read_text(folder / kEstimateErrorFile) == written);
    // One that goes on measures anew.
    spec.training.steps = 40;
    train_model(spec, scratch / "data", folder, test::cpu_run(), {true, "", "", {}, true});
    CHECK(read_text(folder / kEstimateErrorFile) != written);
    CHECK(has_estimate_errors(folder));
    // What a run that was stopped before it measured has left, a file of other weights, is replaced.
    write_text(folder / kEstimateErrorFile, written);
    CHECK_FALSE(has_estimate_errors(folder));
    train_model(spec, scratch / "data", folder, test::cpu_run(), {true, "", "", {}, true});
    CHECK(has_estimate_errors(folder));
    // Where it cannot be kept the training is finished all the same.
    fs::remove(folder / kEstimateErrorFile);
    fs::create_directory(folder / kEstimateErrorFile);
    CHECK_NOTHROW(train_model(spec, scratch / "data", folder, test::cpu_run(), {true, "", "", {}, true}));
  }
}

TEST_CASE("error of estimates: a field's own power limits what is drawn in it, not that of others") {
  const test::ScratchFolder scratch;
  test::write_synthetic_dataset(scratch / "data", {.fields = {"upper", "lower"}});
  // One field a millionth as strong as the other, in the network's units.
  ModelConfig config = small_model("thermalizer", 2);
  config.field_std = {1.5, 1.5e6};
  Thermalizer model(config, 1, torch::kCPU);
  silence(model);
  const torch::Tensor table =
      measure_estimate_errors(model, open(scratch / "data", config), {-1, 0}, 1000).table()[0][1][1];
  CHECK(table[1][0][0].item<double>() > 0.3);
  CHECK(table[1][1][1].item<double>() < 1e-6);
  CHECK(std::abs(table[1][0][1].item<double>()) < 1e-3);
}

TEST_CASE("error of estimates: a lagged model is measured beside long frames at lags of its own") {
  const test::ScratchFolder scratch;
  test::write_synthetic_dataset(scratch / "data");
  ModelConfig config = small_model("sns");
  config.network.lag = LagConfig{.window = 5, .embedding = 8};
  Sns model(config, 1, torch::kCPU);
  const torch::Tensor table =
      measure_estimate_errors(model, open(scratch / "data", config), {-1, 0, 3}, 20).table();
  CHECK(table.isfinite().all().item<bool>());
  CHECK(table[2][2].abs().max().item<double>() > 0);
}

TEST_CASE("error of estimates: a model draws from what it was given, and says where it was given nothing") {
  const ModelConfig config = small_model("sns");
  Sns model(config, 1, torch::kCPU);
  const torch::Tensor x = torch::randn({2, 3, kPoints, kPoints}, torch::kFloat32);
  RefineOptions options;
  options.reverse_std = ReverseStd::measured;
  const auto refined = [&] {
    PhiloxNoise noise(1, {0, 1}, 1);
    return model.refine(x, {{0, 0}, {2, 3}}, options, noise).x;
  };
  CHECK(contains(test::message_of<Error>(refined), "does not hold the errors of its estimates"));
  const std::int64_t shells = shell_count();
  const auto give = [&](double error) {
    model.use_errors(std::make_shared<EstimateErrors>(model.schedule(), std::vector{-1, 0, 19},
                                                      error * torch::ones({3, 3, 2, shells, 1, 1}), kPoints));
  };
  give(0);
  const torch::Tensor sure = refined();
  options.reverse_std = ReverseStd::posterior;
  CHECK(torch::allclose(sure, refined(), 1e-4, 1e-5));  // nothing is left unknown
  options.reverse_std = ReverseStd::measured;
  give(1);
  CHECK_FALSE(torch::allclose(sure, refined(), 1e-2, 1e-2));
}
