#pragma once
// Reads data sets written by `sns datagen`, a slab at a time.
#include "core/hdf5.hpp"

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace sns {

/// One file: samples x frames of some fields on one grid.
class DataFile {
 public:
  /// Error if it is missing, truncated, incomplete or not of this layout.
  explicit DataFile(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  const std::vector<std::string>& fields() const { return fields_; }
  std::int64_t samples() const { return samples_; }
  std::int64_t frames() const { return frames_; }
  const h5::Shape& grid() const { return grid_; }  ///< points per axis, in storage order
  std::size_t points() const { return h5::element_count(grid_); }
  const std::vector<std::string>& axis_names() const { return axis_names_; }
  std::vector<double> coordinates(const std::string& axis) const;                  ///< "x", "y", "time"
  const std::vector<std::int64_t>& trajectories() const { return trajectories_; }  ///< of each sample
  std::vector<std::uint64_t> frame_hashes() const;  ///< [sample][frame]; Error unless it has one of each
  /// Resolved configuration of the data set.
  std::string identity() const;

  /// out[frame][axis0][axis1] of frames [first, first + count) of one sample.
  void read(const std::string& field, std::int64_t sample, std::int64_t first, std::int64_t count,
            std::span<float> out) const;
  /// The same of all fields, [frame][field][points].
  void read_all(std::int64_t sample, std::int64_t first, std::int64_t count, std::span<float> out) const;
  const h5::File& file() const { return file_; }

 private:
  std::filesystem::path path_;
  h5::File file_;
  std::vector<std::string> fields_, axis_names_;
  h5::Shape grid_;
  std::int64_t samples_ = 0, frames_ = 0;
  std::vector<std::int64_t> trajectories_;
  std::map<std::string, h5::Dataset> datasets_;
};

/// A split of a data set folder: its files seen as one array [sample][frame][axis0][axis1] per field.
class DatasetReader {
 public:
  /// `folder` holds data/<split>/*.h5. Error if there is none, or if files disagree in shape.
  DatasetReader(const std::filesystem::path& folder, const std::string& split);

  const std::vector<DataFile>& files() const { return files_; }
  std::int64_t samples() const { return samples_; }
  std::int64_t frames() const { return files_.front().frames(); }
  const h5::Shape& grid() const { return files_.front().grid(); }
  const std::vector<std::string>& fields() const { return files_.front().fields(); }
  /// Trajectory id of every sample.
  std::vector<std::int64_t> trajectories() const;

  /// out[sample][frame][axis0][axis1] for samples [first_sample, +sample_count) and frames [first, +count).
  void read(const std::string& field, std::int64_t first_sample, std::int64_t sample_count, std::int64_t first,
            std::int64_t count, std::span<float> out) const;

 private:
  std::vector<DataFile> files_;
  std::int64_t samples_ = 0;
};

}  // namespace sns
