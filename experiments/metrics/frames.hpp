#pragma once
// Frames of data-set folders and rollout files, read in chunks.
#include "core/hdf5.hpp"
#include "experiments/metrics/flow.hpp"

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace sns::metrics {

/// Members of equal length on one square grid, with one or several fields.
class FrameSource {
 public:
  /// All trajectories of <folder>/data/<any split>/*.h5, ordered by trajectory id, with all fields.
  static FrameSource dataset(const std::filesystem::path& folder);
  /// These fields of a rollout file; Error if it is not complete or lacks one.
  static FrameSource rollout(const std::filesystem::path& file, const std::vector<std::string>& fields);

  const std::vector<std::string>& fields() const { return names_; }

  int members() const { return static_cast<int>(places_.size()); }
  std::int64_t id(int member) const { return places_[static_cast<std::size_t>(member)].id; }
  std::int64_t frames() const { return frames_; }
  int points() const { return points_; }
  /// Values of one field of a frame.
  std::size_t pixels() const { return static_cast<std::size_t>(points_) * static_cast<std::size_t>(points_); }
  /// Values of a frame: of all fields.
  std::size_t frame_size() const { return names_.size() * pixels(); }
  /// Time between frames, in the solver's units.
  double interval() const { return interval_; }
  /// Frames first..first+count-1: [frame][field][x][y] (axes as stored), physical units.
  void read(int member, std::int64_t first, std::int64_t count, std::span<float> out) const;

 private:
  struct Place {
    std::int64_t id;
    std::size_t file;
    std::uint64_t index;
  };
  void append(const std::filesystem::path& file, const std::string& group, const std::string& ids);

  std::vector<std::string> names_;
  std::vector<std::vector<h5::Dataset>> files_;  ///< per file, one per field
  std::vector<Place> places_;
  std::int64_t frames_ = 0;
  int points_ = 0;
  double interval_ = 0;
};

/// The flow that a data-set folder holds, from its first file: grid, domain (points times the spacing of the x
/// axis), fields, units, axis names, and the constants of the inversion for two-layer flow.
Flow read_flow(const std::filesystem::path& folder);

}  // namespace sns::metrics
