#pragma once
// Initial states that lie in files.
#include "core/hdf5.hpp"

#include <cstdint>
#include <span>
#include <string>

namespace sns {

/// Reads a state of the given shape from `address`, FILE.h5:/dataset, converting to double. The dataset has
/// that shape, or a leading axis of trajectories in front, from which item `trajectory` is taken. Error if it
/// is not there or of another shape.
void read_initial_file(const std::string& address, const h5::Shape& shape, std::uint64_t trajectory,
                       std::span<double> out);

}  // namespace sns
