#pragma once
// The Solver of any system that runs on an Engine: members over threads, guards, frames, save and restore.
#include "core/parallel.hpp"
#include "solvers/solver.hpp"
#include "solvers/spectral/engine.hpp"
#include "solvers/spectral/slices.hpp"

#include <functional>

namespace sns::spectral {

/// Steps between two looks at a running member's speed: rare enough to move no more than two per cent of what
/// the steps do. Where a look must be waited for (a GPU), advance() begins Engine::most_looks() of them at most
/// before it reads them all. What they say of a member is the same either way; a member that has failed is
/// stepped on in vain until they are read, and beyond that while another one of its group lives.
inline constexpr std::int64_t kGuardInterval = 20;

/// What makes an EnsembleSolver.
struct EnsembleSetup {
  SolverInfo info;
  std::unique_ptr<Engine> engine;
  int members = 1;
  int threads = 1;     ///< one worker of the engine each
  double spacing = 0;  ///< grid spacing, for Courant numbers
  double max_courant = 1;
  /// Physical state of a trajectory id.
  std::function<void(std::uint64_t trajectory, std::span<double> out)> initial;
  /// Values of info.diagnostics for a physical state.
  std::function<std::vector<double>(std::span<const double> state)> diagnostics;
  /// The same of info.array_diagnostics; empty if there are none.
  std::function<std::vector<double>(std::span<const double> state)> array_diagnostics;
  /// Everything that the meaning of saved bytes depends on.
  std::string identity;
};

class EnsembleSolver final : public Solver {
 public:
  explicit EnsembleSolver(EnsembleSetup setup);

  const SolverInfo& info() const override { return setup_.info; }
  int members() const override { return setup_.members; }
  std::int64_t step(int member) const override { return member_(member).step; }
  void initialise(int member, std::uint64_t trajectory) override;
  void set_state(int member, std::span<const double> state) override;
  void state(int member, std::span<double> out) const override;
  void advance(std::int64_t steps) override;
  void record(const FrameRequest& request, std::span<float> out) override;
  void frame(int member, const CoarsenConfig& coarsen, std::span<float> out) override;
  int device() const override { return setup_.engine->device(); }
  std::shared_ptr<float> frame_memory(std::size_t count) const override { return setup_.engine->memory(count); }
  void record_in_place(const FrameRequest& request, float* out, std::size_t stride) override;
  double device_bytes_per_step() const override { return setup_.engine->bytes_per_step(); }
  MemberStatus status(int member) const override { return member_(member).status; }
  void check_members() override;
  void retire(int member, MemberStatus status) override;
  std::vector<double> diagnostics(int member) const override;
  std::vector<double> array_diagnostics(int member) const override;
  std::vector<std::byte> save(int member) const override;
  void restore(int member, std::span<const std::byte> bytes) override;

 private:
  struct Member {
    std::int64_t step = 0;
    MemberStatus status;
  };

  const Member& member_(int member) const;
  void check_coarsening(const CoarsenConfig& coarsen) const;
  void check_request(const FrameRequest& request) const;
  int zonal_axis() const;
  bool alive(int group) const;
  void fail_member(int member, std::string reason);
  void judge(int member, std::int64_t steps, double speed);
  void guard(int group, int worker);
  bool look_is_due(int member, std::int64_t steps) const;
  void advance_group(int group, int worker, std::int64_t steps);
  std::int64_t advance_to_verdict(int group, int worker, std::int64_t steps);
  void in_slices(std::int64_t steps, const std::function<void(Slice& slice, int worker)>& body);
  void for_each_frame(const FrameRequest& request,
                      const std::function<void(int group, int worker, std::int64_t frame)>& take);
  void take_frame(int group, int worker, const FrameRequest& request, std::int64_t frame,
                  std::vector<float>& scratch, std::span<float> out);
  void take_frame_in_place(int group, int worker, const FrameRequest& request, std::int64_t frame, float* out,
                           std::size_t stride);

  EnsembleSetup setup_;
  std::vector<Member> member_states_;
  ThreadPool pool_;
};

}  // namespace sns::spectral
