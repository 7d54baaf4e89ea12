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
  double max_courant = 0;  ///< largest allowed max|u + U| dt / dx; default stable_courant(), three digits
  InitialConfig initial;
};

/// Reads and checks the block. ConfigError names file, line and key.
Qg2LayerConfig read_config(Section& solver);

/// `threads` over members on a CPU; `device` "cpu", "cuda" or "cuda:N".
std::unique_ptr<Solver> make_qg2layer(const Qg2LayerConfig& config, std::uint64_t seed, int members,
                                      int threads, const std::string& device);

}  // namespace sns::qg2layer
