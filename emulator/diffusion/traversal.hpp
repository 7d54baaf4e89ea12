#pragma once
// How sampling walks through the plane of noise levels (s_past, s_present). A traversal is data: where a sample
// begins, and a monotone list of reverse steps, which one sampler executes.
#include "emulator/diffusion/path.hpp"

#include <string>
#include <vector>

namespace sns {

/// Where a sweep starts.
enum class SweepRule {
  /// Every sample from its own level p down, p+1 reverse steps to clean, whatever its batch mates are. A frame
  /// at p = 0 is noised at level 0 and gets one deterministic step; `threshold` is what leaves samples alone.
  inclusive,
  /// Every sample from p-1 down, p reverse steps, whatever its batch mates are: the steps that the reference
  /// code takes in a batch of one, but for path C with unequal levels, where that steps the lower frame at its
  /// own level too. A frame that gets no step, as at p = 0, is not noised either.
  exclusive,
  /// As the reference code: from (batch maximum) - 1 down, sample active at level i if p >= i. The samples at
  /// the maximum skip step p; frames are noised even where no reverse step follows.
  reference,
};

/// ConfigError that lists the names otherwise: "inclusive", "exclusive", "reference".
SweepRule parse_rule(const std::string& name);
const std::vector<std::string>& rule_names();
/// Place of `name` in `names`; ConfigError "<what> is '<name>'; allowed are ..." otherwise.
std::size_t position_of(const std::string& what, const std::string& name,
                        const std::vector<std::string>& names);

/// What the generation of a frame starts from.
enum class Start {
  noised_past,  ///< the past frame, noised to the last level, as the SNS paper's code does for ACDM
  pure_noise,   ///< nothing of it, as the original ACDM (tum-pbs/autoreg-pde-diffusion)
};
/// ConfigError that lists the names otherwise: "noised_past", "pure_noise".
Start parse_start(const std::string& name);
const std::vector<std::string>& start_names();
/// S - 1 or, for pure noise, S.
int start_level(Start start, int levels_in_all);

/// Each frame goes down its levels one by one, from its start or, where the rule skips that step, from one
/// below it; the two frames may take turns in any way.
struct Walk {
  Levels start{Levels::kClean, Levels::kClean};  ///< levels that the frames are noised to first
  std::vector<Move> moves;
  bool noised = false;  ///< the frames given stand at `start` already
  bool stays() const {
    return moves.empty() && start.past == Levels::kClean && start.present == Levels::kClean;
  }
};

/// Walks of a batch along `path` from the levels given; one per element of `levels`. Sweeps end with the step
/// at `lowest`. A present level equal to the number of levels (pure noise) is generation: its sweep begins one
/// below.
std::vector<Walk> plan_walks(const Path& path, SweepRule rule, const std::vector<Levels>& levels,
                             int levels_in_all, int lowest = 0);

/// ACDM: the present from `start` down to clean, with the past noised to the same level before each step, by a
/// new draw each time or always the same one.
Walk plan_conditioned_walk(int start, int levels_in_all, bool new_draws);

}  // namespace sns
