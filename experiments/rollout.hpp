#pragma once
// Autoregressive rollouts of a batch of members, streamed to disk at constant memory, resumable bit for bit.
#include "core/error.hpp"

#include <torch/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace sns {

/// A member that its method gave up.
struct StoppedMember {
  std::int64_t row;  ///< in the batch of living members
  std::string why;
};

/// What one step made of the members that are still alive. B = their number, C = channels.
struct StepOutcome {
  torch::Tensor next;      ///< frame a, float32 [B,C,X,Y], normalised
  torch::Tensor previous;  ///< frame a-1 as the refiner rewrote it (path C); undefined where it is left alone
  torch::Tensor levels;    ///< predicted levels of (a-1, a), int64 [B,2]; undefined without a classifier
  torch::Tensor evaluations;           ///< surrogate, classifier and denoiser evaluations, int64 [B,3]
  std::vector<StoppedMember> stopped;  ///< their frame a and all later ones are lost
};

/// Takes members from one frame to the next.
class RolloutStepper {
 public:
  virtual ~RolloutStepper() = default;
  /// initial: frame 0 of each member; x: frame step-1; both [B,C,X,Y], normalised, on the job's device.
  /// trajectories: the B ids, which key all random numbers together with `step` (>= 1).
  virtual StepOutcome advance(const torch::Tensor& initial, const torch::Tensor& x,
                              std::span<const std::int64_t> trajectories, std::int64_t step) = 0;
  /// What the stepper carries from step to step beside the state, for a checkpoint; empty: nothing.
  virtual std::vector<float> save() const { return {}; }
  /// Inverse of save; tensors go to `device`.
  virtual void restore(std::span<const float> saved, torch::Device device) {
    require(saved.empty(), "the checkpoint holds {} values that this stepper does not know", saved.size());
    static_cast<void>(device);
  }
  /// Numbers that describe what it did, for attributes of the finished file.
  virtual std::vector<std::pair<std::string, double>> remarks() const { return {}; }
};

struct RolloutJob {
  std::filesystem::path output;  ///< finished file; while running `<output>.partial`, `<output>.checkpoint`
  std::int64_t steps = 0;        ///< steps after frame 0
  std::vector<std::int64_t> trajectories;           ///< ids of the members
  std::vector<std::string> fields = {"vorticity"};  ///< one per channel; names of the data sets written
  std::vector<std::string> units = {"1"};           ///< one per channel
  std::vector<double> field_std = {1};              ///< one per channel: physical = normalised x std
  std::vector<std::pair<std::string, std::vector<double>>> axes;  ///< two: name, coordinates
  std::vector<float> initial;                                     ///< physical frame 0, [member][channel][x][y]
  std::uint64_t seed = 0;                                         ///< recorded in the file
  int threads = 1;                                                ///< of the networks, recorded in the file
  double frame_interval = 1;                                      ///< time between frames
  std::string time_units;
  std::vector<std::pair<std::string, std::string>> attributes;  ///< further root attributes of the file
  /// Hash of everything that the result depends on: a checkpoint with another one is discarded.
  std::string identity;
  double limit = 50;               ///< a member beyond this many standard deviations has failed
  int chunk = 16;                  ///< frames in memory
  double checkpoint_seconds = 10;  ///< wall-clock time between checkpoints, rounded up to whole chunks
  torch::Device device = torch::kCPU;
};

struct RolloutSummary {
  std::int64_t steps = 0;
  double wall_seconds = 0;                              ///< all sessions together
  double steps_per_second = 0;                          ///< of the whole batch
  std::vector<std::int64_t> failed_step;                ///< first bad frame of each member, -1 where none
  std::vector<std::pair<std::string, double>> remarks;  ///< the stepper's
};

/// Runs `job.steps` steps and writes `job.output`:
///   /<field> f32 [member,time,x,y] physical, /time f64, /member i64 (trajectory ids),
///   /levels i32 [member,time,2] (frames a-1 and a; -1 where none was predicted),
///   /evaluations i64 [member,time,3] (surrogate, classifier, denoiser), /failed_step i64 [member],
///   /step_seconds f64 [time,2] (what each step of the batch took, wall clock and CPU time; frame 0: 0),
///   root attributes steps_per_second, wall_seconds, complete and those of the job.
/// A member that becomes non-finite, passes `limit` or is given up by its method is NaN from that frame on and
/// is not evaluated any more; the others go on. Where a checkpoint of the same identity exists the run
/// continues from it, with the numbers it would have had without the interruption. Stopped: a stop was asked
/// for; the checkpoint is written. Error: wrong sizes, a full disk.
RolloutSummary run_rollout(const RolloutJob& job, RolloutStepper& stepper);

/// The step that an interrupted rollout into `output`, if it is the same one, goes on from; nullopt where none
/// was.
std::optional<std::int64_t> interrupted_step(const std::filesystem::path& output);

/// Bytes that the rollout file will take.
std::uint64_t rollout_bytes(std::int64_t steps, std::int64_t members, std::int64_t channels,
                            std::int64_t points);

}  // namespace sns
