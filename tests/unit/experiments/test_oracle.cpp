// The oracle trade-off with a network whose answer is known.
#include "tests/support/torch_doctest.hpp"

#include "core/files.hpp"
#include "core/hdf5.hpp"
#include "core/random.hpp"
#include "experiments/oracle.hpp"
#include "tests/support/emulator_tolerances.hpp"
#include "tests/support/scratch.hpp"

#include <c10/core/GradMode.h>
#include <nlohmann/json.hpp>

#include <cmath>

using namespace sns;
using test::contains;
using test::message_of;

namespace {

constexpr int kLevels = 20, kPoints = 16, kFrames = 12, kTrajectories = 4;
constexpr double kStd = 2;

ModelConfig tiny() {
  ModelConfig config;
  config.kind = "sns";
  config.network.hidden = 4;
  config.network.blocks = 1;
  config.network.embedding = 8;
  config.diffusion.levels = kLevels;
  config.image = kPoints;
  config.field_std = {kStd};
  return config;
}

/// Estimates no noise at all, so that Tweedie's estimate is x_s / sqrt(abar_s) and its error sqrt(1 - abar_s) /
/// sqrt(abar_s) times the noise, whatever the past frame.
std::unique_ptr<Sns> model_without_opinion() {
  auto model = std::make_unique<Sns>(tiny(), 1, torch::kCPU);
  const c10::AutoGradMode no_grad(false);
  for (auto& parameter : model->network().named_parameters())
    if (parameter.key().starts_with("final.")) parameter.value().zero_();
  return model;
}

/// Frames of white noise of standard deviation kStd in the layout of `sns datagen`; x_t = -x_(t-1).
void write_frames(const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder / "data/test");
  auto file = h5::File::create(folder / "data/test/noise.h5");
  constexpr std::uint64_t n = kPoints, frames = kFrames, samples = kTrajectories;
  std::vector<float> values;
  std::vector<std::int64_t> ids;
  for (std::uint64_t s = 0; s < samples; ++s) {
    std::vector<float> first(n * n);
    RandomStream(3, Purpose::validation, s).fill_normal(first);
    for (std::uint64_t t = 0; t < frames; ++t)
      for (const float v : first) values.push_back(static_cast<float>(kStd) * (t % 2 == 0 ? v : -v));
    ids.push_back(1000000 + static_cast<std::int64_t>(s));
  }
  auto fields = file.make_group("t0_fields");
  fields.set_attribute("field_names", std::vector<std::string>{"vorticity"});
  fields.write<float>("vorticity", {samples, frames, n, n}, values);
  auto dimensions = file.make_group("dimensions");
  dimensions.set_attribute("spatial_dims", std::vector<std::string>{"x", "y"});
  dimensions.write<double>("time", {frames}, std::vector<double>(frames, 0.0));
  for (const char* axis : {"x", "y"}) dimensions.write<double>(axis, {n}, std::vector<double>(n, 0.0));
  auto provenance = file.make_group("provenance");
  provenance.write<std::uint8_t>("complete", {samples}, std::vector<std::uint8_t>(samples, 1));
  provenance.write<std::int64_t>("trajectory_id", {samples}, ids);
  provenance.write<std::uint64_t>("frame_hash", {samples, frames},
                                  std::vector<std::uint64_t>(samples * frames, 0));
  file.close();
}

struct Fixture {
  test::ScratchFolder folder;
  OracleInputs inputs;
  std::unique_ptr<Sns> model = model_without_opinion();
  Fixture() {
    write_frames(folder / "truth");
    inputs.frames = folder / "truth";
    inputs.output = folder / "oracle";
    inputs.config = {.model = "sns",
                     .level = 12,
                     .past_levels = 5,
                     .examples = 2,
                     .trajectories = kTrajectories,
                     .times = 2,
                     .levels = kLevels};
    inputs.evaluate.bootstrap = 200;
    inputs.weights_sha256 = "abc";
    inputs.seed = 7;
  }
  nlohmann::json json() {
    run_oracle(*model, inputs);
    return nlohmann::json::parse(read_text(inputs.output / "oracle.json"));
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "the oracle's error is that of the estimate") {
  const auto root = json();
  CHECK(root["trajectories"] == nlohmann::json{1000000, 1000001, 1000002, 1000003});
  CHECK(root["times"] == nlohmann::json{4, 9});  // middles of the halves of 2..11
  REQUIRE(root["error"].size() == 5);
  const double abar = model->schedule().alpha_bar[12], expected = (1 - abar) / abar;
  const double sampling = 4 * std::sqrt(2.0 / (kTrajectories * 2 * kPoints * kPoints));  // of a mean of squares
  for (std::size_t i = 0; i < 5; ++i) {
    CHECK(root["error"][i]["past_level"] == 4 * i);
    CHECK(root["error"][i]["value"].get<double>() == test::relative(expected).epsilon(sampling));
    // The same noise at every level: the curve shows the past frame's part alone.
    CHECK(root["error"][i]["value"] == root["error"][0]["value"]);
    CHECK(root["error"][i]["low"] <= root["error"][i]["value"]);
    CHECK(root["error"][i]["high"] >= root["error"][i]["value"]);
  }
  CHECK(root["zero"]["value"].get<double>() == test::relative(1).epsilon(sampling));
  CHECK(root["persistence"]["value"].get<double>() == test::relative(4 * root["zero"]["value"].get<double>()));

  CHECK(root["weights_sha256"] == "abc");
  const auto file = h5::File::open_read(inputs.output / "oracle.h5");
  CHECK(file.attribute<std::string>("weights_sha256") == "abc");
  CHECK(file.dataset("error_by_trajectory").shape() == h5::Shape{kTrajectories, 5});
  CHECK(file.dataset("example/past_levels").read<std::int64_t>() == std::vector<std::int64_t>{5, 15});
  CHECK(file.dataset("example/estimate").shape() == h5::Shape{2, 1, kPoints, kPoints});
  const auto past = file.dataset("example/past").read<float>(),
             present = file.dataset("example/present").read<float>();
  CHECK(past[0] == -present[0]);
}

TEST_CASE_FIXTURE(Fixture, "a single trajectory has no interval, and the numbers depend on the seed alone") {
  inputs.config.trajectories = 1;
  const auto root = json();
  CHECK(root["trajectories"].size() == 1);
  CHECK(root["error"][0]["low"].is_null());
  CHECK(json()["error"] == root["error"]);
  inputs.seed = 8;
  CHECK(json()["error"] != root["error"]);
}

TEST_CASE_FIXTURE(Fixture, "a grid of levels never repeats one") {
  inputs.config.past_levels = 1000;
  inputs.config.level = std::nullopt;
  const auto root = json();
  CHECK(root["error"].size() == kLevels);
  CHECK(root["level"] == 18);  // 0.9 of 20
}

TEST_CASE("the oracle's block names a model of kind sns") {
  ModelSpec surrogate, sns;
  surrogate.name = "plain";
  surrogate.model.kind = "gaussian";
  sns.name = "sns";
  sns.model = tiny();
  const auto refusal = [&](const std::string& text) {
    return message_of<ConfigError>([&] {
      read_oracle(Config::parse(text, {}, "x.yaml").root(), {surrogate, sns});
    });
  };
  CHECK(contains(refusal("model: plain"), "not a model of kind sns"));
  CHECK(contains(refusal("level: 3"), "model is required"));
  CHECK(contains(refusal("model: sns\nlevel: 20"), "must be between 0 and 19"));
  CHECK(refusal("model: sns\nlevel: 19") == "no exception");
  // Levels that training has not visited are none of the oracle's.
  CHECK(read_oracle(Config::parse("model: sns").root(), {sns}).levels == kLevels);
  sns.training.levels = {.sampling = "low", .max_level = 7};
  CHECK(read_oracle(Config::parse("model: sns").root(), {sns}).levels == 8);
  sns.training.levels.past = "clean";
  CHECK(contains(refusal("model: sns"), "the oracle noises them"));
}
