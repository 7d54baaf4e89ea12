#pragma once
// Initial PV anomalies q[layer][y][x] [1/s] of two-layer quasi-geostrophic flow.
#include "core/config.hpp"
#include "solvers/qg2layer/params.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace sns::qg2layer {

/// The `solver.initial` block.
struct InitialConfig {
  /// pyqg       q1 = 1e-7 r(x, y) + 1e-6 r(x), q2 = 0, with r uniform on [0, 1): pyqg's default, seeded
  /// perturbed  q1 + a n1, q2 - a n2 of the state in `path`, or of the pyqg state where there is no path, with
  ///            standard normal noise n1, n2 whose mean over the domain is taken away (the SNS paper's recipe)
  /// eigenmode  a Re[q_z exp(i (k x + l y))] of the fastest growing mode
  /// rest       q = 0
  /// file       the state in `path`
  std::string kind = "pyqg";
  std::optional<double> amplitude;  ///< a [1/s]; null = 1e-7 (perturbed), 1e-10 (eigenmode)
  /// Of the eigenmode, (k, l) in periods per domain; null = the most unstable one of the grid.
  std::optional<std::vector<int>> wavenumber;
  std::string path;                          ///< "FILE.h5:/dataset", [2][n][n] or [trajectory][2][n][n]
  bool resample = false;                     ///< takes a file's states from another grid
  std::optional<std::uint64_t> states = {};  ///< SolverInfo::initial_states, as kind and file say
};

/// Reads and checks the block. ConfigError names file, line and key.
InitialConfig read_initial(Section section, const Params& params);

/// Writes the initial state of a trajectory to `out`, [layer][y][x]. Noise is the suite's own stream of
/// (seed, trajectory).
void initial_state(const Params& params, const InitialConfig& config, std::uint64_t seed,
                   std::uint64_t trajectory, std::span<double> out);

}  // namespace sns::qg2layer
