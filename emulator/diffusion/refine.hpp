#pragma once
#include "emulator/diffusion/sampler.hpp"

namespace sns {

struct Refined {
  torch::Tensor x;  ///< the batch with refined frames
  /// Levels after gate and floor; {-1, -1} for samples left alone, past -1 where the past frame is not noised.
  std::vector<Levels> used;
  std::vector<std::int64_t> evaluations;  ///< denoiser evaluations of every sample
};

/// The predictions that mean something along `path`: of the past frame none where it is never noised
/// (clean_past); kClean stands for those that do not.
std::vector<Levels> heeded(std::vector<Levels> predicted, const Path& path);

/// One refinement (section "Algorithm 1" of the SNS paper): frames are noised to their predicted levels, then
/// denoised along the path. Only the active subset of the batch is evaluated. No gradients.
/// x [B, K, n, n] with the frames of `layout` last; predicted: one pair per row, or kClean as the present level
/// of a row that is to be left alone whatever the options say. With one frame the path is clean_past; along
/// clean_past the predicted level of the past frame means nothing, to the gate either. ConfigError for options
/// that do not fit the schedule, Error for levels outside it.
Refined refine(const Schedule& schedule, const Layout& layout, const Denoiser& denoiser, const torch::Tensor& x,
               std::vector<Levels> predicted, RefineOptions options, NoiseSource& noise,
               const ReverseNoise* reverse_noise = nullptr);

}  // namespace sns
