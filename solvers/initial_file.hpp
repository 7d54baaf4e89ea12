#pragma once
// Initial states that lie in files.
#include "core/config.hpp"
#include "core/hdf5.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace sns {

/// What a solver's states look like in files.
struct StateLayout {
  h5::Shape shape;        ///< [..][n][n], n points along each side of the solver's grid
  double offset = 0;      ///< of the first point of any grid from the origin, in that grid's spacings
  bool resample = false;  ///< takes states on other grids, of an even number of points, at least 8
};

/// How an array fits a layout.
struct StoredStates {
  bool several = false;     ///< along an axis in front
  std::uint64_t count = 1;  ///< at least 1
  h5::Shape state;          ///< of one of them
};
/// nullopt for an array of another shape.
std::optional<StoredStates> match_states(const h5::Shape& array, const StateLayout& layout);
/// What to add to the message on an array that does not fit: how it can be used, if it can.
std::string resample_hint(const h5::Shape& array, const StateLayout& layout);

/// States of shape `state`, one after another, on the layout's grid: resampled by Fourier modes
/// (spectral::resample, without the Nyquist modes of a coarser grid) where theirs is another one.
std::vector<double> states_on_grid(std::vector<double> values, const h5::Shape& state,
                                   const StateLayout& layout);

/// Reads a state from `address`, FILE.h5:/dataset, converting to double. The dataset is float32 or float64 and
/// has the layout's shape, or a leading axis of trajectories in front, from which item `trajectory` is taken.
/// Error if it is not there, or of another type or shape.
void read_initial_file(const std::string& address, const StateLayout& layout, std::uint64_t trajectory,
                       std::span<double> out);

/// How many states lie along the axis of trajectories; none if there is no such axis: one state for all. Errors
/// as above.
std::optional<std::uint64_t> count_initial_states(const std::string& address, const StateLayout& layout);

/// Reads `path` and, where there is one, `resample` of the `initial` block. ConfigError if `path` is missing
/// where the kind is `file`, or given where the kind reads no file, or if there is nothing to resample.
void read_initial_path(Section& initial, const std::string& kind, bool kind_reads_file, std::string& path,
                       bool& resample);

/// ConfigError if a key of the `initial` block is `given` that its kind has no use for.
void check_use(const Section& initial, const std::string& kind, const char* key, bool given, bool used);

}  // namespace sns
