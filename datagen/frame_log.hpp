#pragma once
// An append-only file of equal records: where frames wait until their run is complete. Unlike an HDF5 file it
// survives a kill at any moment: a checkpoint says how many records count, and the rest is cut off.
#include "core/error.hpp"
#include "core/memory.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace sns {

/// What was written is as it was at the last checkpoint, or can be put back to it.
class DiskFull : public Error {
 public:
  using Error::Error;
};

class FrameLog {
 public:
  /// Opens or creates `file`; existing records are kept.
  FrameLog(const std::filesystem::path& file, std::size_t record_bytes);
  ~FrameLog();
  FrameLog(const FrameLog&) = delete;
  FrameLog& operator=(const FrameLog&) = delete;

  /// Whole records in the file.
  std::int64_t records() const { return records_; }
  std::uint64_t bytes() const { return static_cast<std::uint64_t>(records_) * record_bytes_; }
  /// Forgets all records from `count` on; Error if there are fewer.
  void truncate(std::int64_t count);
  /// Appends a whole number of records. Error on a full disk; what was there stays.
  void append(std::span<const std::byte> bytes);
  void read(std::int64_t first, std::int64_t count, std::span<std::byte> out) const;
  /// To disk, so that a checkpoint may rely on it.
  void sync();

 private:
  std::filesystem::path file_;
  std::size_t record_bytes_;
  std::int64_t records_ = 0;
  int descriptor_ = -1;
};

/// Error unless the file system of `folder` has room for `bytes` more, with the numbers.
void require_space(const std::filesystem::path& folder, std::uint64_t bytes);

}  // namespace sns
