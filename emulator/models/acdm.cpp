#include "emulator/models/acdm.hpp"

#include "core/error.hpp"
#include "emulator/nets/initialise.hpp"

#include <ATen/Functions.h>
#include <c10/core/GradMode.h>

namespace sns {

Acdm::Acdm(const ModelConfig& config, std::optional<std::uint64_t> seed, torch::Device device)
    : DiffusionModel(config, device), net_(std::make_shared<AcdmNetImpl>(acdm_network(config))) {
  if (seed) initialise(*net_, *seed);
  net_->to(device);
}

AcdmLoss Acdm::loss(const torch::Tensor& clean, const torch::Tensor& levels, const torch::Tensor& noise) {
  require(clean.dim() == 4 && clean.sizes() == noise.sizes() && levels.dim() == 1 &&
              clean.size(1) == 2 * config_.field_channels,
          "the loss takes clean frames and noise [B, {}, n, n] and levels [B]", 2 * config_.field_channels);
  const torch::Tensor at = levels.unsqueeze(1).expand({-1, 2});
  const torch::Tensor eps = noise_estimate(clean * signal(at) + noise * noise_std(at), levels);
  const torch::Tensor target = noise.narrow(1, noise.size(1) - eps.size(1), eps.size(1));
  const torch::Tensor mse = mean_square(eps, target, estimated(levels));
  return {mse, mse.detach()};
}

torch::Tensor Acdm::noise_estimate(const torch::Tensor& x, const torch::Tensor& levels) {
  const auto network = [this](const torch::Tensor& rows, const torch::Tensor& of_rows) {
    return net_->forward(rows, of_rows);
  };
  const std::int64_t channels = (predicts_both() ? 2 : 1) * config_.field_channels;
  return as_eps(evaluate("denoise", network, x, levels), x.narrow(1, x.size(1) - channels, channels),
                estimated(levels));
}

Sampled Acdm::next(const torch::Tensor& past, const AcdmOptions& options, NoiseSource& noise) {
  const int levels = schedule().levels();
  const Denoiser denoiser = [&](const torch::Tensor& active, const Step& step) {
    const torch::Tensor eps = noise_estimate(active, step.levels.select(1, 1));
    return predicts_both() ? eps : at::cat({at::zeros_like(eps), eps}, 1);
  };
  const Walk walk = plan_conditioned_walk(start_level(options.start, levels), levels,
                                          options.conditioning == Conditioning::per_step);
  const std::vector<Walk> walks(static_cast<std::size_t>(past.size(0)), walk);
  Sampled sampled =
      follow(schedule(), layout(2), denoiser, at::cat({past, past}, 1), walks, options.reverse_std, noise);
  sampled.x = sampled.x.narrow(1, past.size(1), past.size(1));
  return sampled;
}

}  // namespace sns
