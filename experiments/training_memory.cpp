#include "experiments/training_memory.hpp"

#include "emulator/device.hpp"
#include "emulator/memory_counter.hpp"
#include "emulator/nets/unet.hpp"
#include "emulator/training/optimizer.hpp"
#include "emulator/training/precision.hpp"
#include "emulator/training/task.hpp"
#include "experiments/noise_frames.hpp"

#include <c10/core/Device.h>

#include <algorithm>
#include <utility>

namespace sns {
namespace {

constexpr std::uint64_t kSeed = 1;  // memory does not depend on it

/// What a pass of `batch` samples holds beside weights and gradients, at most.
double memory_of_pass(Model& model, const TrainingFrames& frames, TrainingConfig config, int batch,
                      MemoryCounter& counter) {
  config.batch = batch;
  const auto task = make_task(model, config, frames, nullptr, kSeed);
  const std::int64_t before = counter.held();
  counter.restart();
  const Batch samples = task->make_batch(config.steps - 1, 0, 0).to(model.device());
  torch::Tensor loss;
  {
    // What ends in float32 takes most there.
    const Autocast autocast(config.precision == "bfloat16" && config.bf16_fraction == 1, model.device());
    loss = task->loss(samples).total;
  }
  loss.backward();
  return static_cast<double>(counter.peak() - before);
}

/// The same for the batch of the training.
double memory_of_batch(Model& model, const TrainingFrames& frames, const TrainingConfig& config,
                       MemoryCounter& counter) {
  // As training has them: what convolutions take beside their results depends on how they are computed.
  const TensorFloat32 products(config.precision == "tf32");
  const ChannelsLast order(config.channels_last);
  const TimedConvolutions timed;
  // Convolutions of a single small sample go another way than those of more; mixed pasts come in pairs. A
  // device's allocator rounds up, which few samples would multiply, and its libraries keep what they take for
  // their first pass.
  const bool on_device = model.device().is_cuda();
  const int few = on_device ? 8 : 2, more = on_device ? 16 : config.levels.past == "mixed" ? 4 : 3;
  if (on_device) memory_of_pass(model, frames, config, few, counter);
  if (config.batch <= more) return memory_of_pass(model, frames, config, config.batch, counter);
  const double of_few = memory_of_pass(model, frames, config, few, counter);
  const double of_more = memory_of_pass(model, frames, config, more, counter);
  return of_few + (config.batch - few) * std::max(0.0, of_more - of_few) / (more - few);
}

TensorMemory measure(const ModelSpec& spec, const torch::Device& device, double available) {
  // Whoever asks what fits must not be ended by the system for it.
  constexpr double kNoLimit = 9e18;  // what is available may be unknown
  MemoryCounter counter(static_cast<std::int64_t>(device.is_cpu() ? std::min(available, kNoLimit) : kNoLimit));
  try {
    ModelConfig config = spec.model;
    config.field_std.assign(static_cast<std::size_t>(config.field_channels), 1.0);
    const auto model = make_model(config, kSeed, device);
    const FlatParameters parameters(model->network());  // with its gradients in place
    const NoiseFrames frames(config.field_channels, config.image, longest_window(spec) + 1);
    // Weights, gradients, two moments and the average, float32.
    const double buffers = 5.0 * static_cast<double>(parameters.count()) * sizeof(float);
    return {buffers + memory_of_batch(*model, frames, spec.training, counter), false};
  } catch (const MemoryLimit&) {
    return {available, true};
  } catch (const c10::OutOfMemoryError&) {
    return {static_cast<double>(counter.peak()), true};
  }
}

}  // namespace

TrainingMemory::TrainingMemory(std::string device, double available)
    : device_(std::move(device)), available_(available) {}

TensorMemory TrainingMemory::of(const ModelSpec& spec) {
  const auto [entry, is_new] =
      known_.try_emplace(fmt::format("{}\n{} {}\n{}", to_yaml(spec.model), spec.model.field_channels,
                                     spec.model.image, training_identity(spec.training, kSeed)));
  if (is_new) entry->second = measure(spec, pick_device(device_), available_);
  return entry->second;
}

}  // namespace sns
