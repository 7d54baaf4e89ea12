#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace sns {

/// A data set that gives way to another one in the same folder: it lies in the folder's `replaced/` until that
/// one is finished. Who calls holds the folder alone.
class ReplacedDataset {
 public:
  explicit ReplacedDataset(std::filesystem::path folder);

  /// Moves these entries of the folder, as far as they are there; the last one is what makes a data set of the
  /// others. What lies there already is the older, finished data set: then the entries are removed.
  void set_aside(const std::vector<std::string>& entries);
  /// Moves everything back, in place of these entries.
  void put_back(const std::vector<std::string>& entries);
  /// Removes it, if there is any.
  void discard();
  /// Whether a move, there or back, was cut off: put_back({}) mends it.
  bool was_cut_off() const;
  const std::filesystem::path& path() const { return aside_; }

 private:
  std::filesystem::path folder_, aside_;
};

}  // namespace sns
