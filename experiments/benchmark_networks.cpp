#include "core/error.hpp"
#include "core/log.hpp"
#include "core/random.hpp"
#include "emulator/device.hpp"
#include "emulator/flop_counter.hpp"
#include "emulator/models/acdm.hpp"
#include "emulator/models/gaussian.hpp"
#include "emulator/models/sns.hpp"
#include "emulator/models/thermalizer.hpp"
#include "emulator/nets/initialise.hpp"
#include "emulator/training/learner.hpp"
#include "emulator/training/precision.hpp"
#include "experiments/benchmark.hpp"
#include "experiments/noise_frames.hpp"
#include "experiments/stopwatch.hpp"

#include <ATen/Functions.h>
#include <c10/core/InferenceMode.h>
#include <torch/cuda.h>

#include <algorithm>
#include <functional>

namespace sns {
namespace {

constexpr std::uint64_t kSeed = 1;  // figures do not depend on it

/// One evaluation of the whole network on a batch of states, as rollouts make it.
std::function<void()> evaluation(Model& model, std::int64_t batch) {
  const auto& config = model.config();
  const auto states = [&](std::int64_t frames) {
    torch::Tensor x =
        at::empty({batch, frames * config.field_channels, config.image, config.image}, torch::kFloat32);
    RandomStream(kSeed, Purpose::diffusion_noise, 0)
        .fill_normal({x.data_ptr<float>(), static_cast<std::size_t>(x.numel())});
    return x.to(model.device());
  };
  const auto numbers = [&](at::IntArrayRef shape) {
    return at::ones(shape, at::TensorOptions().dtype(torch::kInt64).device(model.device()));
  };
  if (auto* gaussian = dynamic_cast<GaussianEmulator*>(&model))
    return [gaussian, x = states(1)] { gaussian->step(x); };
  if (auto* thermalizer = dynamic_cast<Thermalizer*>(&model))
    return [thermalizer, x = states(1), at = numbers({batch})] { thermalizer->noise_estimate(x, at); };
  if (auto* acdm = dynamic_cast<Acdm*>(&model))
    return [acdm, x = states(2), at = numbers({batch})] { acdm->noise_estimate(x, at); };
  auto& sns = dynamic_cast<Sns&>(model);
  const torch::Tensor lags = sns.longest_lag() > 0 ? numbers({batch}) : torch::Tensor();
  return [&sns, x = states(3), at = numbers({batch, 2}), lags] { sns.noise_estimate(x, at, lags); };
}

/// Times calls on a model's device.
class Clock {
 public:
  Clock(torch::Device device, double seconds) : device_(device), seconds_(seconds) {}

  /// Milliseconds and operations per image of `call`, which takes `batch` images.
  NetworkRate measure(const std::string& what, const std::string& precision, std::int64_t batch,
                      const std::function<void()>& call) const {
    const TensorFloat32 products(precision == "tf32");
    NetworkRate rate{what, precision, batch, 0, 0};
    {
      const FlopCounter counter;
      call();
      rate.flops_per_image = counter.count() / static_cast<double>(batch);
    }
    const auto wait = [this] {
      if (device_.is_cuda()) torch::cuda::synchronize(device_.index());
    };
    wait();
    rate.milliseconds = 1e3 * seconds_per_call(seconds_, call, wait);
    return rate;
  }

 private:
  torch::Device device_;
  double seconds_;
};

/// Steps of training on one batch that lies on the device: forward, backward, clipping, update, average.
std::vector<NetworkRate> time_training(Model& model, const ModelSpec& spec, const Clock& clock,
                                       const std::vector<std::string>& precisions) {
  const NoiseFrames frames(model.config().field_channels, model.config().image, longest_window(spec) + 1);
  const auto task = make_task(model, spec.training, frames, nullptr, kSeed);
  Learner learner(model, spec.training);
  const TimedConvolutions timed;  // as training has them
  const Batch batch = task->make_batch(0, 0, 0).to(model.device());
  std::vector<NetworkRate> rates;
  for (const std::string& precision : precisions)
    rates.push_back(clock.measure("training step", precision, spec.training.batch, [&] {
      learner.zero_gradients();
      learner.add_gradient(*task, batch, 1, precision == "bfloat16");
      learner.clip();
      learner.update(spec.training.learning_rate);
    }));
  return rates;
}

}  // namespace

ModelRates measure_model(const ModelSpec& spec, int channels, int points, std::int64_t rollout_batch,
                         const std::string& device, const std::vector<std::string>& precisions,
                         double seconds) {
  ModelConfig config = spec.model;
  config.field_channels = channels;
  config.image = points;
  if (config.field_std.empty()) config.field_std = {1.0};
  const auto model = make_model(config, kSeed, pick_device(device));
  const Clock clock(model->device(), seconds);
  ModelRates result{spec.name, config.kind, parameter_count(model->network()), {}};
  std::vector<NetworkRate> training = time_training(*model, spec, clock, precisions);
  for (const std::string& precision : precision_names()) {  // the last one changes the weights
    if (std::find(precisions.begin(), precisions.end(), precision) == precisions.end()) continue;
    model->use_for({.precision = precision == "bfloat16" ? torch::kBFloat16 : torch::kFloat32});
    const c10::InferenceMode inference;
    result.rates.push_back(
        clock.measure("forward", precision, rollout_batch, evaluation(*model, rollout_batch)));
  }
  result.rates.insert(result.rates.end(), training.begin(), training.end());
  return result;
}

}  // namespace sns
