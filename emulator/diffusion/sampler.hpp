#pragma once
// One sampler for every walk through the plane of noise levels: refinement by SNS and by the thermalizer,
// generation by SNS and by ACDM.
#include "emulator/diffusion/noise_source.hpp"
#include "emulator/diffusion/reverse_noise.hpp"
#include "emulator/diffusion/sampling_options.hpp"
#include "emulator/diffusion/schedule.hpp"

#include <torch/types.h>

#include <functional>

namespace sns {

/// Channels of a batch [B, context + frames * channels, n, n]: what the sampler leaves alone, then the frames.
/// Two frames are (past, present), one is the present.
struct Layout {
  std::int64_t frames = 2;
  std::int64_t channels = 1;  ///< of one frame
};

struct Sampled {
  torch::Tensor x;                        ///< the batch after its walks
  std::vector<std::int64_t> evaluations;  ///< denoiser evaluations of every sample
};

/// The samples that are about to move, and their moves.
struct Step {
  std::vector<std::int64_t> rows;  ///< of the batch
  std::vector<Move> moves;         ///< one per row
  std::vector<Levels> at;          ///< levels that the row's frames stand at, those that rest as well
  torch::Tensor index;             ///< the rows, int64 [n] on the batch's device
  torch::Tensor levels;  ///< of the moves, int64 [n, frames] on the batch's device; 0 for a resting frame
};

/// x [n, K, h, w] of the moving samples -> noise estimate eps of their frames [n, frames * channels, h, w].
using Denoiser = std::function<torch::Tensor(const torch::Tensor& x, const Step& step)>;

/// Takes every sample of x along its walk: frames are noised to where the walk begins, then stepped,
///   x <- (x - beta_s / sqrt(1 - alpha_bar_s) eps) / sqrt(alpha_s) + std_s z.
/// Samples whose walk is empty and begins clean are left alone. Step k of all walks is one network evaluation
/// of those that have one. No gradients. Error for a walk that is not as Walk says, or of which only some moves
/// have a condition.
/// reverse_noise: what makes std_s z where `reverse_std` is `measured`, and nothing otherwise.
Sampled follow(const Schedule& schedule, const Layout& layout, const Denoiser& denoiser, const torch::Tensor& x,
               const std::vector<Walk>& walks, ReverseStd reverse_std, NoiseSource& noise,
               const ReverseNoise* reverse_noise = nullptr);

/// As `denoiser`, but where the clean frame of its estimate (see tweedie) lies beyond +-limit, the noise that
/// puts it there. `schedule` has to outlive the result.
Denoiser clipped(const Schedule& schedule, const Layout& layout, Denoiser denoiser, double limit);

/// x_s = sqrt(alpha_bar_s) x + sqrt(1 - alpha_bar_s) noise, row by row. x [B, ...], levels [B] (int64).
torch::Tensor add_noise(const Schedule& schedule, const torch::Tensor& x, const torch::Tensor& levels,
                        const torch::Tensor& noise);

/// Tweedie's estimate of the clean frames, (x_s - sqrt(1 - alpha_bar_s) eps) / sqrt(alpha_bar_s): the mean of
/// all frames that could lie under the noise. x and eps [B, ...], levels [B] (int64).
torch::Tensor tweedie(const Schedule& schedule, const torch::Tensor& x, const torch::Tensor& levels,
                      const torch::Tensor& eps);

}  // namespace sns
