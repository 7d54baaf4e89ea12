// Losses, gradients and one optimiser step against the reference's.
#include "emulator/models/acdm.hpp"
#include "emulator/models/gaussian.hpp"
#include "emulator/models/sns.hpp"
#include "emulator/models/thermalizer.hpp"
#include "emulator/training/ema.hpp"
#include "emulator/training/optimizer.hpp"
#include "tests/golden/golden_models.hpp"
#include "tests/support/emulator_tolerances.hpp"
#include "tests/support/golden_network.hpp"
#include "tests/support/torch_doctest.hpp"

#include <torch/utils.h>

#include <cmath>

using namespace sns;
using test::golden;
using test::golden_scalar;
using test::relative_error;

namespace {

double gradient_norm(const torch::nn::Module& module) {
  double squares = 0;
  for (const auto& p : module.parameters())
    if (p.grad().defined()) squares += p.grad().to(torch::kFloat64).square().sum().item<double>();
  return std::sqrt(squares);
}

/// Loss, its parts and the gradient of every parameter, of a network with the file's weights.
void check_loss_and_gradients(Sns& sns, const h5::File& file) {
  torch::nn::Module& network = sns.network();
  auto parameters = network.named_parameters();
  const torch::Tensor levels =
      torch::stack({golden(file, "train/s_short", true), golden(file, "train/s_t", true)}, 1);
  const SnsLoss loss = sns.loss(golden(file, "train/x_clean"), levels, golden(file, "train/noise"), 0.1);
  const auto close = [&](const torch::Tensor& value, const char* path) {
    CAPTURE(path);
    CHECK(relative_error(value.item<double>(), golden_scalar(file, path)) < tolerance::kLoss);
  };
  close(loss.total, "train/loss");
  close(loss.mse, "train/mse");
  close(loss.ce_past, "train/ce_short");
  close(loss.ce_present, "train/ce_t");

  loss.total.backward();
  for (const auto& name : file.group("train/grad").names()) {
    CAPTURE(name);
    CHECK(relative_error(parameters[name].grad(), golden(file, "train/grad/" + name)) < tolerance::kForward);
  }
  const auto norms = test::golden_gradient_norms(file);
  for (const std::string& name : test::golden_parameter_order(file)) {
    CAPTURE(name);
    const torch::Tensor gradient = parameters[name].grad();  // none for parameters that do nothing
    const auto norm = norms.find(name);
    CHECK(relative_error(gradient.defined() ? gradient.norm().item<double>() : 0,
                         norm == norms.end() ? 0 : norm->second) < tolerance::kParameterGradient);
  }
  CHECK(relative_error(gradient_norm(network), golden_scalar(file, "train/grad_norm_before_clip")) <
        tolerance::kLoss);
}

}  // namespace

TEST_CASE("Gaussian emulator: two-step curriculum loss and its gradient") {
  torch::set_num_threads(1);
  const auto file = h5::File::open_read(test::golden_file("emulator_gaussian.h5"));
  GaussianEmulator emulator(test::golden_gaussian_config(), 0, torch::kCPU);
  test::load_golden_weights(emulator.network(), file);
  const torch::Tensor noise = (golden(file, "train/noise") * golden_scalar(file, "train/sigma")).unsqueeze(1);
  const torch::Tensor window = golden(file, "train/window"), loss = emulator.loss(window, 2, noise).total;
  const double second = loss.item<double>() - emulator.loss(window.narrow(1, 0, 2), 1).total.item<double>();
  CHECK(relative_error(second, golden_scalar(file, "train/loss_step2")) < tolerance::kLoss);
  CHECK(relative_error(loss.item<double>(), golden_scalar(file, "train/loss")) < tolerance::kLoss);
  loss.backward();
  CHECK(relative_error(gradient_norm(emulator.network()), golden_scalar(file, "train/grad_norm")) <
        tolerance::kLoss);
  CHECK(relative_error(emulator.network().named_parameters()["final.weight"].grad(),
                       golden(file, "train/grad/final.weight")) < tolerance::kForward);
}

TEST_CASE("thermalizer: loss and gradient norm") {
  torch::set_num_threads(1);
  const auto file = h5::File::open_read(test::golden_file("emulator_thermalizer.h5"));
  Thermalizer thermalizer(test::golden_thermalizer_config(), 0, torch::kCPU);
  test::load_golden_weights(thermalizer.network(), file);
  const ThermalizerLoss loss = thermalizer.loss(golden(file, "forward/x"), golden(file, "train/s", true),
                                                golden(file, "train/noise"), 1.0);
  CHECK(relative_error(loss.mse.item<double>(), golden_scalar(file, "train/mse")) < tolerance::kLoss);
  CHECK(relative_error(loss.ce.item<double>(), golden_scalar(file, "train/ce")) < tolerance::kLoss);
  loss.total.backward();
  CHECK(relative_error(gradient_norm(thermalizer.network()), golden_scalar(file, "train/grad_norm")) <
        tolerance::kLoss);
}

TEST_CASE("ACDM: noise estimate, loss and gradient norm") {
  torch::set_num_threads(1);
  const auto file = h5::File::open_read(test::golden_file("emulator_acdm.h5"));
  Acdm acdm(test::golden_acdm_config(), 0, torch::kCPU);
  test::load_golden_weights(acdm.network(), file);
  const torch::Tensor clean = golden(file, "train/x_clean"), levels = golden(file, "train/s", true),
                      noise = golden(file, "train/noise");
  const AcdmLoss loss = acdm.loss(clean, levels, noise);
  CHECK(relative_error(loss.mse.item<double>(), golden_scalar(file, "train/loss")) < tolerance::kLoss);
  loss.total.backward();
  CHECK(relative_error(gradient_norm(acdm.network()), golden_scalar(file, "train/grad_norm")) <
        tolerance::kLoss);
  const torch::NoGradGuard no_grad;
  const torch::Tensor noised = add_noise(acdm.schedule(), clean, levels, noise);
  CHECK(relative_error(acdm.noise_estimate(noised, levels), golden(file, "train/eps")) < tolerance::kForward);
}

namespace {

/// Loss and gradients, then clipping, one AdamW step and one step of the average, with the file's numbers.
void check_training_step(const char* name, const ModelConfig& config) {
  torch::set_num_threads(1);
  const auto file = h5::File::open_read(test::golden_file(name));
  Sns sns(config, 0, torch::kCPU);
  torch::nn::Module& network = sns.network();
  test::load_golden_weights(network, file);
  auto parameters = network.named_parameters();
  const FlatParameters flat(network);
  Ema ema(network, 0.999);
  AdamW optimiser(flat, 0.05);

  check_loss_and_gradients(sns, file);

  std::map<std::string, torch::Tensor> before;
  for (const auto& item : parameters) before[item.key()] = item.value().detach().clone();
  optimiser.clip(golden_scalar(file, "train/clip_norm"), std::nullopt);
  optimiser.step(5e-5);
  ema.update();
  std::map<std::string, torch::Tensor> shadow(ema.shadow().begin(), ema.shadow().end());
  for (const auto& parameter : file.group("train/after_one_adamw_step").names()) {
    CAPTURE(parameter);
    const torch::Tensor after = golden(file, "train/after_one_adamw_step/" + parameter);
    const double step = (after - before[parameter]).abs().max().item<double>();
    CHECK((parameters[parameter].detach() - after).abs().max().item<double>() <
          tolerance::kOptimiserStep * step);
    // The average moves by a thousandth of the step: some roundings of its weights, so that every one is
    // compared by itself, and it must show if nothing moves.
    const torch::Tensor averaged = golden(file, "train/ema_after_one_step/" + parameter);
    const torch::Tensor roundings = tolerance::kAveragedWeight * averaged.abs();
    CHECK(((shadow[parameter] - averaged).abs() <= roundings).all().item<bool>());
    CHECK(((before[parameter] - averaged).abs() > roundings).sum().item<std::int64_t>() > averaged.numel() / 2);
  }
}

}  // namespace

TEST_CASE("SNS: loss, gradients, clipping, one AdamW step and one EMA step") {
  check_training_step("emulator_sns.h5", test::golden_sns_config());
}

TEST_CASE("the same of two fields, with attention") {
  check_training_step("emulator_sns_qg.h5", test::golden_sns_qg_config());
}

TEST_CASE("SNS: noise estimate of the training batch") {
  for (const auto& [name, config] : {std::pair{"emulator_sns.h5", test::golden_sns_config()},
                                     std::pair{"emulator_sns_qg.h5", test::golden_sns_qg_config()}}) {
    CAPTURE(name);
    const auto file = h5::File::open_read(test::golden_file(name));
    Sns sns(config, 0, torch::kCPU);
    test::load_golden_weights(sns.network(), file);
    const torch::NoGradGuard no_grad;
    const std::int64_t c = config.field_channels;
    const auto clean = golden(file, "train/x_clean"), noise = golden(file, "train/noise");
    const auto past = add_noise(sns.schedule(), clean.narrow(1, c, c), golden(file, "train/s_short", true),
                                noise.narrow(1, 0, c)),
               present = add_noise(sns.schedule(), clean.narrow(1, 2 * c, c), golden(file, "train/s_t", true),
                                   noise.narrow(1, c, c));
    const auto x = torch::cat({clean.narrow(1, 0, c), past, present}, 1);
    CHECK(test::image_error(sns.net().forward(x).noise, file, "train/eps") < tolerance::kForward);
  }
}
