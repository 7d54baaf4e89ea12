#pragma once
#include "emulator/diffusion/sampler.hpp"

namespace sns {

/// Which samples are refined.
enum class Gate {
  either,  ///< those with one of their predicted levels above the threshold
  /// As the reference code of the lagged variant: both levels are set to 0 where the present one lies below the
  /// past one or below the threshold; then, those whose present level is above the threshold (the whole batch
  /// if one is, under the reference rule).
  present,
};
/// ConfigError that lists the names otherwise: "either", "present".
Gate parse_gate(const std::string& name);
const std::vector<std::string>& gate_names();

struct RefineOptions {
  Path path = Path::A;
  SweepRule rule = SweepRule::inclusive;
  int level_floor = 0;  ///< predicted levels below are raised to it
  int threshold = -1;   ///< see Gate (-1: all samples are refined)
  Gate gate = Gate::either;
  int stop_level = -1;  ///< sweeps end above it (-1: at clean frames)
  ReverseStd reverse_std = ReverseStd::posterior;
};

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
