#pragma once
#include "emulator/diffusion/sampler.hpp"

namespace sns {

struct Refined {
  torch::Tensor x;                        ///< the batch with refined frames
  std::vector<Levels> used;               ///< levels after gate and floor; {-1, -1} for samples left alone
  std::vector<std::int64_t> evaluations;  ///< denoiser evaluations of every sample
};

/// One refinement (section "Algorithm 1" of the SNS paper): frames are noised to their predicted levels, then
/// denoised along the path. Only the active subset of the batch is evaluated. No gradients.
/// x [B, K, n, n] with the frames of `layout` last; predicted: one pair per row. With one frame the past level
/// is ignored and the path is clean_past.
Refined refine(const Schedule& schedule, const Layout& layout, const Denoiser& denoiser, const torch::Tensor& x,
               std::vector<Levels> predicted, RefineOptions options, NoiseSource& noise);

}  // namespace sns
