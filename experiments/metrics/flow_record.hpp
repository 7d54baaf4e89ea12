#pragma once
// What is measured of whole states along one member's trajectory: the budget of its energy, and its zonal jets.
#include "experiments/metrics/flow.hpp"
#include "experiments/metrics/member_record.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace sns::metrics {

/// Why the budget or the jets of this flow's frames cannot be measured; empty if they can.
std::string no_budget(const Flow& flow);
std::string no_jets(const Flow& flow);

/// Intervals of a periodic profile in which it exceeds half of its largest value; none if that is not positive.
int count_jets(std::span<const double> profile);

/// Of one frame, domain means.
struct EnergyTerms {
  double energy = 0;       ///< of one layer: kinetic; of two: kinetic and available potential [length^2/time^2]
  double injection = 0;    ///< by the force, or from the shear [length^2/time^3]
  double dissipation = 0;  ///< by viscosity and drag, or by bottom drag [length^2/time^3]
};

/// Computes in float64. One object per thread.
class FlowDiagnostics {
 public:
  explicit FlowDiagnostics(const Flow& flow);
  ~FlowDiagnostics();
  FlowDiagnostics(FlowDiagnostics&&) noexcept;
  /// frame: finite, [field][axis0][axis1]. Not for flows that have no_budget.
  EnergyTerms energy(std::span<const float> frame);
  /// Zonal mean of the upper layer's u(y), without the mean flow. Not for flows that have no_jets.
  std::vector<double> zonal_flow(std::span<const float> frame);
  const Flow& flow() const { return flow_; }

 private:
  struct Workspace;
  Flow flow_;
  std::unique_ptr<Workspace> workspace_;
};

/// Frames of a window at which its budget and its jets are looked at, at most (stands_for).
inline constexpr std::int64_t kFlowSamples = 32;

/// Sums over the samples of a window: those whose neighbours are finite too for the budget.
struct FlowWindow {
  std::int64_t budgets = 0, jet_frames = 0;
  double residual = 0, squares = 0, injection = 0;  ///< of the budget: residual, its square, injection
  double jets = 0, strength = 0;                    ///< number of jets; root mean square of u(y)
  std::vector<double> profile;                      ///< u(y)
};
struct FlowRecord {
  std::vector<FlowWindow> windows;
};

/// Takes frames 0, 1, 2, ... of one member. The residual at frame t is
/// (E(t+1) - E(t-1)) / (2 interval) - injection(t) + dissipation(t).
class FlowRecorder {
 public:
  FlowRecorder(FlowDiagnostics diagnostics, std::int64_t frames, std::int64_t window, double interval);
  /// Empty: the frame is not finite.
  void add(std::span<const float> frame);
  FlowRecord finish() { return std::move(record_); }

 private:
  /// Window in which a frame is sampled; -1: it is not.
  std::int64_t sampled_in(std::int64_t frame) const;
  void look_at_jets(FlowWindow& window, std::span<const float> frame);

  FlowDiagnostics diagnostics_;
  bool budget_, jets_;
  std::int64_t frames_;
  double interval_;
  std::vector<Window> windows_;
  FlowRecord record_;
  std::int64_t frame_ = 0;
  std::vector<EnergyTerms> terms_;  ///< of the last three frames, by frame % 3; NaN: not finite or not wanted
};

}  // namespace sns::metrics
