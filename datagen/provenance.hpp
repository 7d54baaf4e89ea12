#pragma once
#include "core/hdf5.hpp"
#include "solvers/solver.hpp"

#include <cstdint>
#include <span>
#include <string>

namespace sns {

/// Makes (or opens) /provenance and writes what made the file: version, git commit, compiler, host hash, time,
/// backend, precision, seed, the resolved configuration, and the batch job if there is one.
h5::Group write_provenance(h5::Group& root, const SolverInfo& info, const std::string& config_yaml,
                           std::uint64_t seed);

/// A dimension scale /<axis> with units, one per axis of a field.
h5::Dataset write_scale(h5::Group& parent, const std::string& name, std::span<const double> values,
                        const std::string& units);

}  // namespace sns
