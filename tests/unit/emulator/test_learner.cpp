#include "tests/support/torch_doctest.hpp"

#include "core/random.hpp"
#include "emulator/failures.hpp"
#include "emulator/flop_counter.hpp"
#include "emulator/models/acdm.hpp"
#include "emulator/models/gaussian.hpp"
#include "emulator/models/sns.hpp"
#include "emulator/models/thermalizer.hpp"
#include "emulator/nets/periodic.hpp"
#include "emulator/nets/unet.hpp"
#include "emulator/training/learner.hpp"
#include "emulator/training/precision.hpp"
#include "tests/support/small_training.hpp"

#include <ATen/Context.h>
#include <ATen/Functions.h>

#include <stdexcept>

using namespace sns;
using namespace sns::test;

namespace {

constexpr int kPoints = 8;

torch::Tensor normal(at::IntArrayRef shape, std::uint64_t stream) {
  torch::Tensor x = torch::empty(shape);
  RandomStream(5, Purpose::emulator_noise, stream)
      .fill_normal({x.data_ptr<float>(), static_cast<std::size_t>(x.numel())});
  return x;
}

bool is_float(const torch::Tensor& tensor) {
  return tensor.scalar_type() == torch::kFloat32;
}

ModelConfig small_model(const std::string& kind) {
  ModelConfig config = small_spec(kind).model;
  config.image = kPoints;
  config.field_std = {1.0};
  return config;
}

/// Products of the small surrogate of one field: 8 x 8 points, 2 channels on both levels, one block.
constexpr double kFine = 8 * 8, kCoarse = 4 * 4;
constexpr double kFirst = kFine * 9 * 1 * 2;
constexpr double products_of_small_unet() {
  const auto block = [](double pixels) { return 2 * pixels * 9 * 2 * 2; };  // 2 -> 2 -> 2
  const auto joined = [](double pixels) {
    return pixels * (9 * 4 * 2 + 9 * 2 * 2 + 4 * 2);
  };  // with a shortcut
  const double down = block(kFine) + kCoarse * 9 * 2 * 2 + block(kCoarse);
  const double middle = 2 * block(kCoarse);
  const double up = 2 * joined(kCoarse) + kCoarse * 16 * 2 * 2 + 2 * joined(kFine);
  return kFirst + down + middle + up + kFine * 9 * 2 * 1;
}

/// One batch of constant length for a task-free loss.
class OneLoss : public TrainingTask {
 public:
  explicit OneLoss(GaussianEmulator& model) : model_(model) {}
  std::uint64_t windows() const override { return 1; }
  Batch make_batch(std::int64_t, std::int64_t, int) override {
    return {normal({3, 2, 1, kPoints, kPoints}, 1), {}, {}, {}};
  }
  BatchLoss loss(const Batch& batch) override {
    const GaussianLoss loss = model_.loss(batch.frames, 1, {}, {});
    return {loss.total, {{"mse", loss.mse}}};
  }
  Metrics validate() override { return {}; }

 private:
  GaussianEmulator& model_;
};

}  // namespace

TEST_CASE("operations of a network and of its training step are those counted by hand") {
  GaussianEmulator model(small_model("gaussian"), 1, torch::kCPU);
  const torch::Tensor x = normal({3, 1, kPoints, kPoints}, 0);
  const double forward = 2 * products_of_small_unet();
  {
    const FlopCounter counter;
    model.step(x);
    CHECK(counter.count() == 3 * forward);
    model.step(x.narrow(0, 0, 1));
    CHECK(counter.count() == 4 * forward);
  }
  OneLoss task(model);
  const TrainingConfig config;
  Learner learner(model, config);
  const Batch batch = task.make_batch(0, 0, 0);
  const FlopCounter counter;
  learner.add_gradient(task, batch, 1, false);
  // Twice as much backward, but for the gradient of the frames themselves.
  CHECK(counter.count() == 3 * (3 * forward - 2 * kFirst));
}

TEST_CASE("operations of matrix products, and of convolutions in groups") {
  const FlopCounter counter;
  double expected = 0;
  const auto add = [&](double products) {
    expected += 2 * products;
    CHECK(counter.count() == expected);
  };
  at::mm(at::ones({2, 3}), at::ones({3, 5}));
  add(2 * 3 * 5);
  at::linear(at::ones({4, 3}), at::ones({7, 3}), at::ones({7}));
  add(4 * 3 * 7);
  at::bmm(at::ones({6, 2, 3}), at::ones({6, 3, 5}));
  add(6 * 2 * 3 * 5);
  at::conv2d(at::ones({2, 4, 9, 9}), at::ones({6, 2, 3, 3}), {}, /*stride=*/2, /*padding=*/1, /*dilation=*/1,
             /*groups=*/2);
  add(2 * 5 * 5 * 6 * 2 * 9);
  at::conv_transpose2d(at::ones({2, 4, 5, 5}), at::ones({4, 3, 4, 4}), {}, /*stride=*/2, /*padding=*/1);
  add(2 * 5 * 5 * 4 * 3 * 16);
}

TEST_CASE("the paper's surrogate takes 46.7 GFLOP for a state of 64 x 64 points") {
  UNetImpl net{UNetConfig()};  // the defaults are its sizes
  const torch::NoGradGuard no_grad;
  for (torch::Tensor& parameter : net.parameters()) parameter.fill_(0.01F);
  const FlopCounter counter;
  net.forward(torch::zeros({1, 1, 64, 64}));
  CHECK(1e-9 * counter.count() == test::relative(46.7).epsilon(0.002));  // PyTorch's FlopCounterMode
}

TEST_CASE("under autocast, losses and schedules are those of float32 numbers") {
  const Autocast autocast(true, torch::kCPU);
  const auto levels = at::tensor(std::vector<std::int64_t>{3, 12});
  SUBCASE("gaussian") {
    GaussianEmulator model(small_model("gaussian"), 1, torch::kCPU);
    const torch::Tensor window = normal({2, 2, 1, kPoints, kPoints}, 2);
    const torch::Tensor change = dynamic_cast<UNetImpl&>(model.network()).forward(window.select(1, 0));
    REQUIRE_FALSE(is_float(change));
    const GaussianLoss loss = model.loss(window, 1, {}, {});
    CHECK(is_float(loss.total));
    const torch::Tensor target = window.select(1, 1) - window.select(1, 0);
    CHECK(loss.mse.item<float>() == (change.to(torch::kFloat32) - target).square().mean().item<float>());
  }
  SUBCASE("sns") {
    Sns model(small_model("sns"), 1, torch::kCPU);
    const torch::Tensor clean = normal({2, 3, kPoints, kPoints}, 3),
                        noise = normal({2, 2, kPoints, kPoints}, 4);
    const auto both = at::stack({levels, levels}, 1);
    const SnsOutput out = model.estimate(clean, both);
    CHECK(is_float(out.noise));
    CHECK(is_float(out.logits.past));
    CHECK(is_float(out.logits.present));
    const auto one_clean = at::stack({at::tensor({Levels::kClean, 1}, torch::kInt64), levels}, 1);
    for (const SnsLoss& loss : {model.loss(clean, both, noise, 0.1),
                                model.loss(clean, one_clean, noise, 0.1, {}, /*clean_pasts=*/true)})
      for (const torch::Tensor& value : {loss.total, loss.mse, loss.ce_past, loss.ce_present})
        CHECK(is_float(value));
  }
  SUBCASE("thermalizer") {
    Thermalizer model(small_model("thermalizer"), 1, torch::kCPU);
    const torch::Tensor clean = normal({2, 1, kPoints, kPoints}, 5),
                        noise = normal({2, 1, kPoints, kPoints}, 6);
    const ThermalizerOutput out = model.estimate(clean, levels);
    CHECK(is_float(out.noise));
    CHECK(is_float(out.logits));
    CHECK(is_float(model.loss(clean, levels, noise, 0.1).total));
  }
  SUBCASE("acdm") {
    Acdm model(small_model("acdm"), 1, torch::kCPU);
    const torch::Tensor clean = normal({2, 2, kPoints, kPoints}, 7),
                        noise = normal({2, 2, kPoints, kPoints}, 8);
    CHECK(is_float(model.noise_estimate(clean, levels)));
    CHECK(is_float(model.loss(clean, levels, noise).total));
  }
}

TEST_CASE("gradients of bfloat16 forward passes, weights and moments are float32") {
  GaussianEmulator model(small_model("gaussian"), 1, torch::kCPU);
  OneLoss task(model);
  TrainingConfig config;
  config.clip_norm = 1.0;
  Learner learner(model, config);
  const Batch batch = task.make_batch(0, 0, 0);
  learner.zero_gradients();
  const Metrics exact = learner.add_gradient(task, batch, 1, false);
  const torch::Tensor gradient = learner.parameters.gradients().clone();
  learner.zero_gradients();
  const Metrics rough = learner.add_gradient(task, batch, 1, true);
  for (const torch::Tensor& tensor : {learner.parameters.values(), learner.parameters.gradients(),
                                      learner.optimizer.first_moment, learner.optimizer.second_moment})
    CHECK(is_float(tensor));
  const double error = ((learner.parameters.gradients() - gradient).norm() / gradient.norm()).item<double>();
  CHECK(error > 1e-5);  // it was in bfloat16,
  CHECK(error < 0.05);  // which keeps eight bits
  CHECK(metric(rough, "loss") == test::relative(metric(exact, "loss")).epsilon(0.02));
  // Parts of a larger batch count for their share.
  learner.zero_gradients();
  for (int part = 0; part < 4; ++part) learner.add_gradient(task, batch, 4, false);
  CHECK(at::allclose(learner.parameters.gradients(), gradient, 1e-5, 1e-7));
  CHECK(metric(exact, "mse") == metric(exact, "loss"));
}

TEST_CASE("averages of all parameters at once are those of one after the other, bit for bit") {
  GaussianEmulator model(small_model("gaussian"), 1, torch::kCPU);
  Ema ema(model.network(), 0.9);
  std::vector<torch::Tensor> expected;
  for (const auto& [name, shadow] : ema.shadow()) expected.push_back(shadow.clone());
  const torch::NoGradGuard no_grad;
  for (std::uint64_t step = 0; step < 3; ++step) {
    auto parameters = model.network().parameters();
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      parameters[i].add_(normal(parameters[i].sizes(), 100 * step + i), 0.1);
      expected[i].mul_(0.9).add_(parameters[i], 1.0 - 0.9);
    }
    ema.update();
  }
  for (std::size_t i = 0; i < expected.size(); ++i) CHECK(ema.shadow()[i].second.equal(expected[i]));
}

TEST_CASE("a batch for the CPU is staged where it lies") {
  const Batch batch{normal({2, 3}, 0), {}, at::ones({2}, torch::kInt64), {}};
  const Batch staged = batch.staged_for(torch::kCPU), moved = staged.to(torch::kCPU);
  CHECK(staged.frames.data_ptr() == batch.frames.data_ptr());
  CHECK(moved.levels.data_ptr() == batch.levels.data_ptr());
  CHECK_FALSE(moved.noise.defined());
}

TEST_CASE("periodic convolutions from PyTorch's operations are the suite's own, in either order of memory") {
  for (const auto format : {at::MemoryFormat::Contiguous, at::MemoryFormat::ChannelsLast})
    for (const int stride : {1, 2}) {
      CAPTURE(stride);
      std::vector<torch::Tensor> ours{normal({2, 3, 6, 8}, 1), normal({5, 3, 3, 3}, 2), normal({5}, 3)}, theirs;
      for (torch::Tensor& tensor : ours) {
        theirs.push_back(tensor.clone().requires_grad_(true));
        tensor.requires_grad_(true);
      }
      const torch::Tensor own = periodic_convolution(ours[0], ours[1], ours[2], stride, format),
                          composed =
                              composed_periodic_convolution(theirs[0], theirs[1], theirs[2], stride, format);
      CHECK(composed.is_contiguous(format));
      CHECK(at::allclose(own, composed, 1e-5, 1e-5));
      const torch::Tensor weight = normal(own.sizes(), 4);
      (own * weight).sum().backward();
      (composed * weight).sum().backward();
      for (std::size_t i = 0; i < ours.size(); ++i)
        CHECK(at::allclose(ours[i].grad(), theirs[i].grad(), 1e-4, 1e-4));
    }
}

TEST_CASE("failures of LibTorch are one line, and want of memory comes with what helps") {
  const auto text_of = [](const auto& action) -> std::string {
    try {
      action();
    } catch (const std::exception& error) {
      return failure_text(error);
    }
    return "no exception";
  };
  const std::string host = text_of([] { at::empty({1LL << 60}); });
  CHECK(host.starts_with("not enough memory for the networks: "));
  CHECK(host.find("can't allocate memory") != std::string::npos);
  const std::string device = text_of([] {
    TORCH_CHECK_WITH(OutOfMemoryError, false,
                     "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has 1.00 GiB free. ",
                     "If reserved but unallocated memory is large try setting PYTORCH_ALLOC_CONF.\nMore.");
  });
  CHECK(device ==
        "not enough memory for the networks: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has 1.00 "
        "GiB free; "
        "take a smaller training.batch (training.accumulate makes up for it), fewer rollout.members, a smaller "
        "training.memory_budget_gib, or precision bfloat16");
  const std::string other = text_of([] { at::empty({2, 3}).view({7}); });
  CHECK(other.starts_with("LibTorch: shape '[7]' is invalid"));
  for (const std::string& text : {host, device, other}) CHECK(text.find('\n') == std::string::npos);
  CHECK(text_of([] { throw std::runtime_error("no disk"); }) == "no disk");
}

TEST_CASE("cuDNN times its convolutions for a time") {
  const bool before = at::globalContext().benchmarkCuDNN();
  {
    const TimedConvolutions timed;
    CHECK(at::globalContext().benchmarkCuDNN());
  }
  CHECK(at::globalContext().benchmarkCuDNN() == before);
}

TEST_CASE("the order of memory on GPUs is chosen for a time") {
  CHECK_FALSE(ChannelsLast::chosen());
  {
    const ChannelsLast last(true);
    CHECK(ChannelsLast::chosen());
    {
      const ChannelsLast first(false);
      CHECK_FALSE(ChannelsLast::chosen());
    }
    CHECK(ChannelsLast::chosen());
  }
  CHECK_FALSE(ChannelsLast::chosen());
}
