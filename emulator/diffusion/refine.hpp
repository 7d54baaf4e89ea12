#pragma once
#include "emulator/diffusion/noise_source.hpp"
#include "emulator/diffusion/schedule.hpp"
#include "emulator/diffusion/traversal.hpp"

#include <torch/types.h>

#include <functional>

namespace sns {

struct RefineOptions {
  Path path = Path::A;
  SweepRule rule = SweepRule::inclusive;
  int level_floor = 0;  ///< predicted levels below are raised to it
  int threshold =
      -1;  ///< samples with neither predicted level above it are left as they are (-1: all are refined)
};

struct Refined {
  torch::Tensor x;                        ///< [B, 3C, n, n]: (long, refined past, refined present)
  std::vector<Levels> used;               ///< levels after the floor; {-1, -1} for samples left alone
  std::vector<std::int64_t> evaluations;  ///< denoiser evaluations of every sample
};

/// x [n, 3C, h, w] of the active samples, and the level each frame stands at (kRest: not being stepped)
/// -> noise estimate eps [n, 2C, h, w].
using Denoiser = std::function<torch::Tensor(const torch::Tensor& x, const std::vector<Move>& moves)>;

/// x_s = sqrt(alpha_bar_s) x + sqrt(1 - alpha_bar_s) noise, row by row. x [B, ...], levels [B] (int64).
torch::Tensor add_noise(const Schedule& schedule, const torch::Tensor& x, const torch::Tensor& levels,
                        const torch::Tensor& noise);

/// One refinement (section "Algorithm 1" of the SNS paper): both frames are noised to their predicted levels,
/// then denoised along the path. Only the active subset of the batch is evaluated. No gradients.
/// x [B, 3C, n, n] = (long, past, present); predicted: one pair per row.
Refined refine(const Schedule& schedule, const Denoiser& denoiser, const torch::Tensor& x,
               const std::vector<Levels>& predicted, const RefineOptions& options, NoiseSource& noise);

}  // namespace sns
