#include "emulator/models/thermalizer.hpp"

#include "core/error.hpp"
#include "emulator/nets/initialise.hpp"

#include <ATen/Functions.h>
#include <c10/core/GradMode.h>

namespace sns {

Thermalizer::Thermalizer(const ModelConfig& config, std::uint64_t seed, torch::Device device)
    : DiffusionModel(config, device), net_(std::make_shared<ThermalizerNetImpl>(thermalizer_network(config))) {
  initialise(*net_, seed);
  net_->to(device);
}

ThermalizerLoss Thermalizer::loss(const torch::Tensor& clean, const torch::Tensor& levels,
                                  const torch::Tensor& noise, double cross_entropy_weight) {
  require(clean.dim() == 4 && clean.sizes() == noise.sizes() && levels.dim() == 1 &&
              clean.size(1) == config_.field_channels,
          "the loss takes clean frames and noise [B, {}, n, n] and levels [B]", config_.field_channels);
  const torch::Tensor at = levels.unsqueeze(1);
  const ThermalizerOutput out = net_->forward(clean * signal(at) + noise * noise_std(at));
  const torch::Tensor mse = at::mse_loss(as_eps(out.noise, at), noise);
  const torch::Tensor ce = at::cross_entropy_loss(out.logits, levels);
  return {mse + cross_entropy_weight * ce, mse.detach(), ce.detach()};
}

std::vector<Levels> Thermalizer::levels(const torch::Tensor& x) {
  const c10::AutoGradMode no_grad(false);
  std::vector<Levels> levels;
  const auto classify = [this](const torch::Tensor& rows, const torch::Tensor&) {
    return net_->classify(rows);
  };
  for (const int level : most_probable(evaluate(classify, x))) levels.push_back({-1, level});
  return levels;
}

torch::Tensor Thermalizer::denoised(const torch::Tensor& x) const {
  return evaluate([this](const torch::Tensor& rows, const torch::Tensor&) { return net_->denoise(rows); }, x);
}

torch::Tensor Thermalizer::noise_estimate(const torch::Tensor& x, const torch::Tensor& levels) {
  return as_eps(denoised(x), levels.unsqueeze(1));
}

Refined Thermalizer::refine(const torch::Tensor& x, const std::vector<Levels>& predicted,
                            const RefineOptions& options, NoiseSource& noise) {
  const Denoiser denoiser = [this](const torch::Tensor& active, const Step& step) {
    return as_eps(denoised(active), step.levels);
  };
  return sns::refine(schedule(), layout(1), denoiser, x, predicted, options, noise);
}

}  // namespace sns
