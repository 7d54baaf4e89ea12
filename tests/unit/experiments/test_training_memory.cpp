#include "tests/support/torch_doctest.hpp"

#include "emulator/memory_counter.hpp"
#include "emulator/training/learner.hpp"
#include "experiments/noise_frames.hpp"
#include "experiments/training_memory.hpp"
#include "tests/support/small_training.hpp"

#include <ATen/Functions.h>

#include <optional>

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
    learner.add_gradient(*task, task->make_batch(spec.training.steps - 1, step, 0), 1, false);
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

TEST_CASE("what a training holds is known before it runs") {
  for (const char* kind : {"gaussian", "thermalizer", "acdm", "sns"}) {
    for (const bool special : {false, true}) {
      ModelSpec spec = small_spec(kind);
      CAPTURE(spec.name);
      CAPTURE(special);
      spec.model.network.hidden = 16;
      spec.model.network.head_features = 64;
      spec.model.image = 32;
      spec.model.field_channels = 2;
      spec.model.field_std = {1.0, 1.0};
      spec.training.batch = special ? 6 : 24;
      if (special) {
        if (spec.model.kind == "sns") spec.training.levels.past = "mixed";
        spec.training.rollout.max_length = kind == std::string("gaussian") ? 3 : 1;
        spec.training.rollout.steps_per_length = 5;
      }
      const double held = memory_of_steps(spec), said = training_memory(spec, torch::kCPU);
      CHECK(said == doctest::Approx(held).epsilon(0.02));
      if (spec.training.rollout.max_length > 1) {
        ModelSpec one_step = spec;
        one_step.training.rollout.max_length = 1;
        CHECK(said > 2 * training_memory(one_step, torch::kCPU));
      }
    }
  }
}
