#pragma once
// Training data: the HDF5 data sets of `sns datagen` (a superset of The Well's layout), read as normalised
// frames. Nothing here depends on LibTorch; frames are plain float32 memory.
//
// Normalisation is one number per field (as in the SNS reference code): x = field / field_std, no
// mean is removed. Axis order is the file's.
#include "core/hdf5.hpp"

#include <array>
#include <cstdint>
#include <filesystem>
#include <list>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

namespace sns {

/// What a data set holds, from its first training file and its stats.yaml.
struct DatasetInfo {
  std::filesystem::path folder;
  std::string name;                  ///< root attribute dataset_name
  std::vector<std::string> fields;   ///< channel order
  std::vector<double> field_std;     ///< of the training split, physical units, one per field
  std::vector<double> residual_std;  ///< rms of one frame's change / field_std; empty if stats.yaml lacks it
  std::int64_t nx = 0;               ///< points along the first space axis
  std::int64_t ny = 0;               ///< points along the second
  double frame_interval = 0;         ///< time between frames, the system's time unit
  std::string hash;                  ///< SHA-256 of the manifest (of all files where there is none)
};

/// Opens a data set folder. `fields` empty = all fields of /t0_fields in the order of their names' list.
/// Error if the folder, its training files or stats.yaml are missing or malformed.
DatasetInfo describe_dataset(const std::filesystem::path& folder, const std::vector<std::string>& fields = {});

/// A keyed permutation of 0..size-1 in constant memory: an 8-round Feistel network on the smallest even number
/// of bits that holds `size`, with cycle walking (values outside are mapped again until they fall inside; at
/// most four draws on average). Round keys come from the Philox stream (seed, batch_order, epoch).
class Permutation {
 public:
  Permutation(std::uint64_t size, std::uint64_t seed, std::uint64_t epoch);
  std::uint64_t operator()(std::uint64_t index) const;  ///< index < size

 private:
  std::uint64_t size_;
  int half_bits_;
  std::array<std::uint64_t, 8> keys_{};
};

/// Endless sampling without replacement: position p is item permutation_{p / size}(p % size). A pure function
/// of the position, so that a resumed run needs no stored state, and batches may straddle epochs.
class EpochSampler {
 public:
  EpochSampler(std::uint64_t size, std::uint64_t seed);
  std::uint64_t operator()(std::uint64_t position);
  std::uint64_t size() const { return size_; }

 private:
  std::uint64_t size_, seed_, epoch_ = 0;
  Permutation permutation_;
};

/// One split (train, valid or test) as normalised float32 frames [C, X, Y].
/// It is loaded into memory when it fits into `memory_budget` bytes; otherwise frames are read from the files
/// on demand, and at most kOpenFiles files are open at a time. Thread safe.
class DataSplit {
 public:
  static constexpr std::uint64_t kDefaultBudget = std::uint64_t{2} << 30;
  static constexpr std::size_t kOpenFiles = 32;

  /// `field_std` divides the fields; usually info.field_std. Error if files are missing, disagree with `info`
  /// in shape, or hold non-finite values.
  DataSplit(const DatasetInfo& info, const std::string& split, std::vector<double> field_std,
            std::uint64_t memory_budget = kDefaultBudget);

  const std::string& name() const { return split_; }
  std::int64_t trajectories() const { return static_cast<std::int64_t>(trajectories_.size()); }
  std::int64_t frames(std::int64_t trajectory) const;
  std::int64_t channels() const { return static_cast<std::int64_t>(fields_.size()); }
  std::int64_t nx() const { return nx_; }
  std::int64_t ny() const { return ny_; }
  std::int64_t frame_size() const { return channels() * nx_ * ny_; }
  bool in_memory() const { return in_memory_; }

  /// Number of windows of `length` consecutive frames.
  std::int64_t windows(std::int64_t length) const;
  /// Copies window number `index` of the windows of `length` frames: out is [length, C, X, Y].
  void read_window(std::int64_t index, std::int64_t length, std::span<float> out) const;
  /// Trajectory that the window lies in, and its first frame.
  std::pair<std::int64_t, std::int64_t> locate(std::int64_t index, std::int64_t length) const;
  /// Copies frames first..first+count-1 of a trajectory: out is [count, C, X, Y].
  void read(std::int64_t trajectory, std::int64_t first, std::int64_t count, std::span<float> out) const;

 private:
  struct Trajectory {
    std::size_t file;
    std::uint64_t sample;
    std::int64_t frames;
  };
  struct OpenFile {
    std::size_t file;
    std::vector<h5::Dataset> fields;
  };
  void scan(const DatasetInfo& info);
  void load();
  void read_from_file(const Trajectory& trajectory, std::int64_t first, std::int64_t count,
                      std::span<float> out) const;
  const std::vector<h5::Dataset>& open(std::size_t file) const;

  std::string split_;
  std::vector<std::string> fields_;
  std::vector<double> field_std_;
  std::int64_t nx_, ny_;
  std::vector<std::filesystem::path> files_;
  std::vector<Trajectory> trajectories_;
  bool in_memory_ = false;
  std::vector<std::vector<float>> frames_;  ///< per trajectory [T, C, X, Y], when in memory
  mutable std::mutex mutex_;
  mutable std::list<OpenFile> open_;  ///< most recently used first
};

}  // namespace sns
