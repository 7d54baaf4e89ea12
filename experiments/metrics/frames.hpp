#pragma once
// Frames of data-set folders and rollout files, read in chunks.
#include "core/hdf5.hpp"

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

namespace sns::metrics {

/// Members of equal length on one square grid. Not thread safe (HDF5 is not).
class FrameSource {
 public:
  /// All trajectories of <folder>/data/<any split>/*.h5, ordered by trajectory id.
  static FrameSource dataset(const std::filesystem::path& folder);
  /// A rollout file; Error if it is not complete.
  static FrameSource rollout(const std::filesystem::path& file);

  int members() const { return static_cast<int>(places_.size()); }
  std::int64_t id(int member) const { return places_[static_cast<std::size_t>(member)].id; }
  std::int64_t frames() const { return frames_; }
  int points() const { return points_; }
  std::size_t pixels() const { return static_cast<std::size_t>(points_) * static_cast<std::size_t>(points_); }
  /// Time between frames, in the solver's units.
  double interval() const { return interval_; }
  /// Frames first..first+count-1: [frame][x][y], physical units.
  void read(int member, std::int64_t first, std::int64_t count, std::span<float> out) const;

 private:
  struct Place {
    std::int64_t id;
    std::size_t file;
    std::uint64_t index;
  };
  void append(const std::filesystem::path& file, const std::string& field, const std::string& ids);

  std::vector<h5::Dataset> fields_;
  std::vector<Place> places_;
  std::int64_t frames_ = 0;
  int points_ = 0;
  double interval_ = 0;
};

/// Side length of the periodic domain of a data-set folder: points times the spacing of its x axis.
double domain_length(const std::filesystem::path& folder);

}  // namespace sns::metrics
