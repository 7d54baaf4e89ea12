#include "emulator/models/sns.hpp"

#include "core/error.hpp"
#include "emulator/nets/initialise.hpp"

#include <ATen/Functions.h>
#include <c10/core/GradMode.h>

namespace sns {

Sns::Sns(const ModelConfig& config, std::optional<std::uint64_t> seed, torch::Device device)
    : DiffusionModel(config, device), net_(std::make_shared<SnsNetImpl>(sns_network(config))) {
  if (seed) initialise(*net_, *seed);
  net_->to(device);
}

SnsLoss Sns::loss(const torch::Tensor& clean, const torch::Tensor& levels, const torch::Tensor& noise,
                  double cross_entropy_weight, const torch::Tensor& lags, bool clean_pasts) {
  require(clean.dim() == 4 && noise.dim() == 4 && levels.dim() == 2 && levels.size(1) == 2 &&
              clean.size(1) == 3 * config_.field_channels && noise.size(1) == 2 * config_.field_channels,
          "the loss takes clean [B, 3C, n, n], levels [B, 2] and noise [B, 2C, n, n], C = {}",
          config_.field_channels);
  const std::int64_t c = config_.field_channels;
  // Of clean frames level 0 stands in the formulas, and what they say of it is dropped.
  const torch::Tensor standing = clean_pasts ? levels.clamp_min(0) : levels;
  torch::Tensor frames = clean.narrow(1, c, 2 * c) * signal(standing) + noise * noise_std(standing);
  torch::Tensor noised_frames, noised_pasts;  // rows of [B * 2] and of [B] that are noised; undefined: all
  if (clean_pasts) {  // both before the network runs: their sizes have to come back from the device
    const torch::Tensor noised = levels.ge(0);
    noised_frames = noised.reshape(-1).nonzero().squeeze(1);
    noised_pasts = noised.select(1, 0).nonzero().squeeze(1);
    frames = at::where(noised.repeat_interleave(c, 1).unsqueeze(-1).unsqueeze(-1), frames,
                       clean.narrow(1, c, 2 * c));
  }
  const SnsOutput out = estimate(at::cat({clean.narrow(1, 0, c), frames}, 1), standing, lags);

  SnsLoss loss;
  torch::Tensor mse;
  if (clean_pasts) {
    const auto by_frame = [&](const torch::Tensor& x) {
      return x.unflatten(1, {2, c}).flatten(0, 1).index_select(0, noised_frames);
    };
    mse = mean_square(by_frame(out.noise), by_frame(noise),
                      standing.reshape({-1, 1}).index_select(0, noised_frames));
  } else {
    mse = mean_square(out.noise, noise, levels);
  }
  torch::Tensor entropies = at::cross_entropy_loss(out.logits.present, levels.select(1, 1));
  loss.ce_present = entropies.detach();
  if (!clean_pasts || noised_pasts.size(0) > 0) {
    const auto of_noised = [&](const torch::Tensor& x) {
      return clean_pasts ? x.index_select(0, noised_pasts) : x;
    };
    const torch::Tensor past =
        at::cross_entropy_loss(of_noised(out.logits.past), of_noised(levels.select(1, 0)));
    loss.ce_past = past.detach();
    entropies = past + entropies;
  }
  loss.total = mse + cross_entropy_weight * entropies;
  loss.mse = mse.detach();
  return loss;
}

torch::Tensor Sns::rows_of(const torch::Tensor& x, const std::vector<int>& lags) const {
  if (longest_lag() == 0) {
    require(lags.empty(), "the model has no lag embedding; its long frame may be any frame of the flow");
    return {};
  }
  require(!lags.empty(), "the model wants the lag of its long frame");
  for (const int lag : lags)
    require(lag >= 1 && lag <= longest_lag(),
            "lag {} of the long frame is outside 1..{}, what the model is made for", lag, longest_lag());
  if (lags.size() == 1)
    return at::full({x.size(0)}, lags[0], at::TensorOptions().dtype(torch::kInt64).device(x.device()));
  require(static_cast<std::int64_t>(lags.size()) == x.size(0), "{} lags for a batch of {}", lags.size(),
          x.size(0));
  return at::tensor(std::vector<std::int64_t>(lags.begin(), lags.end()), torch::kInt64).to(x.device());
}

std::vector<Levels> Sns::levels(const torch::Tensor& x, const std::vector<int>& lags) {
  const c10::AutoGradMode no_grad(false);
  const auto classify = [this](const torch::Tensor& rows, const torch::Tensor& of_rows) {
    const SnsLogits logits = net_->classify(rows, of_rows);
    return at::stack({logits.past, logits.present}, 1);
  };
  const std::vector<int> both =
      most_probable(evaluate("classify", classify, x, rows_of(x, lags)).flatten(0, 1));
  std::vector<Levels> levels;
  for (std::size_t b = 0; b < both.size(); b += 2) levels.push_back({both[b], both[b + 1]});
  return levels;
}

std::vector<Levels> Sns::predicted_levels(const torch::Tensor& x, const RefineOptions& options,
                                          NoiseSource& noise, const std::vector<int>& lags) {
  return heeded(levels(shown_to_heads(x, layout(2), options, noise), lags), options.path);
}

torch::Tensor Sns::denoised(const torch::Tensor& x, const torch::Tensor& lags) const {
  const auto network = [this](const torch::Tensor& rows, const torch::Tensor& of_rows) {
    return net_->forward(rows, of_rows).noise;
  };
  return evaluate("denoise", network, x, lags);
}

torch::Tensor Sns::noise_estimate(const torch::Tensor& x, const torch::Tensor& levels,
                                  const torch::Tensor& lags) {
  return as_eps(denoised(x, lags), frames(x), levels);
}

SnsOutput Sns::estimate(const torch::Tensor& x, const torch::Tensor& levels, const torch::Tensor& lags) {
  const SnsOutput out = net_->forward(x, lags);
  return {as_eps(out.noise.to(torch::kFloat32), frames(x), levels),
          {out.logits.past.to(torch::kFloat32), out.logits.present.to(torch::kFloat32)}};
}

torch::Tensor Sns::noised(const torch::Tensor& x, const Levels& levels, NoiseSource& noise) const {
  return DiffusionModel::noised(x, layout(2), levels, noise);
}

void Sns::require_noised_past(const std::string& use) const {
  if (config_.trained_past == "clean")
    fail<ConfigError>(
        "this SNS was trained beside clean past frames (trained_past) and never saw a noised one: "
        "{} noises them; path clean_past does not",
        use);
}

void Sns::require_trained_for(const Path& path) const {
  if (path.noises_past()) require_noised_past("path " + path.text());
}

torch::Tensor Sns::clean_estimate(const torch::Tensor& x, const torch::Tensor& levels,
                                  const std::vector<int>& lags) {
  require_noised_past("the oracle");
  const c10::AutoGradMode no_grad(false);
  const std::int64_t c = config_.field_channels;
  const auto by_frame = [&](const torch::Tensor& t) { return t.unflatten(1, {2, c}).flatten(0, 1); };
  return tweedie(schedule(), by_frame(frames(x)), levels.reshape(-1),
                 by_frame(noise_estimate(x, levels, rows_of(x, lags))))
      .view({x.size(0), 2 * c, x.size(2), x.size(3)});
}

Denoiser Sns::denoiser(const torch::Tensor& x, const std::vector<int>& lags) const {
  return [this, of_batch = rows_of(x, lags)](const torch::Tensor& active, const Step& step) {
    const torch::Tensor of_active = of_batch.defined() ? of_batch.index_select(0, step.index) : of_batch;
    return as_eps(denoised(active, of_active), frames(active), step.levels);
  };
}

Refined Sns::refine(const torch::Tensor& x, const std::vector<Levels>& predicted, const RefineOptions& options,
                    NoiseSource& noise, const std::vector<int>& lags, const torch::Tensor& prediction) {
  require_trained_for(options.path);
  if (options.estimate == Estimate::combined) {
    require(combination_ != nullptr,
            "the model does not hold what its estimates and a surrogate's make together");
    require(options.path == Path::fixed_past || options.path == Path::clean_past,
            "combined estimates are of present frames, and path {} denoises the past one, too",
            options.path.text());
    require(prediction.defined() && prediction.size(0) == x.size(0),
            "combined estimates need what a surrogate predicts, for each of {} frames", x.size(0));
    RefineOptions drawing = options;
    drawing.reverse_std = ReverseStd::measured;
    return sns::refine(schedule(), layout(2),
                       combined(*combination_, config_.field_channels, denoiser(x, lags), prediction), x,
                       predicted, drawing, noise, &combination_->errors());
  }
  return sns::refine(schedule(), layout(2), denoiser(x, lags), x, predicted, options, noise,
                     reverse_noise(options.reverse_std));
}

Generated Sns::generate(const torch::Tensor& long_frame, const torch::Tensor& past,
                        const GenerationOptions& options, NoiseSource& noise, const std::vector<int>& lags) {
  require_trained_for(options.path);
  const int in_all = schedule().levels(), start = start_level(options.start, in_all);
  const torch::Tensor x = at::cat({long_frame, past, past}, 1);
  std::vector<Levels> begin(static_cast<std::size_t>(x.size(0)), Levels{Levels::kClean, start});
  Generated result;
  if (options.path.noises_past()) {
    // The heads see the past beside the noise that the present starts from.
    result.predicted = levels(noised(x, begin.front(), noise), lags);
    for (std::size_t b = 0; b < begin.size(); ++b) {
      begin[b].past = result.predicted[b].past;
      result.predicted[b].present = -1;
    }
  }
  const std::vector<Walk> walks = plan_walks(options.path, SweepRule::inclusive, begin, in_all);
  const Denoiser free = denoiser(x, lags);
  const Denoiser limited = options.clip > 0 ? clipped(schedule(), layout(2), free, options.clip) : free;
  Sampled sampled = follow(schedule(), layout(2), limited, x, walks, options.reverse_std, noise);
  result.x = std::move(sampled.x);
  result.evaluations = std::move(sampled.evaluations);
  return result;
}

}  // namespace sns
