#include "experiments/training_memory.hpp"

#include "emulator/memory_counter.hpp"
#include "emulator/nets/unet.hpp"
#include "emulator/training/optimizer.hpp"
#include "emulator/training/precision.hpp"
#include "emulator/training/task.hpp"
#include "experiments/noise_frames.hpp"

namespace sns {
namespace {

/// What a pass of `batch` samples holds beside weights and gradients, at most.
double memory_of_pass(Model& model, const TrainingFrames& frames, TrainingConfig config, int batch,
                      MemoryCounter& counter) {
  config.batch = batch;
  const auto task = make_task(model, config, frames, nullptr, 1);
  const std::int64_t last = config.steps - 1;
  const std::int64_t before = counter.held();
  counter.restart();
  const Batch samples = task->make_batch(last, 0, 0).to(model.device());
  torch::Tensor loss;
  {
    // What ends in float32 takes most there.
    const Autocast autocast(config.precision == "bfloat16" && config.bf16_fraction == 1, model.device());
    loss = task->loss(samples).total;
  }
  loss.backward();
  return static_cast<double>(counter.peak() - before);
}

}  // namespace

double training_memory(const ModelSpec& spec, const torch::Device& device) {
  MemoryCounter counter;  // before all that it counts
  ModelConfig config = spec.model;
  if (config.field_std.empty()) config.field_std = std::vector<double>(config.field_channels, 1.0);
  const auto model = make_model(config, 1, device);
  const FlatParameters parameters(model->network());
  const NoiseFrames frames(config.field_channels, config.image, longest_window(spec) + 1);
  const ChannelsLast order(spec.training.channels_last);
  // Convolutions of a single small sample go another way than those of more; mixed pasts come in pairs.
  const int few = 2, more = spec.training.levels.past == "mixed" ? 4 : 3;
  const double of_few = memory_of_pass(*model, frames, spec.training, few, counter);
  const double per_sample =
      (memory_of_pass(*model, frames, spec.training, more, counter) - of_few) / (more - few);
  // Weights, gradients, two moments and the average, float32.
  const double buffers = 5.0 * static_cast<double>(parameters.count()) * sizeof(float);
  return buffers + of_few + (spec.training.batch - few) * per_sample;
}

}  // namespace sns
