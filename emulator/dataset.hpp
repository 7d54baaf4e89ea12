#pragma once
// Training data: the HDF5 data sets of `sns datagen` (a superset of The Well's layout), read as normalised
// frames. Nothing here depends on LibTorch; frames are plain float32 memory.
//
// Normalisation is one number per field (as in the SNS reference code): x = field / field_std, no
// mean is removed. Axis order is the file's.
#include "core/hdf5.hpp"
#include "emulator/training_frames.hpp"

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
  /// Epoch that a position lies in.
  std::uint64_t epoch(std::uint64_t position) const { return position / size_; }

 private:
  std::uint64_t size_, seed_, epoch_ = 0;
  Permutation permutation_;
};

/// One split (train, valid or test) as normalised float32 frames [C, X, Y], the same in every pass.
/// It is loaded into memory when it fits into `memory_budget` bytes; otherwise frames are read from the files
/// on demand, and at most kOpenFiles files are open at a time. Thread safe.
class DataSplit : public TrainingFrames {
 public:
  static constexpr std::uint64_t kDefaultBudget = std::uint64_t{2} << 30;
  static constexpr std::size_t kOpenFiles = 32;

  /// `field_std` divides the fields; usually info.field_std. Error if files are missing, disagree with `info`
  /// in shape, or hold non-finite values.
  DataSplit(const DatasetInfo& info, const std::string& split, std::vector<double> field_std,
            std::uint64_t memory_budget = kDefaultBudget);

  const std::string& name() const override { return split_; }
  std::string origin() const override { return in_memory_ ? "in memory" : "read from disk"; }
  std::int64_t trajectories() const override { return static_cast<std::int64_t>(trajectories_.size()); }
  std::int64_t frames(std::int64_t trajectory) const override;
  std::int64_t channels() const override { return static_cast<std::int64_t>(fields_.size()); }
  std::int64_t nx() const override { return nx_; }
  std::int64_t ny() const override { return ny_; }
  bool in_memory() const { return in_memory_; }

 protected:
  void do_read(std::int64_t trajectory, std::int64_t first, std::int64_t count, std::span<float> out,
               std::uint64_t pass) const override;

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

/// The splits train and (where there is one) valid of a data set folder; each is held in memory if it fits into
/// `memory_budget` bytes.
TrainingSource dataset_source(const std::filesystem::path& folder, std::uint64_t memory_budget);

}  // namespace sns
