#pragma once
// Kolmogorov flow as a Solver: configuration, initial states and what files say about a run.
#include "solvers/kolmogorov/initial.hpp"
#include "solvers/kolmogorov/params.hpp"
#include "solvers/solver.hpp"

#include <functional>
#include <string>

namespace sns::kolmogorov {

/// The `solver` block with `system: kolmogorov`.
struct KolmogorovConfig {
  Params params;
  double max_courant = 1;  ///< largest allowed max|u| dt / dx; default_courant() where the file says nothing
  InitialConfig initial;
};

/// Reads and checks the block. ConfigError names file, line and key.
KolmogorovConfig read_config(Section& solver);

/// `threads` over members on a CPU; `device` "cpu", "cuda" or "cuda:N".
std::unique_ptr<Solver> make_kolmogorov(const KolmogorovConfig& config, std::uint64_t seed, int members,
                                        int threads, const std::string& device);

}  // namespace sns::kolmogorov
