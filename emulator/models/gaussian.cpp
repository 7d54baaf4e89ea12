#include "emulator/models/gaussian.hpp"

#include "core/error.hpp"
#include "emulator/models/whitened_error.hpp"
#include "emulator/nets/initialise.hpp"

#include <ATen/Functions.h>
#include <c10/core/GradMode.h>

namespace sns {

GaussianEmulator::GaussianEmulator(const ModelConfig& config, std::optional<std::uint64_t> seed,
                                   torch::Device device)
    : Model(config, device), net_(std::make_shared<UNetImpl>(gaussian_network(config))) {
  if (seed) initialise(*net_, *seed);
  net_->to(device);
}

torch::Tensor GaussianEmulator::step(const torch::Tensor& x) {
  const c10::AutoGradMode no_grad(false);
  return x + evaluate(
                 "step",
                 [this](const torch::Tensor& rows, const torch::Tensor&) { return net_->forward(rows); }, x);
}

GaussianLoss GaussianEmulator::loss(const torch::Tensor& window, int length, const torch::Tensor& noise,
                                    const GaussianLossOptions& options) {
  require(window.dim() == 5 && length >= 1 && window.size(1) > length,
          "a rollout of {} steps needs windows of at least {} frames [B, frames, C, n, n]", length, length + 1);
  const RmsPenalty& penalty = options.penalty;
  torch::Tensor state = window.select(1, 0), mse, sum, one_step, excess;
  for (int a = 0; a < length; ++a) {
    const torch::Tensor change = net_->forward(state).to(torch::kFloat32);
    const torch::Tensor target = window.select(1, a + 1) - window.select(1, a);
    const torch::Tensor square = at::mse_loss(change, target);
    const torch::Tensor error =
        options.whitening > 0 ? whitened_error(change - target, target, options.whitening) : square;
    mse = a == 0 ? square.detach() : mse + square.detach();
    sum = a == 0 ? error : sum + error;
    if (a == 0) one_step = square.detach();
    state = state + change;
    if (penalty.weight > 0) {
      const torch::Tensor rms = (state.square().mean({1, 2, 3}) + 1e-12).sqrt();
      const torch::Tensor hinge = at::relu(rms - penalty.limit).square().mean();
      excess = a == 0 ? hinge : excess + hinge;
    }
    if (a + 1 < length && noise.defined()) state = state + noise.select(1, a);
  }
  if (penalty.weight == 0) return {sum, mse, at::zeros_like(mse), sum.detach(), one_step};
  return {sum + penalty.weight * excess, mse, excess.detach(), sum.detach(), one_step};
}

}  // namespace sns
