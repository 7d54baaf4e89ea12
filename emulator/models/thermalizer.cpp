#include "emulator/models/thermalizer.hpp"

#include "core/error.hpp"
#include "emulator/nets/initialise.hpp"

#include <ATen/Functions.h>
#include <c10/core/GradMode.h>

#include <algorithm>

namespace sns {
namespace {

/// The frames whose level is above the limit or, with `together`, all frames if there is one.
std::vector<GivenUp> beyond(int limit, const std::vector<Levels>& predicted, bool together) {
  const auto above = [&](const Levels& p) { return p.present > limit; };
  const auto first = std::find_if(predicted.begin(), predicted.end(), above);
  std::vector<GivenUp> rows;
  if (first == predicted.end()) return rows;
  for (std::size_t b = 0; b < predicted.size(); ++b) {
    const bool itself = above(predicted[b]);
    if (!itself && !together) continue;
    rows.push_back({static_cast<std::int64_t>(b), fmt::format("noise level {}{} is above the noise limit {}",
                                                              itself ? predicted[b].present : first->present,
                                                              itself ? "" : " of a batch mate", limit)});
  }
  return rows;
}

}  // namespace

Thermalizer::Thermalizer(const ModelConfig& config, std::optional<std::uint64_t> seed, torch::Device device)
    : DiffusionModel(config, device), net_(std::make_shared<ThermalizerNetImpl>(thermalizer_network(config))) {
  if (seed) initialise(*net_, *seed);
  net_->to(device);
}

ThermalizerLoss Thermalizer::loss(const torch::Tensor& clean, const torch::Tensor& levels,
                                  const torch::Tensor& noise, double cross_entropy_weight) {
  require(clean.dim() == 4 && clean.sizes() == noise.sizes() && levels.dim() == 1 &&
              clean.size(1) == config_.field_channels,
          "the loss takes clean frames and noise [B, {}, n, n] and levels [B]", config_.field_channels);
  const torch::Tensor at = levels.unsqueeze(1);
  const ThermalizerOutput out = estimate(clean * signal(at) + noise * noise_std(at), levels);
  const torch::Tensor mse = mean_square(out.noise, noise, at);
  const torch::Tensor ce = at::cross_entropy_loss(out.logits, levels);
  return {mse + cross_entropy_weight * ce, mse.detach(), ce.detach()};
}

std::vector<Levels> Thermalizer::levels(const torch::Tensor& x) {
  const c10::AutoGradMode no_grad(false);
  std::vector<Levels> levels;
  const auto classify = [this](const torch::Tensor& rows, const torch::Tensor&) {
    return net_->classify(rows);
  };
  for (const int level : most_probable(evaluate("classify", classify, x))) levels.push_back({-1, level});
  return levels;
}

torch::Tensor Thermalizer::denoised(const torch::Tensor& x) const {
  return evaluate(
      "denoise", [this](const torch::Tensor& rows, const torch::Tensor&) { return net_->denoise(rows); }, x);
}

torch::Tensor Thermalizer::noise_estimate(const torch::Tensor& x, const torch::Tensor& levels) {
  return as_eps(denoised(x), x, levels.unsqueeze(1));
}

ThermalizerOutput Thermalizer::estimate(const torch::Tensor& x, const torch::Tensor& levels) {
  const ThermalizerOutput out = net_->forward(x);
  return {as_eps(out.noise.to(torch::kFloat32), x, levels.unsqueeze(1)), out.logits.to(torch::kFloat32)};
}

Refined Thermalizer::refine(const torch::Tensor& x, const std::vector<Levels>& predicted,
                            const RefineOptions& options, NoiseSource& noise) {
  const Denoiser denoiser = [this](const torch::Tensor& active, const Step& step) {
    return as_eps(denoised(active), active, step.levels);
  };
  return sns::refine(schedule(), layout(1), denoiser, x, predicted, options, noise,
                     reverse_noise(options.reverse_std));
}

Thermalized Thermalizer::thermalize(const torch::Tensor& x, const RefineOptions& options, int noise_limit,
                                    NoiseSource& noise) {
  if (options.threshold < Levels::kClean || options.threshold >= schedule().levels())
    fail<ConfigError>("the start level is {}; it must be in {}..{}", options.threshold, Levels::kClean,
                      schedule().levels() - 1);
  if (noise_limit <= options.threshold)
    fail<ConfigError>("the noise limit, {}, must lie above the start level, {}: no frame would be denoised",
                      noise_limit, options.threshold);
  if (options.rule == SweepRule::reference && options.stop_level == options.threshold && options.threshold >= 0)
    fail<ConfigError>(
        "the stop level is the start level, {}: under rule reference a frame one level above it would be "
        "noised "
        "and not denoised",
        options.threshold);
  Thermalized result;
  result.predicted = levels(shown_to_heads(x, layout(1), options, noise));
  result.given_up = beyond(noise_limit, result.predicted, options.rule == SweepRule::reference);
  std::vector<Levels> walking = result.predicted;
  for (const GivenUp& frame : result.given_up)
    walking[static_cast<std::size_t>(frame.row)].present = Levels::kClean;
  result.refined = refine(x, walking, options, noise);
  return result;
}

}  // namespace sns
