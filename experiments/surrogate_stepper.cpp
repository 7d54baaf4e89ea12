#include "experiments/surrogate_stepper.hpp"

#include "core/error.hpp"
#include "core/random.hpp"

#include <torch/types.h>

namespace sns {

SurrogateStepper::SurrogateStepper(std::unique_ptr<GaussianEmulator> emulator, std::unique_ptr<Sns> refiner,
                                   const SurrogateOptions& options)
    : emulator_(std::move(emulator)), refiner_(std::move(refiner)), options_(options) {
  require(emulator_ != nullptr, "a rollout needs an emulator");
  emulator_->network().eval();
  if (!refiner_) return;
  refiner_->network().eval();
  const ModelConfig &e = emulator_->config(), &r = refiner_->config();
  require(
      e.image == r.image && e.field_channels == r.field_channels,
      "the emulator works on {} x {} points and {} channels, the refiner on {} x {} and {}: train them on the "
      "same data set",
      e.image, e.image, e.field_channels, r.image, r.image, r.field_channels);
  to_refiner_ = emulator_->field_std() / refiner_->field_std();
}

torch::Tensor SurrogateStepper::emulate(const torch::Tensor& x, std::span<const std::int64_t> trajectories,
                                        std::int64_t step) {
  torch::Tensor y = emulator_->step(x);
  if (options_.noise == 0) return y;
  torch::Tensor xi = torch::empty(x.sizes(), torch::kFloat32);
  const std::int64_t values = xi.numel() / xi.size(0);
  for (std::size_t b = 0; b < trajectories.size(); ++b) {
    RandomStream stream(options_.seed, Purpose::emulator_noise, static_cast<std::uint64_t>(trajectories[b]),
                        static_cast<std::uint64_t>(step));
    stream.fill_normal(std::span(xi.mutable_data_ptr<float>() + static_cast<std::int64_t>(b) * values,
                                 static_cast<std::size_t>(values)));
  }
  return y + options_.noise * xi.to(x.device());
}

StepOutcome SurrogateStepper::advance(const torch::Tensor& initial, const torch::Tensor& x,
                                      std::span<const std::int64_t> trajectories, std::int64_t step) {
  const std::int64_t members = x.size(0), channels = x.size(1);
  StepOutcome out;
  out.next = emulate(x, trajectories, step);
  out.evaluations = torch::zeros({members, 3}, torch::kInt64);
  out.evaluations.select(1, 0).fill_(1);
  if (!refiner_) return out;

  torch::Tensor triple = torch::cat({initial, x, out.next}, 1);
  if (to_refiner_ != 1) triple = triple * to_refiner_;
  const std::vector<Levels> predicted = refiner_->levels(triple);
  PhiloxNoise noise(options_.seed, std::vector<std::uint64_t>(trajectories.begin(), trajectories.end()),
                    static_cast<std::uint64_t>(step));
  const Refined refined = refiner_->refine(triple, predicted, options_.refine, noise);
  const torch::Tensor frames = to_refiner_ != 1 ? refined.x / to_refiner_ : refined.x;
  out.next = frames.narrow(1, 2 * channels, channels);
  if (options_.refine.path == Path::C) out.previous = frames.narrow(1, channels, channels);

  out.evaluations.select(1, 1).fill_(1);
  out.levels = torch::empty({members, 2}, torch::kInt64);
  for (std::int64_t b = 0; b < members; ++b) {
    const auto row = static_cast<std::size_t>(b);
    out.levels[b][0] = predicted[row].past;
    out.levels[b][1] = predicted[row].present;
    out.evaluations[b][2] = refined.evaluations[row];
  }
  return out;
}

}  // namespace sns
