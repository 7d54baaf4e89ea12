#pragma once
// Between the frames of an experiment and the grid of another solver of the same flow.
#include "solvers/solver.hpp"
#include "solvers/spectral/real_transform.hpp"

#include <complex>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace sns {

/// Frames have m points along a side, states n; neither need divide the other. Modes of both are compared where
/// they lie in space, so that it does not matter on which points of its cell a grid sits. Definitions:
/// docs/equations.md, "Solvers in a method's place". One object per thread.
class FrameTransfer {
 public:
  /// frames: axes of the frames; coarsen: how the experiment makes them; info: the other solver's. Error unless
  /// both describe one periodic square.
  FrameTransfer(const std::vector<Axis>& frames, const CoarsenConfig& coarsen, const SolverInfo& info);

  /// The smoothest state whose frame is this one, up to what the frame leaves out (zonal mean), which is zero,
  /// and to scales that the solver's grid does not have: [field][n][n] from [field][m][m], physical units.
  std::vector<double> state(std::span<const float> frame);
  /// The frame of a state: [field][m][m] from [field][n][n].
  void frame(std::span<const double> state, std::span<float> out);
  /// How the solver itself makes such frames (Solver::record), where its grid is a multiple of theirs and lies
  /// on it.
  const std::optional<CoarsenConfig>& native() const { return native_; }

 private:
  using Modes = std::vector<std::complex<double>>;
  /// `field` on `to` points, mode (kx, ky) times gains[|kx|] gains[|ky|] of that sign.
  std::vector<double> carry(std::span<const double> field, spectral::RealTransform& from,
                            spectral::RealTransform& to, const Modes& gains, bool filtered, int without_mean);

  int frame_points_, solver_points_, fields_;
  int fine_points_;        ///< of the grid that is averaged over cells, a multiple of the frames'
  CoarsenConfig coarsen_;  ///< from the fine grid
  int zonal_axis_;
  bool trivial_;  ///< a state is a frame as it stands
  std::optional<CoarsenConfig> native_;
  Modes to_state_, to_fine_;  ///< gains by wavenumber 0..; those of negative ones are their conjugates
  std::unique_ptr<spectral::RealTransform> of_frame_, of_solver_, of_fine_;
};

}  // namespace sns
