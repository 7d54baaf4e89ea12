#include "core/files.hpp"
#include "emulator/device.hpp"
#include "emulator/models/gaussian.hpp"
#include "emulator/models/sns.hpp"
#include "emulator/nets/blocks.hpp"
#include "emulator/nets/initialise.hpp"
#include "emulator/nets/periodic.hpp"
#include "emulator/safetensors.hpp"
#include "emulator/training/ema.hpp"
#include "tests/support/scratch.hpp"
#include "tests/support/torch_doctest.hpp"

#include <torch/utils.h>

#include <cmath>
#include <limits>

using namespace sns;
using test::contains;

namespace {

ModelConfig small(const std::string& kind) {
  ModelConfig config;
  config.kind = kind;
  config.network.hidden = 4;
  config.network.blocks = 1;
  config.diffusion.levels = 20;
  config.image = 16;
  config.field_std = {2.5};
  config.frame_interval = 0.04;
  config.data_hash = "abc\"d";
  return config;
}

torch::Tensor ramp(at::IntArrayRef shape) {
  std::int64_t n = 1;
  for (const auto s : shape) n *= s;
  return torch::sin(torch::arange(n, torch::kFloat32)).view(shape);
}

void save_folder(Model& model, const std::filesystem::path& folder) {
  save_model_config(model.config(), folder);
  save_weights(model.network(), folder / "model.safetensors");
}

}  // namespace

TEST_CASE("periodic convolution equals circular padding and a convolution, forward and backward") {
  torch::set_num_threads(1);
  for (const int stride : {1, 2})
    for (const bool channels_last : {false, true}) {
      torch::Tensor x = ramp({2, 3, 8, 12});
      if (channels_last) x = x.contiguous(at::MemoryFormat::ChannelsLast);
      const torch::Tensor weight = ramp({5, 3, 3, 3}), bias = ramp({5});
      std::vector<torch::Tensor> ours, theirs;
      for (auto* leaves : {&ours, &theirs})
        for (const auto& t : {x, weight, bias}) leaves->push_back(t.clone().requires_grad_());
      const torch::Tensor a = periodic_convolution(ours[0], ours[1], ours[2], stride);
      const torch::Tensor b =
          torch::conv2d(torch::pad(theirs[0], {1, 1, 1, 1}, "circular"), theirs[1], theirs[2], stride);
      CHECK(torch::allclose(a, b, 1e-5, 1e-6));
      const torch::Tensor weighting = ramp(a.sizes());
      (a * weighting).sum().backward();
      (b * weighting).sum().backward();
      for (std::size_t k = 0; k < ours.size(); ++k)
        CHECK(torch::allclose(ours[k].grad(), theirs[k].grad(), 1e-5, 1e-5));
      const torch::NoGradGuard no_grad;
      CHECK(torch::equal(periodic_convolution(x, weight, bias, stride), a));
    }
}

TEST_CASE("the encoder commutes with periodic shifts by whole bottleneck pixels") {
  torch::set_num_threads(1);
  Sns sns(small("sns"), 3, torch::kCPU);
  const torch::NoGradGuard no_grad;
  const torch::Tensor x = ramp({2, 3, 16, 16});
  const torch::Tensor a = sns.net().encode(torch::roll(x, {4, 8}, {2, 3})).bottleneck;
  const torch::Tensor b = torch::roll(sns.net().encode(x).bottleneck, {1, 2}, {2, 3});
  CHECK(torch::allclose(a, b, 1e-5, 1e-6));
}

TEST_CASE(
    "an encoder tells a flow from the one moved by half the force's wavelength only if it sees the force") {
  torch::set_num_threads(1);
  ModelConfig config = small("sns");
  Sns blind(config, 3, torch::kCPU);
  // Two periods on 16 points: a wavelength of 8, two pixels of the bottleneck.
  config.network.forcing_wavenumber = 2;
  Sns seeing(config, 3, torch::kCPU);
  const torch::NoGradGuard no_grad;
  const torch::Tensor x = ramp({2, 3, 16, 16});
  const auto commutes = [&](Sns& sns, std::int64_t along_x, std::int64_t along_y) {
    const torch::Tensor moved = sns.net().encode(torch::roll(x, {4 * along_x, 4 * along_y}, {2, 3})).bottleneck;
    return torch::allclose(moved, torch::roll(sns.net().encode(x).bottleneck, {along_x, along_y}, {2, 3}), 1e-5,
                           1e-6);
  };
  CHECK(commutes(blind, 0, 1));
  CHECK(!commutes(seeing, 0, 1));
  CHECK(commutes(seeing, 0, 2));
  CHECK(commutes(seeing, 1, 0));  // the force varies along the second axis only
}

TEST_CASE("the force's channel is its curl at unit root mean square, and no weight of the network") {
  for (const char* kind : {"gaussian", "sns", "thermalizer", "acdm"}) {
    CAPTURE(kind);
    ModelConfig config = small(kind);
    const auto blind = make_model(config, 3, torch::kCPU);
    config.network.forcing_wavenumber = 3;
    const auto seeing = make_model(config, 3, torch::kCPU);
    const auto shape = [](Model& model) {
      return model.network().named_parameters()["image_proj.weight"].sizes().vec();
    };
    std::vector<std::int64_t> expected = shape(*blind);
    ++expected[1];
    CHECK(shape(*seeing) == expected);
    CHECK(blind->network().buffers().empty());
    const torch::Tensor curl = seeing->network().named_buffers()["image_proj.forcing"].squeeze();
    CHECK(curl.square().mean().item<double>() == test::relative(1).epsilon(1e-6));
    // d/dx (0) - d/dy sin(k y) = -k cos(k y), k = 3 waves on 16 points
    CHECK(curl[5][0].item<double>() == test::relative(-std::sqrt(2.0)).epsilon(1e-6));
    CHECK(curl[0][2].item<double>() ==
          test::relative(-std::sqrt(2.0) * std::cos(3 * 2 * std::acos(-1.0) * 2 / 16)).epsilon(1e-6));
    const test::ScratchFolder folder;
    save_folder(*seeing, folder.path());
    CHECK(load_model(folder.path(), Weights::raw, torch::kCPU)->config().network.forcing_wavenumber == 3);
  }
}

TEST_CASE("a network that sees another force than the flow's is refused") {
  NetworkConfig network;
  require_same_force(network, 4, "models.a");
  require_same_force(network, std::nullopt, "models.a");
  network.forcing_wavenumber = 4;
  require_same_force(network, 4, "models.a");
  const auto message = [&](std::optional<double> periods) {
    return test::message_of<ConfigError>([&] { require_same_force(network, periods, "models.a"); });
  };
  CHECK(message(2) == "models.a: network.forcing_wavenumber is 4, but the flow's force has 2 periods");
  CHECK(contains(message(std::nullopt), "but this flow has no steady force"));
  ModelConfig config = small("gaussian");
  config.network.forcing_wavenumber = 8;
  CHECK(contains(test::message_of<ConfigError>([&] { GaussianEmulator(config, 3, torch::kCPU); }),
                 "forcing_wavenumber is 8; images of 16 points can show 1 to 7 periods"));
}

TEST_CASE("outputs are contiguous and inputs of another shape are refused") {
  GaussianEmulator emulator(small("gaussian"), 3, torch::kCPU);
  CHECK(emulator.step(ramp({2, 1, 16, 16})).is_contiguous());
  CHECK(contains(test::message_of([&] {
                   emulator.step(ramp({2, 1, 8, 16}));
                 }),
                 "[B, 1, 16, 16], got [2, 1, 8, 16]"));
  CHECK(contains(test::message_of([&] { emulator.loss(ramp({2, 2, 1, 16, 16}), 2); }), "at least 3 frames"));
}

TEST_CASE("noise heads keep about as many features as asked at any bottleneck") {
  CHECK(NoiseHeadImpl::channels_of(4096, 16) == 16);
  CHECK(NoiseHeadImpl::channels_of(4096, 8) == 64);
  CHECK(NoiseHeadImpl::channels_of(1024, 8) == 16);
  CHECK(NoiseHeadImpl::channels_of(160, 8) == 3);  // halves go up
  CHECK(NoiseHeadImpl::channels_of(4096, 128) == 1);
}

TEST_CASE("initial weights: reproducible, keyed by name, uniform in 1/sqrt(fan in)") {
  Sns a(small("sns"), 3, torch::kCPU), b(small("sns"), 3, torch::kCPU), c(small("sns"), 4, torch::kCPU);
  auto pa = a.network().named_parameters(), pb = b.network().named_parameters(),
       pc = c.network().named_parameters();
  for (const auto& item : pa) {
    CHECK(torch::equal(item.value(), pb[item.key()]));
    CHECK(!torch::equal(item.value(), pc[item.key()]));
  }
  const torch::Tensor weight = pa["middle.res1.conv1.weight"].detach();  // [32, 32, 3, 3]
  const double bound = 1 / std::sqrt(32 * 9.0);
  CHECK(weight.abs().max().item<double>() <= bound);
  CHECK(weight.abs().max().item<double>() > 0.99 * bound);
  CHECK(weight.std().item<double>() == test::relative(bound / std::sqrt(3.0)).epsilon(0.02));
  CHECK(pa["middle.res1.conv1.bias"].abs().max().item<double>() <= bound);
  CHECK(!torch::equal(weight, pa["middle.res1.conv2.weight"]));
}

TEST_CASE("embedding width changes the MLPs only") {
  ModelConfig narrow = small("sns");
  narrow.network.embedding = 6;
  const SnsNetImpl network(sns_network(narrow));
  const auto parameters = network.named_parameters();
  CHECK(parameters["first_mlp1.weight"].sizes().vec() == std::vector<std::int64_t>{6, 20});
  CHECK(parameters["first_mlp2.weight"].sizes().vec() == std::vector<std::int64_t>{6, 6});
  CHECK(parameters["up.0.res.second_dense2.weight"].size(1) == 6);
}

TEST_CASE(
    "model configuration: the text that identifies a model has no word of newer keys left at their defaults") {
  ModelConfig config;
  config.kind = "sns";
  config.field_std = {4.5};
  const std::string defaults =
      "kind: sns\nnetwork:\n  hidden: 64\n  multipliers: [2, 2, 2]\n  blocks: 2\n  embedding: null\n"
      "  attention: {middle: false, levels: []}\n"
      "diffusion: {levels: 1000, schedule: cosine, prediction: eps}\nfield_std: 4.5\nfield_channels: 1\n"
      "image: 64\nframe_interval: 0\ndata_hash: \"\"\n";
  CHECK(to_yaml(config) == defaults);
  config.network.head_features = 1024;
  CHECK(contains(to_yaml(config), "  head_features: 1024\n"));
}

TEST_CASE("model configuration: YAML there and back") {
  for (const char* kind : {"gaussian", "sns"}) {
    const test::ScratchFolder folder;
    ModelConfig config = small(kind);
    config.network.attention_middle = true;
    config.network.attention_levels = {1, 2};
    config.network.embedding = kind[0] == 's' ? std::optional<int>(7) : std::nullopt;
    if (kind[0] == 's') config.network.head_features = 160;
    if (kind[0] == 's') config.trained_past = "clean";
    if (kind[0] == 's') config.trained_max_level = 3;
    if (kind[0] == 's') config.diffusion.prediction = "v";
    if (kind[0] == 'g') config.network.forcing_wavenumber = 4;
    save_model_config(config, folder.path());
    const ModelConfig read = load_model_config(folder / "config.yaml");
    CHECK(to_yaml(read) == to_yaml(config));
    CHECK(read.data_hash == "abc\"d");
    CHECK(read.network.embedding == config.network.embedding);
    CHECK(read.network.head_features == config.network.head_features);
    CHECK(read.network.forcing_wavenumber == config.network.forcing_wavenumber);
    CHECK(read.trained_past == config.trained_past);
    CHECK(read.trained_max_level == config.trained_max_level);
    CHECK(read.diffusion.prediction == config.diffusion.prediction);
  }
  const test::ScratchFolder folder;
  const auto load = [&](const std::string& more) {
    write_text(folder / "config.yaml", "kind: sns\nimage: 16\nfield_std: 1\nfield_channels: 1\n" + more);
    return load_model_config(folder / "config.yaml");
  };
  CHECK(load("").trained_past == "noised");
  CHECK(load("trained_past: mixed\n").trained_past == "mixed");
  CHECK_FALSE(load("").trained_max_level);
  CHECK(
      contains(test::message_of<ConfigError>([&] { load("trained_max_level: 1000\n"); }), "trained_max_level"));
  CHECK(
      contains(test::message_of<ConfigError>([&] { load("trained_past: dirty\n"); }), "noised, clean, mixed"));
}

TEST_CASE("a geometric schedule has its noise in a constant ratio, and comes back from the model's file") {
  const Schedule schedule = Schedule::geometric(5, {.lowest = 0.01, .highest = 0.16});
  for (int s = 0; s < 5; ++s) CHECK(schedule.noise_std(s) == test::relative(0.01 * std::pow(2.0, s)));
  CHECK(schedule.beta[0] == test::relative(1e-4));
  CHECK(schedule.posterior_std[0] == 0);
  for (int s = 1; s < 5; ++s) {
    CHECK(schedule.alpha[s] == test::relative(schedule.alpha_bar[s] / schedule.alpha_bar[s - 1]));
    CHECK(schedule.posterior_std[s] < schedule.noise_std(s - 1));
  }
  const test::ScratchFolder folder;
  write_text(folder / "config.yaml",
             "kind: thermalizer\nimage: 16\nfield_std: 1\nfield_channels: 1\n"
             "diffusion: {levels: 8, schedule: geometric, noise_range: [0.007, 0.6]}\n");
  const ModelConfig loaded = load_model_config(folder / "config.yaml");
  CHECK(loaded.diffusion.noise_range.lowest == 0.007);
  CHECK(loaded.diffusion.noise_range.highest == 0.6);
  CHECK(contains(to_yaml(loaded), "schedule: geometric, noise_range: [0.007"));
  CHECK(make_schedule(loaded.diffusion).noise_std(7) == test::relative(0.6));
}

TEST_CASE("model configuration: one field_std for all fields, or one for each") {
  const auto load = [](const std::string& field_std, const std::string& channels) {
    const test::ScratchFolder folder;
    write_text(folder / "config.yaml",
               "kind: gaussian\nimage: 16\nfield_std: " + field_std + "\nfield_channels: " + channels + "\n");
    return load_model_config(folder / "config.yaml");
  };
  CHECK(field_std_per_channel(load("4.44", "1")) == std::vector<double>{4.44});
  CHECK(field_std_per_channel(load("4.44", "2")) == std::vector<double>{4.44, 4.44});
  const auto each = load("[7.6e-6, 3.0e-7]", "2");
  CHECK(field_std_per_channel(each) == std::vector<double>{7.6e-6, 3.0e-7});
  CHECK(contains(to_yaml(each), "field_std: [7.6"));
  CHECK(contains(to_yaml(load("4.5", "1")), "field_std: 4.5\n"));
  CHECK(contains(test::message_of<ConfigError>([&] { load("[1, 2, 3]", "2"); }), "3 values for 2 fields"));
  CHECK(contains(test::message_of<ConfigError>([&] { load("[1, 0]", "2"); }), "positive"));

  ModelConfig two = small("gaussian");
  two.field_channels = 2;
  two.field_std = {0.25, 3.0};
  const GaussianEmulator emulator(two, 1, torch::kCPU);
  const torch::Tensor expected = torch::tensor({0.25F, 3.0F, 0.25F, 3.0F}).view({1, 4, 1, 1});
  CHECK(torch::equal(emulator.scale(2), expected));
}

TEST_CASE("softmax over keys is the default, and says nothing without attention") {
  ModelConfig config = small("sns");
  CHECK(sns_network(config).unet.softmax_over_keys);
  ModelConfig reference = config;
  reference.network.attention_softmax = "queries";
  CHECK(to_yaml(config) == to_yaml(reference));
  config.network.attention_middle = reference.network.attention_middle = true;
  CHECK(to_yaml(config) != to_yaml(reference));
}

TEST_CASE("the lag of the long frame") {
  torch::set_num_threads(1);
  ModelConfig config = small("sns");
  config.network.lag = LagConfig{.window = 10, .embedding = 8};
  Sns lagged(config, 3, torch::kCPU), plain(small("sns"), 3, torch::kCPU);
  const torch::Tensor x = ramp({2, 3, 16, 16});
  const torch::NoGradGuard no_grad;

  SUBCASE("sines, then cosines, of geometric frequencies from 1 to 1/10000") {
    const auto e = blocks::sinusoidal_embedding(torch::tensor({std::int64_t{0}, std::int64_t{3}}), 8);
    CHECK(torch::equal(e[0], torch::tensor({0.F, 0.F, 0.F, 0.F, 1.F, 1.F, 1.F, 1.F})));
    CHECK(e[1][0].item<double>() == test::relative(std::sin(3.0)));
    CHECK(e[1][1].item<double>() == test::relative(std::sin(3 / std::pow(10000.0, 1.0 / 3))));
    CHECK(e[1][7].item<double>() == test::relative(std::cos(3e-4)));
  }
  SUBCASE("it reaches every part of the network") {
    const auto parameters = lagged.network().named_parameters();
    for (const char* name : {"third_mlp2.weight", "down.0.res.third_dense1.weight",
                             "middle.res2.third_dense2.bias", "up.0.res.third_dense1.bias"})
      CHECK(parameters.contains(name));
    const auto one = torch::tensor({std::int64_t{1}, std::int64_t{1}}),
               mixed = torch::tensor({std::int64_t{1}, std::int64_t{9}});
    const auto a = lagged.net().encode(x, one).bottleneck, b = lagged.net().encode(x, mixed).bottleneck;
    CHECK(torch::allclose(a[0], b[0], 1e-5, 1e-6));
    CHECK_FALSE(torch::allclose(a[1], b[1], 1e-3, 1e-4));
    const auto all = lagged.noise_estimate(x, {}, one), other = lagged.noise_estimate(x, {}, mixed);
    CHECK_FALSE(torch::allclose(all[1], other[1], 1e-3, 1e-4));
  }
  SUBCASE("models without refuse one, models with need one in range") {
    CHECK(lagged.longest_lag() == 9);
    CHECK(plain.longest_lag() == 0);
    CHECK(lagged.levels(x, {9}).size() == 2);
    CHECK(contains(test::message_of([&] { plain.levels(x, {1}); }), "no lag embedding"));
    CHECK(contains(test::message_of([&] { lagged.levels(x); }), "wants the lag"));
    CHECK(contains(test::message_of([&] { lagged.levels(x, {10}); }), "outside 1..9"));
    CHECK(contains(test::message_of([&] { lagged.net().forward(x); }), "a lag embedding"));
  }
  SUBCASE("its configuration is kept") {
    const test::ScratchFolder folder;
    save_model_config(config, folder.path());
    const auto read = load_model_config(folder / "config.yaml");
    REQUIRE(read.network.lag.has_value());
    CHECK(read.network.lag->window == 10);
    CHECK(read.network.lag->embedding == 8);
    CHECK_FALSE(contains(to_yaml(small("sns")), "lag"));
  }
}

TEST_CASE("the hinge penalty counts predicted states beyond its limit, at every step") {
  torch::set_num_threads(1);
  GaussianEmulator emulator(small("gaussian"), 3, torch::kCPU);
  const torch::NoGradGuard no_grad;
  const torch::Tensor window = ramp({2, 3, 1, 16, 16});
  torch::Tensor state = window.select(1, 0);
  double expected = 0;
  for (int a = 0; a < 2; ++a) {
    state = emulator.step(state);
    const torch::Tensor rms = state.square().mean({1, 2, 3}).sqrt();
    expected += torch::relu(rms - 0.5).square().mean().item<double>();
  }
  const auto plain = emulator.loss(window, 2),
             with = emulator.loss(window, 2, {}, {.penalty = {.weight = 2, .limit = 0.5}, .whitening = 0});
  CHECK(plain.penalty.item<double>() == 0);
  CHECK(expected > 0);
  CHECK(with.penalty.item<double>() == test::relative(expected).epsilon(1e-5));
  CHECK(with.total.item<double>() == test::relative(plain.total.item<double>() + 2 * expected).epsilon(1e-5));
  CHECK(emulator.loss(window, 2, {}, {.penalty = {.weight = 2, .limit = 100}, .whitening = 0})
            .total.item<double>() == plain.total.item<double>());
}

TEST_CASE("model configuration: mistakes are named") {
  const auto problem = [](const std::string& yaml) {
    return test::message_of<ConfigError>([&] {
      const Config config = Config::parse(yaml);
      Section root = config.root();
      read_model(root);
      config.finish();
    });
  };
  CHECK(contains(problem("{kind: acdn}"), "gaussian, sns"));
  CHECK(contains(problem("{kind: sns, network: {hiden: 8}}"), "hidden"));
  CHECK(contains(problem("{kind: sns, network: {hidden: 0}}"), "between 1 and 32768"));
  CHECK(contains(problem("{kind: sns, network: {multipliers: [2, 2, 2000000000]}}"), "by 32768 at most"));
  CHECK(contains(problem("{kind: sns, network: {blocks: 1000000}}"), "between 1 and 1000"));
  CHECK(contains(problem("{kind: sns, network: {embedding: 2000000000}}"), "network.embedding"));
  CHECK(contains(problem("{kind: acdm, diffusion: {levels: 10, schedule: linear}}"),
                 "diffusion.levels: 10: the linear"));
  CHECK(contains(problem("{kind: sns, network: {embedding: 0}}"), "embedding"));
  CHECK(contains(problem("{kind: sns, network: {multipliers: []}}"), "multipliers"));
  CHECK(contains(problem("{kind: sns, diffusion: {schedule: cosin}}"), "cosine"));
  for (const char* range : {"[0.1]", "[0, 0.5]", "[0.5, 0.1]", "[0.1, 1]", "[1.0e-9, 0.5]"})
    CHECK(contains(
        problem(fmt::format("{{kind: sns, diffusion: {{schedule: geometric, noise_range: {}}}}}", range)),
        "1e-6 <= lowest < highest < 1"));
  CHECK(
      contains(problem("{kind: sns, diffusion: {schedule: cosine, noise_range: [0.1, 0.5]}}"), "noise_range"));
  CHECK(contains(problem("{kind: sns, network: {attention: {levels: [3]}}}"), "0 (finest) to 2"));
  CHECK(contains(problem("{kind: sns, network: {lag: {embedding: 7}}}"), "even"));
  CHECK(contains(problem("{kind: sns, network: {lag: {window: 1}}}"), "window"));
  CHECK(contains(problem("{kind: gaussian, network: {lag: {window: 5}}}"), "lag"));
  CHECK(contains(problem("{kind: gaussian, diffusion: {levels: 10}}"), "diffusion"));
  ModelConfig odd = small("gaussian");
  odd.image = 18;
  CHECK(contains(test::message_of<ConfigError>([&] { GaussianEmulator(odd, 1, torch::kCPU); }), "18x18"));
}

TEST_CASE("weights folder: there and back, and strict about everything") {
  const test::ScratchFolder folder;
  Sns sns(small("sns"), 3, torch::kCPU);
  save_folder(sns, folder.path());

  auto loaded = load_model_as<Sns>(folder.path(), Weights::raw, torch::kCPU);
  CHECK(loaded->field_std() == std::vector<double>{2.5});
  const auto loaded_parameters = loaded->network().named_parameters();
  for (const auto& item : sns.network().named_parameters())
    CHECK(torch::equal(item.value(), loaded_parameters[item.key()]));
  CHECK(contains(test::message_of([&] { load_model(folder.path(), Weights::ema, torch::kCPU); }),
                 "ema.safetensors is missing, model.safetensors is there: use the raw weights"));
  CHECK(contains(
      test::message_of([&] { load_model_as<GaussianEmulator>(folder.path(), Weights::raw, torch::kCPU); }),
      "kind 'sns'"));

  const auto file = folder / "model.safetensors";
  NamedTensors tensors = load_safetensors(file);
  const auto refusal = [&] {
    return test::message_of([&] { load_model(folder.path(), Weights::raw, torch::kCPU); });
  };
  SUBCASE("missing and unexpected") {
    for (auto& item : tensors)
      if (item.first == "final.bias") item.first = "last.bias";
    save_safetensors(file, tensors);
    CHECK(contains(refusal(), "1 missing: final.bias; 1 unexpected: last.bias"));
  }
  SUBCASE("not finite, or not even floating-point") {
    tensors[0].second.view({-1})[0] = std::numeric_limits<float>::quiet_NaN();
    tensors[1].second = tensors[1].second.to(torch::kFloat64);
    tensors[1].second.view({-1})[0] = 1e300;  // beyond float32
    tensors[2].second = tensors[2].second.to(torch::kInt64);
    tensors[3].second = tensors[3].second.to(torch::kFloat64);
    save_safetensors(file, tensors);
    CHECK(contains(refusal(), fmt::format("3 of {} tensors are not of finite", tensors.size())));
    CHECK(contains(refusal(), tensors[0].first));
  }
  SUBCASE("another width") {
    ModelConfig wider = small("sns");
    wider.network.hidden = 8;
    save_weights(Sns(wider, 1, torch::kCPU).network(), file);
    CHECK(contains(refusal(), "mis-shaped: "));
    CHECK(contains(refusal(), "more"));
    CHECK(!contains(refusal(), "\n"));
  }
  SUBCASE("truncated") {
    const std::string bytes = read_text(file);
    write_text(file, bytes.substr(0, bytes.size() / 2));
    CHECK(contains(refusal(), "truncated"));
  }
}

TEST_CASE("moving average: update, and use for a while") {
  GaussianEmulator emulator(small("gaussian"), 3, torch::kCPU);
  Ema ema(emulator.network(), 0.75);
  auto parameters = emulator.network().named_parameters();
  const torch::Tensor before = parameters["final.weight"].detach().clone();
  {
    const torch::NoGradGuard no_grad;
    parameters["final.weight"].add_(1.0);
  }
  ema.update();
  {
    const Ema::Applied applied(ema);
    CHECK(torch::allclose(parameters["final.weight"], before + 0.25, 1e-6, 1e-6));
  }
  CHECK(torch::allclose(parameters["final.weight"], before + 1.0, 1e-6, 1e-6));
  CHECK(parameters["final.weight"].requires_grad());
}

TEST_CASE("devices by name") {
  CHECK(pick_device("cpu").is_cpu());
  CHECK(contains(test::message_of<ConfigError>([] { pick_device("gpu"); }), "auto, cpu, cuda or cuda:N"));
  CHECK(contains(test::message_of<ConfigError>([] { pick_device("cuda:x"); }), "cuda:x"));
  if (load_cuda_backend().empty()) {
    CHECK(pick_device("auto").is_cuda());
  } else {
    CHECK(pick_device("auto").is_cpu());
    CHECK(contains(test::message_of([] { pick_device("cuda"); }), "CUDA cannot be used"));
  }
}
