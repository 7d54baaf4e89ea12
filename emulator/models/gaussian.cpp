#include "emulator/models/gaussian.hpp"

#include "core/error.hpp"
#include "emulator/nets/initialise.hpp"

#include <ATen/Functions.h>
#include <c10/core/GradMode.h>

namespace sns {

GaussianEmulator::GaussianEmulator(const ModelConfig& config, std::uint64_t seed, torch::Device device)
    : Model(config, device), net_(std::make_shared<UNetImpl>(gaussian_network(config))) {
  initialise(*net_, seed);
  net_->to(device);
}

torch::Tensor GaussianEmulator::step(const torch::Tensor& x) {
  const c10::AutoGradMode no_grad(false);
  return x + net_->forward(x);
}

torch::Tensor GaussianEmulator::loss(const torch::Tensor& window, int length, const torch::Tensor& noise) {
  require(window.dim() == 5 && length >= 1 && window.size(1) > length,
          "a rollout of {} steps needs windows of at least {} frames [B, frames, C, n, n]", length, length + 1);
  torch::Tensor state = window.select(1, 0), total;
  for (int a = 0; a < length; ++a) {
    const torch::Tensor change = net_->forward(state);
    const torch::Tensor target = window.select(1, a + 1) - window.select(1, a);
    const torch::Tensor error = at::mse_loss(change, target);
    total = a == 0 ? error : total + error;
    if (a + 1 == length) break;
    state = state + change;
    if (noise.defined()) state = state + noise.select(1, a);
  }
  return total;
}

}  // namespace sns
