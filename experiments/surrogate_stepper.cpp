#include "experiments/surrogate_stepper.hpp"

#include "core/error.hpp"

#include <algorithm>

namespace sns {

SurrogateStepper::SurrogateStepper(std::unique_ptr<GaussianEmulator> emulator,
                                   std::unique_ptr<DiffusionStage> stage, const SurrogateOptions& options)
    : emulator_(std::move(emulator)), stage_(std::move(stage)), options_(options) {
  require(emulator_ || stage_, "a rollout needs an emulator or a generator");
  if (emulator_) emulator_->use_for(options_.inference);
  if (stage_) stage_->model().use_for(options_.inference);
  if (!emulator_ || !stage_) return;
  const ModelConfig &e = emulator_->config(), &s = stage_->model().config();
  require(
      e.image == s.image && e.field_channels == s.field_channels,
      "the emulator works on {} x {} points and {} channels, the refiner on {} x {} and {}: train them on the "
      "same data set",
      e.image, e.image, e.field_channels, s.image, s.image, s.field_channels);
  if (emulator_->field_std() != stage_->model().field_std())
    units_ = emulator_->scale().to(torch::kFloat64).div(stage_->model().scale()).to(torch::kFloat32);
}

const std::vector<double>& SurrogateStepper::field_std() const {
  return emulator_ ? emulator_->field_std() : stage_->model().field_std();
}

std::vector<float> SurrogateStepper::save() const {
  return stage_ ? stage_->save() : std::vector<float>();
}

void SurrogateStepper::restore(std::span<const float> saved, torch::Device device) {
  if (stage_)
    stage_->restore(saved, device);
  else
    RolloutStepper::restore(saved, device);
}

torch::Tensor SurrogateStepper::held(const torch::Tensor& initial, const torch::Tensor& x) const {
  if (!options_.conserve_mean && !options_.unpredicted) return x;
  const auto hold = [&](const torch::Tensor& from, const torch::Tensor& frames) {
    const torch::Tensor scaled = options_.unpredicted ? (*options_.unpredicted)(frames) : frames;
    return options_.conserve_mean ? scaled + (from - scaled).mean({2, 3}, true) : scaled;
  };
  if (!options_.inference.one_by_one) return hold(initial, x);
  std::vector<torch::Tensor> members;  // how a sum is divided may depend on how many there are
  for (std::int64_t i = 0; i < x.size(0); ++i)
    members.push_back(hold(initial.narrow(0, i, 1).contiguous(), x.narrow(0, i, 1).contiguous()));
  return torch::cat(members);
}

StepOutcome SurrogateStepper::advance(const torch::Tensor& initial, const torch::Tensor& x,
                                      std::span<const std::int64_t> trajectories, std::int64_t step) {
  StepOutcome out;
  out.evaluations = torch::zeros({x.size(0), 3}, torch::kInt64);
  torch::Tensor prediction;
  if (emulator_) {
    prediction = held(initial, emulator_->step(x));
    out.next =
        options_.noise.none() ? prediction : held(initial, options_.noise.add(prediction, trajectories, step));
    out.evaluations.select(1, 0).fill_(1);
  }
  if (!stage_) return out;

  StepInput input{to_stage(initial), to_stage(x), {}, {}, trajectories, step};
  if (emulator_) {
    input.proposal = to_stage(out.next);
    input.prediction = to_stage(prediction);
  }
  stage_->observe(input);
  if (step < options_.first_step || (step - options_.first_step) % options_.every != 0) return out;
  stage_->apply(input, out);
  out.next = held(initial, from_stage(out.next));
  if (!out.previous.defined()) return out;
  out.previous = held(initial, from_stage(out.previous));
  stage_->observe_rewritten(input, to_stage(out.previous));
  return out;
}

}  // namespace sns
