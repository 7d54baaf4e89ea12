#include "emulator/models/sns.hpp"

#include "core/error.hpp"
#include "emulator/nets/initialise.hpp"

#include <ATen/Functions.h>
#include <c10/core/GradMode.h>

namespace sns {
namespace {

/// levels [B, 2] -> noise std of every channel's frame [B, 2C, 1, 1]
torch::Tensor spread_of(const torch::Tensor& table, const torch::Tensor& levels, std::int64_t frame_channels) {
  return table.index_select(0, levels.reshape(-1))
      .view({-1, 2})
      .repeat_interleave(frame_channels, 1)
      .unsqueeze(-1)
      .unsqueeze(-1);
}

}  // namespace

Sns::Sns(const ModelConfig& config, std::uint64_t seed, torch::Device device)
    : Model(config, device),
      net_(std::make_shared<SnsNetImpl>(sns_network(config))),
      schedule_(Schedule::make(config.diffusion.schedule, config.diffusion.levels)),
      scaled_(config.diffusion.prediction == "scaled_eps") {
  initialise(*net_, seed);
  net_->to(device);
  const torch::Tensor alpha_bar = at::tensor(schedule_.alpha_bar, torch::kFloat64);
  signal_ = alpha_bar.sqrt().to(torch::kFloat32).to(device);
  noise_std_ = (1 - alpha_bar).sqrt().to(torch::kFloat32).to(device);
}

SnsLoss Sns::loss(const torch::Tensor& clean, const torch::Tensor& levels, const torch::Tensor& noise,
                  double cross_entropy_weight, const torch::Tensor& lags) {
  require(clean.dim() == 4 && noise.dim() == 4 && levels.dim() == 2 && levels.size(1) == 2 &&
              clean.size(1) == 3 * config_.field_channels && noise.size(1) == 2 * config_.field_channels,
          "the loss takes clean [B, 3C, n, n], levels [B, 2] and noise [B, 2C, n, n], C = {}",
          config_.field_channels);
  const std::int64_t c = config_.field_channels;
  const torch::Tensor sigma = spread_of(noise_std_, levels, c);
  const torch::Tensor frames = clean.narrow(1, c, 2 * c) * spread_of(signal_, levels, c) + noise * sigma;
  const SnsOutput out = net_->forward(at::cat({clean.narrow(1, 0, c), frames}, 1), lags);

  SnsLoss loss;
  const torch::Tensor mse = at::mse_loss(scaled_ ? out.noise / sigma : out.noise, noise);
  const torch::Tensor past = at::cross_entropy_loss(out.logits.past, levels.select(1, 0));
  const torch::Tensor present = at::cross_entropy_loss(out.logits.present, levels.select(1, 1));
  loss.total = mse + cross_entropy_weight * (past + present);
  loss.mse = mse.detach();
  loss.ce_past = past.detach();
  loss.ce_present = present.detach();
  return loss;
}

torch::Tensor Sns::rows_of(const torch::Tensor& x, int lag) const {
  if (longest_lag() == 0) {
    require(lag == 0, "the model has no lag embedding; its long frame may be any frame of the flow");
    return {};
  }
  require(lag >= 1 && lag <= longest_lag(),
          "lag {} of the long frame is outside 1..{}, what the model is made for", lag, longest_lag());
  return at::full({x.size(0)}, lag, at::TensorOptions().dtype(torch::kInt64).device(x.device()));
}

std::vector<Levels> Sns::levels(const torch::Tensor& x, int lag) {
  const c10::AutoGradMode no_grad(false);
  const SnsLogits logits = net_->classify(x, rows_of(x, lag));
  const torch::Tensor best = at::stack({logits.past.argmax(1), logits.present.argmax(1)}, 1).cpu();
  const auto rows = best.accessor<std::int64_t, 2>();
  std::vector<Levels> levels;
  for (std::int64_t b = 0; b < rows.size(0); ++b)
    levels.push_back({static_cast<int>(rows[b][0]), static_cast<int>(rows[b][1])});
  return levels;
}

torch::Tensor Sns::noise_estimate(const torch::Tensor& x, const torch::Tensor& levels,
                                  const torch::Tensor& lags) {
  const torch::Tensor noise = net_->forward(x, lags).noise;
  return scaled_ ? noise / spread_of(noise_std_, levels, config_.field_channels) : noise;
}

Refined Sns::refine(const torch::Tensor& x, const std::vector<Levels>& predicted, const RefineOptions& options,
                    NoiseSource& noise, int lag) {
  const Denoiser denoiser = [this, lag](const torch::Tensor& active, const std::vector<Move>& moves) {
    const torch::Tensor lags = rows_of(active, lag);
    if (!scaled_) return net_->forward(active, lags).noise;
    std::vector<std::int64_t> at_levels;
    for (const Move& move : moves)  // a resting frame's estimate is not used; any level will do
      for (const int s : {move.past, move.present}) at_levels.push_back(std::max(s, 0));
    return noise_estimate(active, at::tensor(at_levels, torch::kInt64).view({-1, 2}).to(device_), lags);
  };
  return sns::refine(schedule_, denoiser, x, predicted, options, noise);
}

}  // namespace sns
