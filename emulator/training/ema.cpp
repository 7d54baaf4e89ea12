#include "emulator/training/ema.hpp"

#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_mul.h>
#include <c10/core/GradMode.h>

namespace sns {

Ema::Ema(const torch::nn::Module& module, double decay) : decay_(decay) {
  for (const auto& item : module.named_parameters()) {
    parameters_.push_back(item.value());
    shadow_.emplace_back(item.key(), item.value().detach().clone());
  }
}

void Ema::update() {
  c10::AutoGradMode no_grad(false);
  // All tensors by one call each: on a GPU a kernel for each of a hundred small ones would cost more than the
  // sums.
  std::vector<torch::Tensor> shadows;
  for (const auto& [name, shadow] : shadow_) shadows.push_back(shadow);
  at::_foreach_mul_(shadows, decay_);
  at::_foreach_add_(shadows, parameters_, 1.0 - decay_);
}

Ema::Applied::Applied(Ema& ema) : ema_(ema) {
  c10::AutoGradMode no_grad(false);
  for (std::size_t i = 0; i < ema_.parameters_.size(); ++i) {
    kept_.push_back(ema_.parameters_[i].detach().clone());
    ema_.parameters_[i].copy_(ema_.shadow_[i].second);
  }
}

Ema::Applied::~Applied() {
  c10::AutoGradMode no_grad(false);
  for (std::size_t i = 0; i < ema_.parameters_.size(); ++i) ema_.parameters_[i].copy_(kept_[i]);
}

}  // namespace sns
