#pragma once
// How a refinement walks from the predicted levels (p_past, p_present) down to clean frames. A traversal is
// data: a monotone list of reverse steps per sample, which one sampler executes.
#include <cstdint>
#include <string>
#include <vector>

namespace sns {

/// Route through the plane of levels (names of the SNS paper).
enum class Path {
  A,           ///< past frame to clean while the present stays noisy, then the present frame
  B,           ///< present frame first, then the past
  C,           ///< together along the diagonal, the higher level first
  fixed_past,  ///< present frame only; the past stays noisy
};

/// Where a sweep starts.
enum class SweepRule {
  /// Every sample from its own level p down to 0, p+1 reverse steps, whatever its batch mates are. A frame at
  /// p = 0 is noised at level 0 and gets one deterministic step; `threshold` is what leaves samples alone.
  inclusive,
  /// As the reference code: from (batch maximum) - 1 down to 0, sample active at level i if p >= i. The
  /// samples at the maximum skip step p; frames are noised even where no reverse step follows.
  reference,
};

/// ConfigError that lists the names otherwise: "A", "B", "C", "fixed_past"; "inclusive", "reference".
Path parse_path(const std::string& name);
SweepRule parse_rule(const std::string& name);
const std::vector<std::string>& path_names();
const std::vector<std::string>& rule_names();

struct Levels {
  int past = 0, present = 0;
};

/// One reverse step: the level each frame is stepped at, kRest where it stays as it is.
struct Move {
  static constexpr int kRest = -1;
  int past = kRest, present = kRest;
};
using Walk = std::vector<Move>;

/// The walks of a batch; one per element of `levels`.
std::vector<Walk> plan_walks(Path path, SweepRule rule, const std::vector<Levels>& levels);

}  // namespace sns
