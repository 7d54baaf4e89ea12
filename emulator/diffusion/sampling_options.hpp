#pragma once
// How the samplers may be varied, by names that a configuration gives. No LibTorch here.
#include "emulator/diffusion/traversal.hpp"

#include <string>
#include <vector>

namespace sns {

/// Spread of the noise that a reverse step adds.
enum class ReverseStd {
  posterior,  ///< sqrt(beta_s (1 - alpha_bar_{s-1}) / (1 - alpha_bar_s)), none at level 0, as the reference
              ///< code
  sqrt_beta,  ///< sqrt(beta_s) at every level, as the SNS paper prints
};
/// ConfigError that lists the names otherwise: "posterior", "sqrt_beta".
ReverseStd parse_reverse_std(const std::string& name);
const std::vector<std::string>& reverse_std_names();

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

/// Noise of the past frame, the condition, over the steps of one generation.
enum class Conditioning {
  per_step,  ///< a new draw at each step, as the SNS paper's code
  single,    ///< one draw for all steps, as the original
};
/// ConfigError that lists the names otherwise: "per_step", "single".
Conditioning parse_conditioning(const std::string& name);
const std::vector<std::string>& conditioning_names();

struct AcdmOptions {
  Start start = Start::noised_past;
  Conditioning conditioning = Conditioning::per_step;
  ReverseStd reverse_std = ReverseStd::posterior;
};

}  // namespace sns
