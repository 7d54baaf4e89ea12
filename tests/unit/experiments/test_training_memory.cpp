#include "tests/support/torch_doctest.hpp"

#include "emulator/memory_counter.hpp"
#include "emulator/training/learner.hpp"
#include "experiments/noise_frames.hpp"
#include "experiments/training_memory.hpp"
#include "tests/support/small_training.hpp"

#include <ATen/Functions.h>

#include <optional>
#include <string>

using namespace sns;
using namespace sns::test;

namespace {

/// The most that two steps of a training hold at once, all of it counted.
double memory_of_steps(const ModelSpec& spec) {
  MemoryCounter counter;
  const auto model = make_model(spec.model, 1, torch::kCPU);
  const NoiseFrames frames(spec.model.field_channels, spec.model.image, longest_window(spec) + 1);
  const auto task = make_task(*model, spec.training, frames, nullptr, 1);
  Learner learner(*model, spec.training);
  counter.restart();
  for (int step = 0; step < 2; ++step) {
    learner.zero_gradients();
    learner.add_gradient(*task, task->make_batch(spec.training.steps - 1, step, 0), 1,
                         spec.training.precision == "bfloat16");
    learner.clip();
    learner.update(1e-3);
  }
  return static_cast<double>(counter.peak());
}

}  // namespace

TEST_CASE("tensors are counted while they live") {
  std::optional<MemoryCounter> counter(std::in_place);
  torch::Tensor a = at::zeros({1000});
  CHECK(counter->held() == 4000);
  {
    const torch::Tensor b = at::zeros({500}, torch::kFloat64);
    CHECK(counter->held() == 8000);
  }
  CHECK(counter->held() == 4000);
  CHECK(counter->peak() == 8000);
  counter->restart();
  CHECK(counter->peak() == 4000);
  a.reset();
  CHECK(counter->held() == 0);
  CHECK(counter->peak() == 4000);
}

TEST_CASE("whoever holds more than the limit gets no tensor") {
  MemoryCounter counter(10000);
  const torch::Tensor a = at::zeros({1000});
  CHECK_THROWS_AS(at::zeros({2000}), MemoryLimit);
  CHECK(counter.held() == 4000);
  const torch::Tensor b = at::zeros({1500});
  CHECK(counter.held() == 10000);
}

namespace {

/// A training whose activations take many times what its weights do.
ModelSpec training_of(const std::string& kind, int batch) {
  ModelSpec spec = small_spec(kind);
  spec.model.network.hidden = 16;
  spec.model.network.head_features = 64;
  spec.model.image = 32;
  spec.model.field_channels = 2;
  spec.model.field_std = {1.0, 1.0};
  spec.training.batch = batch;
  return spec;
}

double said(const ModelSpec& spec) {
  const TensorMemory memory = TrainingMemory("cpu").of(spec);
  CHECK_FALSE(memory.or_more);
  return memory.bytes;
}

void check_what_is_said(const ModelSpec& spec) {
  CAPTURE(spec.name);
  CAPTURE(spec.training.batch);
  CHECK(said(spec) == doctest::Approx(memory_of_steps(spec)).epsilon(0.02));
}

}  // namespace

TEST_CASE("what a training holds is known before it runs") {
  for (const char* kind : {"gaussian", "thermalizer", "acdm", "sns"})
    for (const int batch : {1, 3, 24}) check_what_is_said(training_of(kind, batch));
  CHECK(said(training_of("sns", 24)) > 5 * said(training_of("sns", 3)));
}

TEST_CASE("what a training with more than the usual holds is known before it runs") {
  SUBCASE("rollouts that grow") {
    ModelSpec spec = training_of("gaussian", 6);
    const double one_step = said(spec);
    spec.training.rollout.max_length = 3;
    spec.training.rollout.steps_per_length = 5;
    spec.training.rollout.rms_penalty = 0.1;
    spec.training.rollout.whitening = 0.5;
    check_what_is_said(spec);
    CHECK(said(spec) > 2 * one_step);
  }
  SUBCASE("clean past frames in half of the samples") {
    ModelSpec spec = training_of("sns", 12);
    spec.training.levels.past = "mixed";
    check_what_is_said(spec);
  }
  SUBCASE("a forward pass in bfloat16") {
    ModelSpec spec = training_of("sns", 12);
    const double in_float32 = said(spec);
    spec.training.precision = "bfloat16";
    check_what_is_said(spec);
    CHECK(said(spec) < 0.9 * in_float32);
    spec.training.bf16_fraction = 0.5;  // and the rest in float32
    CHECK(said(spec) == in_float32);
  }
  SUBCASE("a lag") {
    ModelSpec spec = training_of("sns", 12);
    spec.model.network.lag = LagConfig{.window = 5, .embedding = 4};
    check_what_is_said(spec);
  }
}

TEST_CASE("a training that leaves no room to be measured is said to take more") {
  const ModelSpec spec = training_of("sns", 24);
  const double passes = said(spec) / 8;  // with three samples
  const TensorMemory memory = TrainingMemory("cpu", passes / 2).of(spec);
  CHECK(memory.or_more);
  CHECK(memory.bytes == passes / 2);
  CHECK(TrainingMemory("cpu", 2 * said(spec)).of(spec).bytes == said(spec));
}
