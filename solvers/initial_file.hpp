#pragma once
// Initial states that lie in files.
#include "core/config.hpp"
#include "core/hdf5_addressed.hpp"

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
  std::string axes = {};  ///< their names, for messages: "x, y"
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

/// An array of states in a file, FILE.h5:/dataset (h5::AddressedArray): float32 or float64, of the layout's
/// shape, with or without an axis of several states in front.
class InitialStatesFile {
 public:
  /// Error if it is not there, or of another type or shape (all named).
  InitialStatesFile(std::string address, const StateLayout& layout);

  /// Of the array, without its time axis.
  h5::Shape shape() const { return array_.shape(); }
  const StoredStates& stored() const { return stored_; }
  /// State `index`, or the only one where there is no axis of states, as it lies there: of shape
  /// stored().state. Error if the file has fewer.
  std::vector<double> read(std::uint64_t index) const;
  /// Of the values, as double, and of the array's shape. Remembered for as long as the file stays the same.
  std::string sha256() const;

 private:
  std::string address_;
  h5::AddressedArray array_;
  StoredStates stored_;
};

/// Writes the state that `trajectory` starts from to `out`, on the layout's grid. Errors as above.
void read_initial_file(const std::string& address, const StateLayout& layout, std::uint64_t trajectory,
                       std::span<double> out);

/// Records the file's SHA-256 as `sha256` in the `initial` block, so that whatever is known by its
/// configuration is known by the states as well. Returns how many states lie along the axis of trajectories;
/// none if there is no such axis: one state for all. ConfigError if the block gives another SHA-256, otherwise
/// Errors as above.
std::optional<std::uint64_t> record_initial_file(Section& initial, const std::string& address,
                                                 const StateLayout& layout);

/// Reads `path` and, where there is one, `resample` of the `initial` block. ConfigError if `path` is missing
/// where the kind is `file`, or given where the kind reads no file, or if there is nothing to resample or to
/// know by a SHA-256.
void read_initial_path(Section& initial, const std::string& kind, bool kind_reads_file, std::string& path,
                       bool& resample);

/// ConfigError if a key of the `initial` block is `given` that its kind has no use for.
void check_use(const Section& initial, const std::string& kind, const char* key, bool given, bool used);

}  // namespace sns
