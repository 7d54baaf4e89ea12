#include "emulator/training/optimizer.hpp"

#include "core/error.hpp"

#include <ATen/ops/_fused_adamw.h>
#include <torch/nn/module.h>

namespace sns {

FlatParameters::FlatParameters(torch::nn::Module& module) {
  constexpr std::int64_t kAlignment = 16;  // floats: one cache line
  std::int64_t total = 0;
  const auto parameters = module.named_parameters();
  require(!parameters.is_empty(), "the model has no parameters to train");
  for (const bool trained : {true, false}) {
    for (const auto& item : parameters) {
      if (item.value().requires_grad() != trained) continue;
      require(item.value().scalar_type() == torch::kFloat32, "parameter {} is not float32", item.key());
      slices_.push_back({item.key(), total, item.value().sizes().vec()});
      count_ += item.value().numel();
      total += (item.value().numel() + kAlignment - 1) / kAlignment * kAlignment;
    }
    if (trained) trained_ = total;
  }
  const auto options =
      torch::TensorOptions().dtype(torch::kFloat32).device(parameters.front().value().device());
  values_ = torch::zeros({total}, options);
  gradients_ = torch::zeros({total}, options);
  const torch::NoGradGuard no_grad;
  for (const auto& slice : slices_) {
    auto parameter = parameters[slice.name];
    const auto target = view(values_, slice);
    target.copy_(parameter);
    parameter.set_data(target);
    if (slice.offset < trained_) parameter.mutable_grad() = view(gradients_, slice);
  }
}

void FlatParameters::zero_gradients() {
  gradients_.zero_();
}

torch::Tensor FlatParameters::view(const torch::Tensor& flat, const Slice& slice) {
  return flat.narrow(0, slice.offset, c10::multiply_integers(slice.sizes)).view(slice.sizes);
}

AdamW::AdamW(const FlatParameters& parameters, double weight_decay)
    : first_moment(torch::zeros_like(parameters.values())),
      second_moment(torch::zeros_like(parameters.values())),
      steps(torch::zeros({}, parameters.values().options())),
      parameters_(parameters),
      weight_decay_(weight_decay) {}

double AdamW::clip(std::optional<double> norm, std::optional<double> value) {
  const torch::NoGradGuard no_grad;
  auto gradients = parameters_.gradients();
  const auto total = gradients.norm().item<double>();
  // The same expression as torch.nn.utils.clip_grad_norm_.
  if (norm && total > *norm) gradients.mul_(*norm / (total + 1e-6));
  if (value) gradients.clamp_(-*value, *value);
  return total;
}

void AdamW::step(double learning_rate) {
  const torch::NoGradGuard no_grad;
  const std::vector<torch::Tensor> none;
  steps.add_(1);
  const auto trained = [this](const torch::Tensor& flat) { return parameters_.trained(flat); };
  at::_fused_adamw_({trained(parameters_.values())}, {trained(parameters_.gradients())},
                    {trained(first_moment)}, {trained(second_moment)}, none, {steps}, learning_rate, 0.9, 0.999,
                    weight_decay_, 1e-8, /*amsgrad=*/false,
                    /*maximize=*/false);
}

}  // namespace sns
