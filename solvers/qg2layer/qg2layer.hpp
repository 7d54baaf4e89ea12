#pragma once
// Two-layer quasi-geostrophic flow as a Solver: configuration and what files say about a run.
#include "solvers/qg2layer/initial.hpp"
#include "solvers/qg2layer/params.hpp"
#include "solvers/solver.hpp"

#include <string>

namespace sns::qg2layer {

/// The `solver` block with `system: qg2layer`.
struct Qg2LayerConfig {
  Params params;
  double max_courant = 0;  ///< largest allowed max|u + U| dt / dx
  InitialConfig initial;
};

/// Largest Courant number max|u + U| dt / dx at which the scheme is linearly stable: with speed c, the mode of
/// wavenumber K turns by K c dt a step, and the largest K that the filter leaves undamped is cutoff pi / dx
/// (without a filter sqrt(2) pi / dx, the corner of the spectrum). AB3 is stable on the imaginary axis up to
/// 0.7236 (12/5 of sqrt(1/11)), classical RK4 up to 2 sqrt(2). The usual 65 % filter gives 0.354 and 1.385.
double stable_courant(const Params& params);

/// Reads and checks the block. ConfigError names file, line and key.
Qg2LayerConfig read_config(Section& solver);

/// `threads` over members on a CPU; `device` "cpu", "cuda" or "cuda:N".
std::unique_ptr<Solver> make_qg2layer(const Qg2LayerConfig& config, std::uint64_t seed, int members,
                                      int threads, const std::string& device);

}  // namespace sns::qg2layer
