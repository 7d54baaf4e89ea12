// What an SNS and a surrogate make together: measured on frames, kept beside the refiner's weights, and read
// again.
#include "core/files.hpp"
#include "emulator/dataset.hpp"
#include "emulator/safetensors.hpp"
#include "emulator/training/combination.hpp"
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

ModelConfig small_model(const std::string& kind, int channels = 1, double field_std = 1.5) {
  ModelConfig config = test::small_spec(kind).model;
  config.image = kPoints;
  config.field_channels = channels;
  config.field_std = std::vector<double>(static_cast<std::size_t>(channels), field_std);
  return config;
}

/// A network that says nothing: of a surrogate persistence.
template <class T>
std::unique_ptr<T> silent(const ModelConfig& config) {
  auto model = std::make_unique<T>(config, 1, torch::kCPU);
  const torch::NoGradGuard no_grad;
  for (auto& parameter : model->network().parameters()) parameter.zero_();
  return model;
}

template <class T>
void write_weights(const fs::path& folder, const ModelConfig& config, std::uint64_t seed) {
  fs::create_directories(folder);
  T model(config, seed, torch::kCPU);
  save_weights(model.network(), folder / file_name(Weights::ema));
  save_model_config(config, folder);
}

DataSplit open(const fs::path& folder, const ModelConfig& config) {
  return {describe_dataset(folder), "valid", config.field_std};
}

}  // namespace

TEST_CASE("combination: where the network says nothing the frame and the surrogate are left") {
  const test::ScratchFolder scratch;
  test::write_synthetic_dataset(scratch / "data");
  const ModelConfig config = small_model("sns");
  const DataSplit frames = open(scratch / "data", config);
  const auto refiner = silent<Sns>(config);
  const std::vector<int> levels{-1, 0, 9};
  const auto measured = [&](GaussianEmulator& surrogate) {
    return measure_combination(*refiner, surrogate, frames, levels, 1000).estimate;
  };
  const auto surrogate = silent<GaussianEmulator>(small_model("gaussian"));
  const CombinedEstimate together = measured(*surrogate);
  const EstimateErrors alone = measure_estimate_errors(*refiner, frames, levels, 1000);
  // The waves of the data hardly change from frame to frame: a surrogate that takes the past frame for the
  // present one knows much, the more noise the more. Without it a filter of the noisy frame is what is left.
  CHECK(together.errors().rms({-1, 0}, Frame::present) < alone.rms({-1, 0}, Frame::present));
  CHECK(together.errors().rms({-1, 9}, Frame::present) < 0.8 * alone.rms({-1, 9}, Frame::present));
  const torch::Tensor waves = together.table().select(2, 1).select(2, 0);  // shell 1, [past, present, A B C R]
  CHECK(waves[0][2][2].item<double>() > 0.8);
  CHECK(waves[0][1][2].item<double>() < waves[0][2][2].item<double>());
  // The mean of the frames is zero: all of the noise there is known.
  CHECK(std::abs(together.table()[0][1][0][0][3].item<double>()) < 1e-9);
  // What a wave's phase moves by in a frame, 0.1 along one axis and 0.03 along the other, 2.8 / 1.5 strong.
  CHECK(measure_combination(*refiner, *surrogate, frames, levels, 1000).surrogate_error ==
        test::relative(2.8 / 1.5 * std::hypot(0.1, 0.03) / 2).epsilon(0.05));
  // Units of the surrogate are its own.
  const auto of_other_units = silent<GaussianEmulator>(small_model("gaussian", 1, 6.0));
  CHECK(torch::allclose(measured(*of_other_units).table(), together.table(), 1e-4, 1e-6));
  // The same samples each time; fewer are others.
  CHECK(torch::equal(measured(*surrogate).table(), together.table()));
  CHECK_FALSE(torch::equal(measure_combination(*refiner, *surrogate, frames, levels, 8).estimate.table(),
                           together.table()));
}

TEST_CASE("combination: what is left of the error is as large as the table says, in other frames") {
  const test::ScratchFolder scratch;
  test::write_synthetic_dataset(scratch / "data", {.fields = {"upper", "lower"}});
  const ModelConfig config = small_model("sns", 2);
  Sns refiner(config, 3, torch::kCPU);
  GaussianEmulator surrogate(small_model("gaussian", 2), 4, torch::kCPU);
  const DataSplit frames = open(scratch / "data", config);
  const CombinedEstimate together =
      measure_combination(refiner, surrogate, frames, {-1, 0, 5, 12}, 1000).estimate;
  CHECK(together.fields() == 2);
  torch::Tensor past = torch::empty({24, 2, kPoints, kPoints}), present = torch::empty_like(past);
  for (std::int64_t b = 0; b < past.size(0); ++b)
    for (int f = 0; f < 2; ++f)
      for (int i = 0; i < kPoints; ++i)
        for (int j = 0; j < kPoints; ++j)
          for (int t = 0; t < 2; ++t)
            (t == 0 ? past : present)[b][f][i][j] =
                test::wave(f, 40 + static_cast<int>(b), 3 + t, i, j, kPoints) / 1.5F;
  torch::manual_seed(5);
  const torch::Tensor noise = torch::randn_like(present), prediction = surrogate.step(past);
  const Schedule& schedule = refiner.schedule();
  const torch::Tensor noisy = schedule.signal(5) * present + schedule.noise_std(5) * noise;
  const torch::Tensor standing = torch::tensor({0, 5}, torch::kInt64).expand({24, 2});
  const torch::Tensor eps =
      refiner.noise_estimate(torch::cat({past, past, noisy}, 1), standing).narrow(1, 2, 2);
  torch::Tensor squares = torch::zeros({}, torch::kFloat64);
  for (std::int64_t b = 0; b < 24; ++b)
    squares += (together.eps(noisy[b], eps[b], prediction[b], {Levels::kClean, 5}) - noise[b])
                   .square()
                   .mean()
                   .to(torch::kFloat64) /
               24;
  const double expected = together.errors().rms({Levels::kClean, 5}, Frame::present);
  // More, as the table is of the frames that the coefficients were fitted to.
  const double found = std::sqrt(squares.item<double>());
  CHECK(found > expected);
  CHECK(found < 1.4 * expected);
}

TEST_CASE("combination: a network that was trained beside clean past frames is measured beside them") {
  const test::ScratchFolder scratch;
  test::write_synthetic_dataset(scratch / "data");
  ModelConfig config = small_model("sns");
  config.trained_past = "clean";
  Sns refiner(config, 1, torch::kCPU);
  GaussianEmulator surrogate(small_model("gaussian"), 1, torch::kCPU);
  const torch::Tensor table =
      measure_combination(refiner, surrogate, open(scratch / "data", config), {-1, 0, 5}, 20).estimate.table();
  CHECK(torch::equal(table[0], table[2]));
  CHECK(table[0][0].abs().max().item<double>() == 0);  // a clean present frame has no noise
}

TEST_CASE("combination: kept beside the refiner's weights for each surrogate") {
  const test::ScratchFolder scratch;
  test::write_synthetic_dataset(scratch / "data");
  const ModelConfig config = small_model("sns");
  const fs::path refiner = scratch / "sns", surrogate = scratch / "gaussian", other = scratch / "other";
  write_weights<Sns>(refiner, config, 1);
  write_weights<GaussianEmulator>(surrogate, small_model("gaussian"), 1);
  write_weights<GaussianEmulator>(other, small_model("gaussian"), 2);
  const auto message = [&](const fs::path& with) {
    return test::message_of<Error>([&] { load_combination(refiner, with, Weights::ema); });
  };
  CHECK(contains(message(surrogate), "sns calibrate --weights " + refiner.string() + " --surrogate " +
                                         surrogate.string() + " --data"));
  CHECK_FALSE(has_combination(refiner, surrogate, Weights::ema, "these frames"));
  const auto model = load_model_as<Sns>(refiner, Weights::ema, torch::kCPU);
  const auto emulator = load_model_as<GaussianEmulator>(surrogate, Weights::ema, torch::kCPU);
  const CombinedEstimate found =
      measure_combination(*model, *emulator, open(scratch / "data", config), {-1, 0, 4}, 16).estimate;
  save_combination(refiner, surrogate, Weights::ema, found, "these frames");
  CHECK(has_combination(refiner, surrogate, Weights::ema, "these frames"));
  CHECK_FALSE(has_combination(refiner, surrogate, Weights::ema, "other frames"));
  const CombinedEstimate read = load_combination(refiner, surrogate, Weights::ema);
  CHECK(read.levels() == found.levels());
  CHECK(torch::allclose(read.table(), found.table(), 1e-6, 1e-9));
  CHECK(contains(message(other), "does not hold"));

  SUBCASE("weights that were replaced, of either") {
    fs::copy_file(other / file_name(Weights::ema), surrogate / file_name(Weights::ema),
                  fs::copy_options::overwrite_existing);
    CHECK(contains(message(surrogate), "does not hold"));
    write_weights<GaussianEmulator>(surrogate, small_model("gaussian"), 1);
    CHECK(message(surrogate) == "no exception");
    write_weights<Sns>(refiner, config, 7);
    CHECK(contains(message(surrogate), "is not of the folder's ema.safetensors"));
  }
  SUBCASE("a file under another surrogate's name, or of other fields") {
    fs::copy_file(refiner / combination_file(surrogate, Weights::ema),
                  refiner / combination_file(other, Weights::ema));
    CHECK(contains(message(other), "of another surrogate"));
    const SafeTensors stored(refiner / combination_file(surrogate, Weights::ema));
    const auto metadata = stored.metadata();
    save_safetensors(refiner / combination_file(surrogate, Weights::ema),
                     {{"ema", torch::ones({3, 3, 6, 2, 8})}}, metadata);
    CHECK(contains(message(surrogate), "combined_"));
  }
}

TEST_CASE("combination: an SNS follows it along paths that denoise the present frame alone") {
  const test::ScratchFolder scratch;
  test::write_synthetic_dataset(scratch / "data");
  const ModelConfig config = small_model("sns");
  Sns refiner(config, 1, torch::kCPU);
  GaussianEmulator surrogate(small_model("gaussian"), 2, torch::kCPU);
  torch::manual_seed(7);
  const torch::Tensor x = torch::randn({2, 3, kPoints, kPoints}),
                      prediction = surrogate.step(x.narrow(1, 1, 1));
  const std::vector<Levels> predicted{{0, 3}, {0, 1}};
  const auto refine = [&](const RefineOptions& options, const torch::Tensor& of = {}) {
    PhiloxNoise noise(1, {0, 1}, 1);
    return refiner.refine(x, predicted, options, noise, {}, of).x;
  };
  RefineOptions options{.path = Path::fixed_past, .estimate = Estimate::combined};
  const auto message = [&](const RefineOptions& with, const torch::Tensor& of) {
    return test::message_of<Error>([&] { refine(with, of); });
  };
  CHECK(contains(message(options, prediction), "does not hold"));
  refiner.use_combination(std::make_shared<CombinedEstimate>(
      measure_combination(refiner, surrogate, open(scratch / "data", config), {-1, 0, 1, 2, 3}, 100).estimate));
  CHECK(contains(message(options, {}), "what a surrogate predicts"));
  const torch::Tensor refined = refine(options, prediction);
  CHECK(refined.isfinite().all().item<bool>());
  CHECK_FALSE(torch::equal(refined, refine(options, prediction + 0.1)));
  // Which noise the network's own estimates would have makes no difference.
  options.reverse_std = ReverseStd::sqrt_beta;
  CHECK(torch::equal(refined, refine(options, prediction)));
  // Frames that the gate leaves alone stay as they are.
  options.threshold = 2;
  const torch::Tensor gated = refine(options, prediction);
  CHECK(torch::equal(gated[1], x[1]));
  CHECK(torch::allclose(gated[0], refined[0], 1e-4, 1e-5));  // a batch of another size
  options.path = Path::A;
  CHECK(contains(message(options, prediction), "denoises the past one, too"));
}
