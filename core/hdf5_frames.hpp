#pragma once
// Frames of several fields out of HDF5 arrays of one field each.
#include "core/hdf5.hpp"

#include <cstdint>
#include <span>

namespace sns::h5 {

/// Reads frames [first, first + count) of one row (a sample or member) of arrays [row][frame][axes..] of equal
/// shape, as out[frame][field][axes..] in the order of `fields`. Error if the arrays do not hold them.
void read_frames(std::span<const Dataset> fields, std::uint64_t row, std::int64_t first, std::int64_t count,
                 std::span<float> out);

}  // namespace sns::h5
