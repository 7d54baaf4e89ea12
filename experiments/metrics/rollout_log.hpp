#pragma once
// What a rollout file says about its refinement and its cost.
#include "experiments/metrics/step_time.hpp"

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace sns::metrics {

/// A method that is a solver.
struct SolverUse {
  int points = 0;                    ///< grid points per side
  double dt = 0;                     ///< time step
  std::int64_t steps_per_frame = 0;  ///< solver steps per step of the rollout
  double largest_courant = 0;        ///< of those looked at
};

/// What one member was computed with.
struct MemberWork {
  std::int64_t steps = 0;                            ///< a lost member's count up to the step of its loss
  std::array<std::int64_t, 3> evaluations{0, 0, 0};  ///< of surrogate, noise heads and denoiser, in all steps
};

struct RolloutLog {
  std::int64_t members = 0, steps = 0;
  /// Predicted levels: [level] counts over members and steps, before any floor is applied; empty where the
  /// method predicts none.
  std::vector<std::int64_t> past_levels, present_levels;
  /// Mean predicted level per window, {past, present}; NaN where nothing was predicted.
  std::vector<double> past_by_window, present_by_window;
  std::vector<MemberWork> work;   ///< per member
  std::int64_t member_steps = 0;  ///< steps that were computed, over all members
  /// Network evaluations per computed step of a member.
  double surrogate = 0, classifier = 0, denoiser = 0;
  double wall_seconds = 0;
  double steps_per_second = 0;       ///< of the whole batch; 0: the file does not say
  double milliseconds_per_step = 0;  ///< wall clock per computed step of a member; as SolverCost's
  std::vector<Block> blocks;         ///< what parts of the rollout took; empty: the file does not say
  int threads = 0;                   ///< 0: the file does not say, or its steps had several numbers
  std::optional<SolverUse> solver;
  /// Text attributes of the file: method, git_commit, device and all weights* (hashes).
  std::map<std::string, std::string> attributes;
};
/// window: frames per window, as make_windows. Reads in chunks.
RolloutLog read_rollout_log(const std::filesystem::path& file, std::int64_t window);

}  // namespace sns::metrics
