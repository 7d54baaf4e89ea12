#include "emulator/models/diffusion_model.hpp"

#include "core/error.hpp"
#include "emulator/nets/whitened_frames.hpp"

#include <ATen/Functions.h>

#include <algorithm>

namespace sns {

DiffusionModel::DiffusionModel(const ModelConfig& config, torch::Device device)
    : Model(config, device),
      schedule_(make_schedule(config.diffusion)),
      prediction_(config.diffusion.prediction == "scaled_eps" ? Prediction::scaled_eps
                  : config.diffusion.prediction == "v"        ? Prediction::v
                                                              : Prediction::eps) {
  const std::int64_t numbers = config.field_channels * whitening_shells(config.image);
  if (!config.whitening.empty() && std::ssize(config.whitening) != numbers)
    fail<ConfigError>("whitening has {} numbers; frames of {} fields on {} x {} points take {}",
                      config.whitening.size(), config.field_channels, config.image, config.image, numbers);
  const torch::Tensor alpha_bar = at::tensor(schedule_.alpha_bar, torch::kFloat64);
  signal_ = alpha_bar.sqrt().to(torch::kFloat32).to(device);
  noise_std_ = (1 - alpha_bar).sqrt().to(torch::kFloat32).to(device);
}

torch::Tensor DiffusionModel::per_channel(const torch::Tensor& table, const torch::Tensor& levels) const {
  return table.index_select(0, levels.reshape(-1))
      .view({levels.size(0), levels.size(1)})
      .repeat_interleave(config_.field_channels, 1)
      .unsqueeze(-1)
      .unsqueeze(-1);
}

torch::Tensor DiffusionModel::as_eps(const torch::Tensor& output, const torch::Tensor& frames,
                                     const torch::Tensor& levels) const {
  switch (prediction_) {
    case Prediction::eps:
      return output;
    case Prediction::scaled_eps:
      return output / noise_std(levels);
    case Prediction::v:
      return signal(levels) * output + noise_std(levels) * frames;
  }
  return output;
}

torch::Tensor DiffusionModel::mean_square(const torch::Tensor& eps, const torch::Tensor& noise,
                                          const torch::Tensor& levels) const {
  if (prediction_ != Prediction::v) return at::mse_loss(eps, noise);
  return ((eps - noise) / signal(levels)).square().mean();
}

torch::Tensor DiffusionModel::noised(const torch::Tensor& x, const Layout& layout, const Levels& levels,
                                     NoiseSource& noise) const {
  const std::vector<Walk> nowhere(static_cast<std::size_t>(x.size(0)), Walk{.start = levels, .moves = {}});
  return follow(schedule_, layout, Denoiser(), x, nowhere, ReverseStd::posterior, noise).x;
}

torch::Tensor DiffusionModel::shown_to_heads(const torch::Tensor& x, const Layout& layout,
                                             const RefineOptions& options, NoiseSource& noise) const {
  if (options.classify == Classify::as_given) return x;
  return noised(x, layout, {options.path.noises_past() ? 0 : Levels::kClean, 0}, noise);
}

const ReverseNoise* DiffusionModel::reverse_noise(ReverseStd which) const {
  if (which != ReverseStd::measured) return nullptr;
  require(errors_ != nullptr,
          "the model does not hold the errors of its estimates, which reverse_std measured draws from");
  return errors_.get();
}

std::vector<int> most_probable(const torch::Tensor& logits) {
  const torch::Tensor best = logits.argmax(1).cpu();
  const auto rows = best.accessor<std::int64_t, 1>();
  std::vector<int> classes;
  for (std::int64_t b = 0; b < rows.size(0); ++b) classes.push_back(static_cast<int>(rows[b]));
  return classes;
}

}  // namespace sns
