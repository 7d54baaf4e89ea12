// Forward passes of the reference's networks (hidden 8, 64 levels), and the sizes of the paper's.
#include "emulator/models/acdm.hpp"
#include "emulator/models/gaussian.hpp"
#include "emulator/models/sns.hpp"
#include "emulator/models/thermalizer.hpp"
#include "emulator/nets/blocks.hpp"
#include "emulator/nets/initialise.hpp"
#include "tests/golden/golden_models.hpp"
#include "tests/support/emulator_tolerances.hpp"
#include "tests/support/golden_network.hpp"
#include "tests/support/torch_doctest.hpp"

#include <torch/utils.h>

#include <map>

using namespace sns;
using test::golden;
using test::relative_error;

namespace {

std::vector<std::string> parameter_names(const torch::nn::Module& module) {
  std::vector<std::string> names;
  for (const auto& item : module.named_parameters()) names.push_back(item.key());
  return names;
}

}  // namespace

TEST_CASE("the paper's networks have the paper's numbers of parameters") {
  ModelConfig config;
  CHECK(parameter_count(UNetImpl(gaussian_network(config))) == 45'820'801);
  CHECK(parameter_count(SnsNetImpl(sns_network(config))) == 73'727'522);
  CHECK(parameter_count(ThermalizerNetImpl(thermalizer_network(config))) == 53'286'817);
  CHECK(parameter_count(AcdmNetImpl(acdm_network(config))) == 51'534'722);
  config.network.attention_middle = true;
  config.network.attention_levels = {2};
  CHECK(parameter_count(SnsNetImpl(sns_network(config))) == 79'249'442);
}

// Memory of a network that is only counted is never touched.
TEST_CASE("networks of two-layer flow and lagged ones have the reference's numbers of parameters") {
  ModelConfig config;
  config.field_channels = 2;
  CHECK(parameter_count(UNetImpl(gaussian_network(config))) == 45'821'954);
  CHECK(parameter_count(ThermalizerNetImpl(thermalizer_network(config))) == 53'287'970);
  config.network.predicts = "present";
  CHECK(parameter_count(AcdmNetImpl(acdm_network(config))) == 51'535'874);
  config.network.attention_middle = true;
  CHECK(parameter_count(SnsNetImpl(sns_network(config))) == 74'782'052);
  config.network.hidden = 128;
  CHECK(parameter_count(SnsNetImpl(sns_network(config))) == 238'509'540);
  config.network.attention_middle = false;
  CHECK(parameter_count(SnsNetImpl(sns_network(config))) == 234'309'092);
  config.network.lag.emplace();
  CHECK(parameter_count(SnsNetImpl(sns_network(config))) == 245'209'316);
  config.field_channels = 1;
  config.network.hidden = 64;
  CHECK(parameter_count(SnsNetImpl(sns_network(config))) == 79'440'290);
}

TEST_CASE("parameter names and their order are the reference's") {
  const auto sns_file = h5::File::open_read(test::golden_file("emulator_sns.h5"));
  CHECK(parameter_names(SnsNetImpl(sns_network(test::golden_sns_config()))) ==
        test::golden_parameter_order(sns_file));
  const auto qg_file = h5::File::open_read(test::golden_file("emulator_sns_qg.h5"));
  CHECK(parameter_names(SnsNetImpl(sns_network(test::golden_sns_qg_config()))) ==
        test::golden_parameter_order(qg_file));
  const auto gaussian_file = h5::File::open_read(test::golden_file("emulator_gaussian.h5"));
  CHECK(parameter_names(UNetImpl(gaussian_network(test::golden_gaussian_config()))) ==
        test::golden_parameter_order(gaussian_file));
  const auto thermalizer_file = h5::File::open_read(test::golden_file("emulator_thermalizer.h5"));
  CHECK(parameter_names(ThermalizerNetImpl(thermalizer_network(test::golden_thermalizer_config()))) ==
        test::golden_parameter_order(thermalizer_file));
  const auto acdm_file = h5::File::open_read(test::golden_file("emulator_acdm.h5"));
  CHECK(parameter_names(AcdmNetImpl(acdm_network(test::golden_acdm_config()))) ==
        test::golden_parameter_order(acdm_file));
}

TEST_CASE("Gaussian emulator: forward pass and rollout") {
  torch::set_num_threads(1);
  const auto file = h5::File::open_read(test::golden_file("emulator_gaussian.h5"));
  GaussianEmulator emulator(test::golden_gaussian_config(), 0, torch::kCPU);
  test::load_golden_weights(emulator.network(), file);
  const torch::Tensor x = golden(file, "forward/x");
  CHECK(relative_error(emulator.residual(x).detach(), golden(file, "forward/y")) < tolerance::kForward);

  const torch::Tensor states = golden(file, "rollout/states");  // [member, time, 1, n, n]
  torch::Tensor state = states.select(1, 0);
  for (std::int64_t t = 1; t < states.size(1); ++t) {
    state = emulator.step(state);
    CHECK(relative_error(state, states.select(1, t)) < tolerance::kForward);
  }
}

namespace {

void check_sns_forward(const char* name, const ModelConfig& config) {
  torch::set_num_threads(1);
  const auto file = h5::File::open_read(test::golden_file(name));
  Sns sns(config, 0, torch::kCPU);
  test::load_golden_weights(sns.network(), file);
  const torch::NoGradGuard no_grad;
  const torch::Tensor x = golden(file, "forward/x");
  const SnsOutput out = sns.net().forward(x);
  CHECK(test::image_error(out.noise, file, "forward/eps") < tolerance::kForward);
  CHECK(relative_error(out.logits.past, golden(file, "forward/logits_short")) < tolerance::kForward);
  CHECK(relative_error(out.logits.present, golden(file, "forward/logits_t")) < tolerance::kForward);

  const SnsLogits logits = sns.net().classify(x);
  CHECK(torch::equal(logits.past, out.logits.past));
  CHECK(torch::equal(logits.present, out.logits.present));
  const torch::Tensor best = golden(file, "forward/argmax_short_t", true);
  const auto levels = sns.levels(x);
  for (std::size_t b = 0; b < levels.size(); ++b) {
    CHECK(levels[b].past == best[static_cast<std::int64_t>(b)][0].item<std::int64_t>());
    CHECK(levels[b].present == best[static_cast<std::int64_t>(b)][1].item<std::int64_t>());
  }
}

}  // namespace

TEST_CASE("SNS network: noise estimate, logits of both heads, predicted levels") {
  check_sns_forward("emulator_sns.h5", test::golden_sns_config());
}

TEST_CASE("the same of two fields, with attention") {
  check_sns_forward("emulator_sns_qg.h5", test::golden_sns_qg_config());
}

namespace {

/// Output of every block of the network for the first sample, under the name of its module.
std::map<std::string, torch::Tensor> outputs_of_modules(SnsNetImpl& net, const torch::Tensor& x) {
  const auto modules = net.named_modules("", /*include_self=*/false);
  const Encoded encoded = net.encode(x);
  const SnsLogits logits = net.heads(encoded);
  std::map<std::string, torch::Tensor> outputs{{"image_proj", encoded.skips[0]},
                                               {"middle", encoded.bottleneck},
                                               {"regressor_block_1", logits.past},
                                               {"regressor_block_2", logits.present}};
  for (std::size_t k = 1; k < encoded.skips.size(); ++k)
    outputs["down." + std::to_string(k - 1)] = encoded.skips[k];
  outputs["middle.res1"] = modules["middle.res1"]->as<blocks::ResidualBlock>()->forward(encoded.skips.back());
  outputs["middle.attn"] =
      modules.contains("middle.attn")
          ? modules["middle.attn"]->as<blocks::Attention>()->forward(outputs["middle.res1"])
          : outputs["middle.res1"];
  const auto embedding = [&](const std::string& name, const torch::Tensor& scores) {
    const auto layer = [&](const char* number, const torch::Tensor& input) {
      return at::gelu(modules[name + number]->as<blocks::Linear>()->forward(input));
    };
    return layer("2", layer("1", at::softmax(scores, 1)));
  };
  const std::vector<torch::Tensor> embeddings{embedding("first_mlp", logits.past),
                                              embedding("second_mlp", logits.present)};
  torch::Tensor h = encoded.bottleneck;
  auto skip = encoded.skips.rbegin();
  for (int k = 0; modules.contains("up." + std::to_string(k)); ++k) {
    const std::string name = "up." + std::to_string(k);
    if (const auto* stage = modules[name]->as<blocks::Stage>())
      h = stage->forward(at::cat({h, *skip++}, 1), embeddings);
    else
      h = modules[name]->as<blocks::Upsample>()->forward(h);
    outputs[name] = h;
  }
  return outputs;
}

}  // namespace

TEST_CASE("SNS network: the outputs of single modules, as far as the record has them") {
  torch::set_num_threads(1);
  const torch::NoGradGuard no_grad;
  struct Record {
    const char* name;
    ModelConfig config;
    std::size_t kept;  ///< modules in the reduced file; the whole one has ten
  };
  for (const auto& [name, config, kept] : {Record{"emulator_sns.h5", test::golden_sns_config(), 2},
                                           Record{"emulator_sns_qg.h5", test::golden_sns_qg_config(), 3}}) {
    CAPTURE(name);
    const auto file = h5::File::open_read(test::golden_file(name));
    Sns sns(config, 0, torch::kCPU);
    test::load_golden_weights(sns.network(), file);
    const auto outputs = outputs_of_modules(sns.net(), golden(file, "forward/x").narrow(0, 0, 1));
    const auto probes = file.group("forward/probe").names();
    CHECK(probes.size() == (test::whole_golden() ? 10 : kept));
    for (const std::string& module : probes) {
      CAPTURE(module);
      CHECK(test::image_error(outputs.at(module), file, "forward/probe/" + module) < tolerance::kForward);
    }
  }
}

TEST_CASE("thermalizer network: noise estimate, logits, predicted levels") {
  torch::set_num_threads(1);
  const auto file = h5::File::open_read(test::golden_file("emulator_thermalizer.h5"));
  Thermalizer thermalizer(test::golden_thermalizer_config(), 0, torch::kCPU);
  test::load_golden_weights(thermalizer.network(), file);
  const torch::NoGradGuard no_grad;
  const torch::Tensor x = golden(file, "forward/x");
  const ThermalizerOutput out = thermalizer.net().forward(x);
  CHECK(relative_error(out.noise, golden(file, "forward/eps")) < tolerance::kForward);
  CHECK(relative_error(out.logits, golden(file, "forward/logits")) < tolerance::kForward);
  CHECK(torch::equal(thermalizer.net().denoise(x), out.noise));
  const torch::Tensor best = golden(file, "forward/argmax", true);
  const auto levels = thermalizer.levels(x);
  for (std::size_t b = 0; b < levels.size(); ++b) {
    CHECK(levels[b].past == -1);
    CHECK(levels[b].present == best[static_cast<std::int64_t>(b)].item<std::int64_t>());
  }
}

TEST_CASE("embedding of the diffusion level") {
  const auto file = h5::File::open_read(test::golden_file("emulator_acdm.h5"));
  const torch::Tensor sinus = golden(file, "embedding/sinus");
  CHECK(relative_error(blocks::sinusoidal_embedding(golden(file, "embedding/s", true), 64), sinus) <
        tolerance::kForward);
}

TEST_CASE("the networks' gelu is the one with erf") {
  const auto file = h5::File::open_read(test::golden_file("emulator_attention.h5"));
  CHECK(relative_error(at::gelu(golden(file, "gelu/x")), golden(file, "gelu/y_erf")) < tolerance::kForward);
}

TEST_CASE("attention block, both softmax axes") {
  const auto file = h5::File::open_read(test::golden_file("emulator_attention.h5"));
  const torch::NoGradGuard no_grad;
  for (const bool keys : {false, true}) {
    blocks::Attention attention(16, keys);
    for (auto& item : attention.named_parameters()) item.value().copy_(golden(file, "weights/" + item.key()));
    const std::string expected = keys ? "y_repaired_softmax_over_keys" : "y_reference_softmax_over_queries";
    CHECK(relative_error(attention.forward(golden(file, "x")), golden(file, expected)) < tolerance::kForward);
  }
}
