#pragma once
// One step of a rollout by a solver: what an emulator is up against.
#include "core/run_config.hpp"
#include "datagen/plan.hpp"
#include "datagen/solver_source.hpp"
#include "experiments/config.hpp"
#include "experiments/frame_transfer.hpp"
#include "experiments/rollout.hpp"

#include <memory>

namespace sns {

/// The solver of a method, and how many of its steps make a frame.
struct SolverMethod {
  SolverSource source;
  std::int64_t steps_per_frame;
};
/// Reads the solver block of a method and checks it against the experiment's solver and data. ConfigError for
/// an invalid block or an unknown key, another flow's fields or domain, a time step that does not divide the
/// time between frames, and initial states, since the frames are where it starts.
SolverMethod read_solver_method(const MethodConfig& method, const RunConfig& run, const SolverInfo& truth,
                                const DatagenPlan& data);

/// Runs a solver from the coarsened frames that emulators start from (FrameTransfer). It carries its own state
/// from step to step: frames are made from it and never read. A member that the solver gives up is stopped.
class SolverStepper : public RolloutStepper {
 public:
  /// solver: one member for each of `trajectories`; field_std: physical units per unit of the frames that go in
  /// and out, one per field.
  SolverStepper(std::unique_ptr<Solver> solver, FrameTransfer transfer, std::int64_t steps_per_frame,
                std::vector<std::int64_t> trajectories, std::vector<double> field_std);
  StepOutcome advance(const torch::Tensor& initial, const torch::Tensor& x,
                      std::span<const std::int64_t> trajectories, std::int64_t step) override;
  /// Every member's whole state.
  std::vector<float> save() const override;
  void restore(std::span<const float> saved, torch::Device device) override;
  /// solver_points, solver_dt, solver_steps_per_frame, and largest_courant: of the living members at the
  /// beginning and every 50 frames.
  std::vector<std::pair<std::string, double>> remarks() const override;

 private:
  void start(const torch::Tensor& initial, const std::vector<int>& members);
  /// Solver members of these trajectories; all others are taken out of the run.
  std::vector<int> living(std::span<const std::int64_t> trajectories);
  /// Frames of all members, physical: [member][field][x][y].
  void make_frames();
  void note_courant(const std::vector<int>& members);

  std::unique_ptr<Solver> solver_;
  FrameTransfer transfer_;
  std::int64_t steps_per_frame_;
  std::vector<std::int64_t> trajectories_;
  std::vector<double> field_std_;
  std::vector<float> frames_;
  bool started_ = false;
  double largest_courant_ = 0;
};

}  // namespace sns
