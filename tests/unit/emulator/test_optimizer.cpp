// Learning-rate schedules, AdamW, clipping and accumulation.
#include "tests/support/torch_doctest.hpp"

#include "emulator/models/model.hpp"
#include "emulator/nets/blocks.hpp"
#include "emulator/training/optimizer.hpp"
#include "emulator/training/trainer.hpp"
#include "tests/support/scratch.hpp"
#include "tests/support/small_training.hpp"
#include "tests/support/synthetic_dataset.hpp"

#include <torch/nn/modules/linear.h>
#include <torch/optim/adamw.h>

using namespace sns;
using namespace sns::test;

TEST_CASE("learning rates follow their schedules") {
  TrainingConfig config;
  config.steps = 1000;
  config.learning_rate = 1.0;
  config.schedule.name = "constant";
  CHECK(learning_rate(config, 999) == 1.0);
  config.schedule = {.name = "step", .size = 100, .gamma = 0.5};
  CHECK(learning_rate(config, 99) == 1.0);
  CHECK(learning_rate(config, 100) == 0.5);
  CHECK(learning_rate(config, 250) == 0.25);
  config.schedule = {.name = "cosine"};
  CHECK(learning_rate(config, 0) == 1.0);
  CHECK(learning_rate(config, 500) == test::relative(0.5));
  CHECK(std::abs(learning_rate(config, 1000)) < 1e-12);
  config.schedule.warmup = 200;
  CHECK(learning_rate(config, 0) == test::relative(1.0 / 201));
  CHECK(learning_rate(config, 199) == test::relative(200.0 / 201));
  CHECK(learning_rate(config, 600) == test::relative(0.5));
}

TEST_CASE("the flat AdamW equals PyTorch's") {
  torch::manual_seed(0);
  torch::nn::Linear ours(5, 3), theirs(5, 3);
  {
    const torch::NoGradGuard no_grad;
    theirs->weight.copy_(ours->weight);
    theirs->bias.copy_(ours->bias);
  }
  FlatParameters parameters(*ours);
  CHECK(parameters.count() == 18);
  AdamW optimizer(parameters, 0.05);
  torch::optim::AdamW reference(theirs->parameters(), torch::optim::AdamWOptions(1e-2).weight_decay(0.05));
  const auto x = torch::linspace(-1, 1, 20).view({4, 5});
  for (int i = 0; i < 20; ++i) {
    parameters.zero_gradients();
    ours->forward(x).square().mean().backward();
    optimizer.step(1e-2);
    reference.zero_grad();
    theirs->forward(x).square().mean().backward();
    reference.step();
  }
  // 20 updates of size 1e-2 in float32.
  CHECK((ours->weight - theirs->weight).abs().max().item<double>() < 1e-6);
  CHECK((ours->bias - theirs->bias).abs().max().item<double>() < 1e-6);
}

TEST_CASE("parameters that no gradient reaches are not decayed, as in PyTorch") {
  blocks::Attention attention(4, true);
  {
    const torch::NoGradGuard no_grad;
    for (torch::Tensor& parameter : attention.parameters()) parameter.fill_(1);
  }
  FlatParameters parameters(attention);
  AdamW optimizer(parameters, 0.5);
  for (int i = 0; i < 3; ++i) optimizer.step(0.1);
  const auto by_name = attention.named_parameters();
  for (const char* name : {"norm.weight", "norm.bias"}) CHECK(by_name[name].eq(1).all().item<bool>());
  for (const char* name : {"projection.weight", "output.bias"})
    CHECK(by_name[name].detach().flatten()[0].item<double>() == test::relative(0.95 * 0.95 * 0.95));
}

TEST_CASE("gradients are clipped by norm and by value") {
  torch::nn::Linear layer(3, 1);
  FlatParameters parameters(*layer);
  AdamW optimizer(parameters, 0);
  const auto set = [&] {
    parameters.zero_gradients();
    layer->weight.mutable_grad().copy_(torch::tensor({{3.0F, -4.0F, 0.0F}}));
  };
  set();
  CHECK(optimizer.clip(1.0, std::nullopt) == test::relative(5.0));
  CHECK(parameters.gradients().norm().item<double>() == test::relative(1.0).epsilon(1e-5));
  set();
  CHECK(optimizer.clip(10.0, 0.5) == test::relative(5.0));
  CHECK(parameters.gradients().abs().max().item<double>() == test::relative(0.5));
  CHECK(layer->weight.grad()[0][1].item<double>() == test::relative(-0.5));
}

TEST_CASE("two half batches make the optimiser step of a whole one") {
  ScratchFolder scratch;
  write_synthetic_dataset(scratch / "dataset");
  auto spec = small_spec("gaussian");  // whose samples depend on their place in the epoch alone
  spec.training.steps = 5;
  spec.training.validate_every = 5;
  spec.training.batch = 8;
  train_model(spec, scratch / "dataset", scratch / "whole", cpu_run());
  spec.training.batch = 4;
  spec.training.accumulate = 2;
  train_model(spec, scratch / "dataset", scratch / "halves", cpu_run());
  const auto weights = [&](const char* folder) {
    return load_model(scratch / folder, Weights::raw, torch::kCPU)->network().named_parameters();
  };
  const auto whole = weights("whole"), halves = weights("halves");
  auto start = make_model(load_model(scratch / "whole", Weights::raw, torch::kCPU)->config(), 7, torch::kCPU);
  for (const auto& item : whole) {
    CAPTURE(item.key());
    const double moved =
        (item.value() - start->network().named_parameters()[item.key()]).abs().max().item<double>();
    CHECK(moved > 1e-3);
    CHECK((item.value() - halves[item.key()]).abs().max().item<double>() < 1e-2 * moved);
  }
  CHECK(contains(read_text(scratch / "halves/model_card.md"), "5 of batch 8"));
}
