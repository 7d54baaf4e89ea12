// Networks that see their frames whitened, too.
#include "core/files.hpp"
#include "core/random.hpp"
#include "emulator/dataset.hpp"
#include "emulator/models/acdm.hpp"
#include "emulator/models/sns.hpp"
#include "emulator/models/thermalizer.hpp"
#include "emulator/nets/whitened_frames.hpp"
#include "emulator/training/frame_spectrum.hpp"
#include "tests/support/scratch.hpp"
#include "tests/support/small_training.hpp"
#include "tests/support/synthetic_dataset.hpp"
#include "tests/support/torch_doctest.hpp"

#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <numbers>

using namespace sns;
using test::contains;
using test::message_of;
namespace fs = std::filesystem;

namespace {

/// A few frames of `fields` fields: white noise of one standard deviation each, the same in every pass.
class WhiteFrames : public TrainingFrames {
 public:
  WhiteFrames(std::int64_t fields, double deviation) : fields_(fields), deviation_(deviation) {}
  const std::string& name() const override { return name_; }
  std::string origin() const override { return "made up"; }
  std::int64_t channels() const override { return fields_; }
  std::int64_t nx() const override { return 16; }
  std::int64_t ny() const override { return 16; }
  std::int64_t trajectories() const override { return 4; }
  std::int64_t frames(std::int64_t) const override { return 50; }

 protected:
  void do_read(std::int64_t trajectory, std::int64_t first, std::int64_t count, std::span<float> out,
               std::uint64_t) const override {
    const auto size = static_cast<std::size_t>(frame_size());
    for (std::int64_t f = 0; f < count; ++f) {
      const auto frame = out.subspan(static_cast<std::size_t>(f) * size, size);
      RandomStream(5, Purpose::diffusion_noise, static_cast<std::uint64_t>(trajectory),
                   static_cast<std::uint64_t>(first + f))
          .fill_normal(frame);
      for (float& value : frame) value *= static_cast<float>(deviation_);
      // a mean in the first field, of which the whitening takes no notice
      for (float& value : frame.first(static_cast<std::size_t>(nx() * ny()))) value += 3;
    }
  }

 private:
  std::string name_ = "train";
  std::int64_t fields_;
  double deviation_;
};

ModelConfig whitened_model(const std::string& kind) {
  ModelConfig config = test::small_spec(kind).model;
  config.image = 16;
  config.field_std = {1};
  config.network.whitened = true;
  for (std::int64_t shell = 0; shell < whitening_shells(16); ++shell)
    config.whitening.push_back(1 / (1 + static_cast<double>(shell)));
  return config;
}

/// One period along the first axis.
torch::Tensor large_wave() {
  return torch::sin(torch::arange(16, torch::kFloat32).view({1, 1, 16, 1}) * (2 * std::numbers::pi / 16))
      .expand({1, 1, 16, 16});
}

}  // namespace

TEST_CASE("whitened frames: every mode over the deviation of its shell and field, then asinh") {
  const std::int64_t n = 16, shells = whitening_shells(n);
  std::vector<double> deviations(static_cast<std::size_t>(2 * shells), 1.0);
  deviations[3] = 0.5;                                     // first field, shell 3
  deviations[static_cast<std::size_t>(shells) + 5] = 0.1;  // second, shell 5: wavevector (4, 3)
  const torch::Tensor x = torch::arange(n, torch::kFloat32).view({n, 1}) * (2 * std::numbers::pi / n),
                      y = torch::arange(n, torch::kFloat32).view({1, n}) * (2 * std::numbers::pi / n);
  const torch::Tensor first = torch::sin(3 * x).expand({n, n}), second = torch::cos(4 * x + 3 * y),
                      frames = torch::stack({first, second, second, first}).unsqueeze(0);  // two frames
  const torch::Tensor filter = whitening_filter(deviations, 4, n);
  CHECK((filter.sizes() == at::IntArrayRef({4, n, n / 2 + 1})));
  const torch::Tensor expected =
      torch::stack({(2 * first).asinh(), (10 * second).asinh(), second.asinh(), first.asinh()}).unsqueeze(0);
  CHECK(torch::allclose(whitened(frames, filter), expected, 1e-4, 1e-4));
  CHECK(torch::allclose(whitened(frames, whitening_filter({}, 4, n)), frames.asinh(), 1e-4, 1e-5));
  deviations.pop_back();
  CHECK(contains(message_of<ConfigError>([&] { whitening_filter(deviations, 4, n); }), "13 shells"));
  deviations.resize(static_cast<std::size_t>(3 * shells), 1.0);
  CHECK(contains(message_of<ConfigError>([&] { whitening_filter(deviations, 4, n); }), "13 shells"));
}

TEST_CASE("what modes are divided by: power of the frames and of the lowest level's noise") {
  torch::set_num_threads(1);
  const Schedule schedule = Schedule::make("geometric", 4, {0.3, 0.9});
  const std::vector<double> found = measure_whitening(WhiteFrames(2, 0.4), schedule);
  CHECK(found.size() == static_cast<std::size_t>(2 * whitening_shells(16)));
  // 200 frames of 4 and more modes each; the outermost entry has no mode at all
  for (std::size_t i = 0; i < found.size(); ++i) {
    CAPTURE(i);
    const bool empty = i % 13 == 12;
    CHECK(found[i] == test::relative(empty ? 0.3 : 0.5).epsilon(0.1));
  }
  CHECK(found[0] == found[1]);
  CHECK(found[13] == found[14]);
}

TEST_CASE("a network that sees its frames whitened has as many more input channels, and no more else") {
  torch::set_num_threads(1);
  for (const char* kind : {"sns", "thermalizer", "acdm"}) {
    CAPTURE(kind);
    ModelConfig config = whitened_model(kind), plain = config;
    plain.network.whitened = false;
    plain.whitening.clear();
    const auto seeing = make_model(config, 3, torch::kCPU), blind = make_model(plain, 3, torch::kCPU);
    for (const auto& item : blind->network().named_parameters()) {
      std::vector<std::int64_t> shape = item.value().sizes().vec();
      if (item.key() == "image_proj.weight") shape[1] *= 2;
      CHECK(seeing->network().named_parameters()[item.key()].sizes().equals(shape));
    }
    CHECK(seeing->network().named_parameters().size() == blind->network().named_parameters().size());
    const test::ScratchFolder folder;
    save_model_config(config, folder.path());
    save_weights(seeing->network(), folder / "model.safetensors");
    const auto loaded = load_model(folder.path(), Weights::raw, torch::kCPU);
    CHECK(to_yaml(loaded->config()) == to_yaml(config));
    CHECK(contains(to_yaml(config), "whitening: [1, 0.5, 0.3333333333333333, 0.25, 0.2, "));
    ModelConfig tiny = config;
    tiny.whitening.assign(tiny.whitening.size(), 1e-5);
    CHECK(contains(to_yaml(tiny), "whitening: [1.0e-05, 1.0e-05, "));
    CHECK(torch::equal(loaded->network().named_buffers()["image_proj.whitening"],
                       seeing->network().named_buffers()["image_proj.whitening"]));
    CHECK(loaded->network().named_buffers()["image_proj.whitening"][0][2][0].item<double>() ==
          test::relative(3).epsilon(1e-6));

    const std::string text = read_text(folder / "config.yaml");
    const auto with = [&](const std::string& line) {
      const auto begin = text.find("whitening: ");
      write_text(folder / "config.yaml",
                 text.substr(0, begin) + line + text.substr(text.find('\n', begin) + 1));
      return message_of<ConfigError>([&] { load_model(folder.path(), Weights::raw, torch::kCPU); });
    };
    CHECK(contains(with(""), "whitening is required"));
    CHECK(contains(with("whitening: [1, 2]\n"),
                   "whitening has 2 numbers; frames of 1 fields on 16 x 16 points take 13"));
    CHECK(contains(with("whitening: [1, 0]\n"), "must hold positive numbers"));
  }
}

TEST_CASE("weak noise shows in the input of a network that sees its frames whitened") {
  torch::set_num_threads(1);
  ModelConfig config = whitened_model("thermalizer");
  // Frames that have the largest scales alone, and noise of a thousandth.
  config.whitening.assign(static_cast<std::size_t>(whitening_shells(16)), 1e-3);
  config.whitening[0] = config.whitening[1] = 1;
  Thermalizer seeing(config, 3, torch::kCPU);
  config.network.whitened = false;
  Thermalizer blind(config, 3, torch::kCPU);
  const torch::NoGradGuard no_grad;
  const torch::Tensor frame = large_wave();
  torch::Tensor noise = torch::empty({1, 1, 16, 16});
  RandomStream(1, Purpose::diffusion_noise).fill_normal({noise.data_ptr<float>(), 256});
  const auto change = [&](Thermalizer& model) {
    const torch::Tensor levels = torch::zeros({1}, torch::kInt64);
    const torch::Tensor clean = model.estimate(frame, levels).logits,
                        noised = model.estimate(frame + 1e-3 * noise, levels).logits;
    return (noised - clean).abs().max().item<double>();
  };
  CHECK(change(seeing) > 30 * change(blind));
}

TEST_CASE("in bfloat16 what is whitened is not rounded before") {
  torch::set_num_threads(1);
  const auto of_empty_scales = [](ModelConfig config) {
    config.whitening.assign(config.whitening.size(), 1e-3);
    config.whitening[0] = config.whitening[1] = 1;
    return config;
  };
  const ModelConfig config = of_empty_scales(whitened_model("thermalizer"));
  const Inference inference{.precision = torch::kBFloat16};
  Thermalizer exact(config, 3, torch::kCPU), rounded(config, 3, torch::kCPU);
  try {
    rounded.use_for(inference);
  } catch (const Error& error) {
    CHECK(contains(error.what(), "no bfloat16 instructions"));
    CHECK_FALSE(contains(read_text("/proc/cpuinfo"), "avx512_bf16"));
    MESSAGE("not tested: " << error.what());
    return;
  }
  const torch::NoGradGuard no_grad;
  const torch::Tensor frame = large_wave(), levels = torch::zeros({1}, torch::kInt64);
  const torch::Tensor whole = exact.noise_estimate(frame, levels);
  const auto distance = [&](const torch::Tensor& other) {
    return ((other - whole).norm() / whole.norm()).item<double>();
  };
  const double apart = distance(rounded.noise_estimate(frame, levels)),
               before = distance(exact.noise_estimate(frame.to(torch::kBFloat16).to(torch::kFloat32), levels));
  CAPTURE(apart);
  CAPTURE(before);
  CHECK(apart < 0.03);
  CHECK(before > 3 * apart);
  CHECK(rounded.levels(frame).size() == 1);

  // Embeddings are of the weights' precision, whatever the frames are of.
  ModelConfig lagged = of_empty_scales(whitened_model("sns"));
  lagged.network.lag = LagConfig{.window = 10, .embedding = 8};
  lagged.network.forcing_wavenumber = 2;
  Sns of_lag(lagged, 3, torch::kCPU);
  of_lag.use_for(inference);
  const torch::Tensor three = frame.repeat({1, 3, 1, 1});
  CHECK(of_lag.levels(three, {4}).size() == 1);
  CHECK(of_lag.noise_estimate(three, torch::zeros({1, 2}, torch::kInt64), torch::full({1}, 4, torch::kInt64))
            .isfinite()
            .all()
            .item<bool>());
  Acdm acdm(of_empty_scales(whitened_model("acdm")), 3, torch::kCPU);
  acdm.use_for(inference);
  CHECK(acdm.noise_estimate(frame.repeat({1, 2, 1, 1}), levels).isfinite().all().item<bool>());
}

TEST_CASE("training measures what it divides by, keeps it beside the weights, and goes on with it") {
  torch::set_num_threads(1);
  const test::ScratchFolder scratch;
  test::write_synthetic_dataset(scratch / "data");
  ModelSpec spec = test::small_spec("sns");
  spec.model.network.whitened = true;
  const auto train = [&](const char* folder, std::int64_t steps) {
    ModelSpec part = spec;
    part.training.steps = steps;
    part.training.schedule.name = "constant";
    train_model(part, scratch / "data", scratch / folder, test::cpu_run());
  };
  train("whole", 20);
  train("parts", 10);
  train("parts", 20);
  CHECK(test::loss_curve(scratch / "whole") == test::loss_curve(scratch / "parts"));
  const ModelConfig stored = load_model_config(scratch / "whole" / "config.yaml");
  const DatasetInfo info = describe_dataset(scratch / "data");
  const std::vector<double> measured =
      measure_whitening(DataSplit(info, "train", info.field_std), make_schedule(stored.diffusion));
  CHECK(std::equal(measured.begin(), measured.end(), stored.whitening.begin(), stored.whitening.end()));
  CHECK(read_text(scratch / "whole" / "ema.safetensors") == read_text(scratch / "parts" / "ema.safetensors"));
}

TEST_CASE("what a network that sees its frames whitened cannot be") {
  const auto models = [](const std::string& model) {
    return read_models(Config::parse("models: {m: " + model + "}"));
  };
  CHECK(models("{kind: sns, network: {whitened: true}}")[0].model.network.whitened);
  CHECK(contains(message_of<ConfigError>(
                     [&] { models("{kind: sns, network: {whitened: true}, training: {data: stream}}"); }),
                 "stream has no frames to measure a spectrum on"));
  // The surrogate has no noise level to be whitened beside; the key stays for another kind.
  CHECK_FALSE(models("{kind: gaussian, network: {whitened: true}}")[0].model.network.whitened);
}
