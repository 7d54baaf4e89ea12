#pragma once
// An ensemble of solver trajectories that gives frames in rounds without end: what streaming training learns
// from.
#include "datagen/plan.hpp"
#include "datagen/solver_source.hpp"
#include "experiments/round_buffers.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace sns {

/// Where an ensemble stands between two rounds: everything that further rounds depend on, bit for bit.
struct EnsembleState {
  std::int64_t round = 0;                   ///< the next one
  std::uint64_t next_trajectory = 0;        ///< id of the next replacement
  std::vector<std::uint64_t> trajectories;  ///< id of each member
  std::vector<MemberStatus> status;
  std::vector<std::vector<std::byte>> states;  ///< Solver::save; empty for members that failed
};

/// Writes a state to one HDF5 file, atomically, with a text that says what it belongs to.
void save_ensemble(const std::filesystem::path& file, const EnsembleState& state, const std::string& identity,
                   const std::vector<double>& field_std);
struct SavedEnsemble {
  EnsembleState state;
  std::vector<double> field_std;
};
/// Error if there is no such file, or if it is damaged or of another identity.
SavedEnsemble load_ensemble(const std::filesystem::path& file, const std::string& identity);

/// Frames of a round, [member][frame][field][axis0][axis1], in physical units.
struct RoundFrames {
  std::shared_ptr<float> data;
  std::size_t size = 0;
  int device = -1;  ///< CUDA device whose memory holds them; -1: host memory

  /// Of host memory; Error for a device's.
  std::span<const float> values() const;
};

/// Where rounds are kept: in host memory, or where the solver's members live.
enum class RoundMemory { host, solver };

/// Members advance together. A round is plan.frames frames of each, plan.steps_per_frame steps apart, coarsened
/// as the plan says; further plan.decorrelation_steps lie between two rounds, which share no frame. A pure
/// function of solver block, seed, plan, number of members and first trajectory id: threads, stops and restarts
/// change nothing.
///
/// A member that fails (not finite, beyond its CFL limit) takes the whole round with it, as its frames may have
/// been wrong before the failure was seen: a trajectory of the next unused id is spun up and gives the round in
/// its place.
class StreamEnsemble {
 public:
  /// Makes no solver yet. `poll` is called several times a second while the solver runs; what it throws comes
  /// through.
  StreamEnsemble(const SolverSource& source, DatagenPlan plan, int members, std::uint64_t first_trajectory,
                 std::function<void()> poll, RoundMemory memory = RoundMemory::host);

  /// Brings fresh members to the beginning of round 0, from the plan's spin-up cache as far as that has them.
  void spin_up();
  void restore(const EnsembleState& state);
  /// After spin_up or restore.
  EnsembleState state() const;
  /// Frames of the present round, in memory of a round that is held no more, if there is one. Error if no
  /// trajectory can be found that lives. After an exception the ensemble must be restored.
  RoundFrames next_round();

 private:
  Solver& solver();
  void advance(Solver& solver, std::int64_t steps);
  void record(Solver& solver, bool from_here, float* out);
  void record_frames(Solver& solver, std::int64_t frames, std::int64_t steps_per_frame, float* out) const;
  void replace(int member, float* out);
  /// Floats between the frames of two members of a round.
  std::size_t stride() const { return static_cast<std::size_t>(plan_.frames) * frame_values_; }

  const SolverSource& source_;
  DatagenPlan plan_;
  int members_;
  std::size_t frame_values_;
  std::function<void()> poll_;
  RoundMemory memory_;
  std::int64_t round_ = 0;
  std::uint64_t next_trajectory_;
  std::vector<std::uint64_t> trajectories_;
  RoundBuffers buffers_;
  std::unique_ptr<Solver> solver_, spare_;
  std::optional<EnsembleState> pending_;  ///< restored, not yet in a solver
};

}  // namespace sns
