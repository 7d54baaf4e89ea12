#pragma once
// Initial states that lie in files.
#include "core/config.hpp"
#include "core/hdf5.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace sns {

/// Reads a state of the given shape from `address`, FILE.h5:/dataset, converting to double. The dataset is
/// float32 or float64 and has that shape, or a leading axis of trajectories in front, from which item
/// `trajectory` is taken. Error if it is not there, or of another type or shape.
void read_initial_file(const std::string& address, const h5::Shape& shape, std::uint64_t trajectory,
                       std::span<double> out);

/// How many states lie along the axis of trajectories; none if there is no such axis: one state for all. Errors
/// as above.
std::optional<std::uint64_t> count_initial_states(const std::string& address, const h5::Shape& shape);

/// ConfigError if the `initial` block's `path` is missing where its kind is `file`, or given where the kind
/// reads no file.
void check_initial_path(const Section& initial, const std::string& kind, const std::string& path,
                        bool kind_reads_file);

}  // namespace sns
