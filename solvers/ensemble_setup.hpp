#pragma once
// What the solvers of all systems are built from alike.
#include "core/error.hpp"
#include "solvers/spectral/ensemble.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace sns {

/// How many members run, and where.
struct EnsembleShape {
  int members = 1;
  int threads = 1;     ///< of a CPU, over members
  std::string device;  ///< "cpu", "cuda" or "cuda:N"
};

/// Engine, description and identity of an ensemble; its initial states and diagnostics are left to the system.
/// `describe(params, backend)` gives the SolverInfo; `scheme` names all that the time step's bits depend on
/// besides the info's parameters. The engines are the ones of the namespace of Params.
template <class Params, class Describe>
spectral::EnsembleSetup ensemble_setup(const Params& params, const EnsembleShape& shape, double max_courant,
                                       Describe describe, const std::string& scheme) {
  spectral::EnsembleSetup setup;
  if (shape.device == "cpu")
    setup.engine = make_fftw_engine(params, shape.members, std::min(shape.threads, shape.members));
  else
    setup.engine = make_cuda_engine(params, shape.members, shape.device);
  setup.info = describe(params, setup.engine->backend());
  setup.members = shape.members;
  setup.threads = shape.threads;
  setup.spacing = params.grid.spacing();
  setup.max_courant = max_courant;
  setup.identity = fmt::format("{} {} {} {} dt={:a}", setup.info.system, setup.info.precision,
                               setup.info.backend, scheme, params.dt);
  for (const auto& [name, value] : setup.info.parameters)
    setup.identity += fmt::format(" {}={:a}", name, value);
  return setup;
}

}  // namespace sns
