#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace sns {

/// Results that give way to others in the same folder: they lie in the folder's `replaced/` until those can
/// stand in their place. Who calls holds the folder alone.
class ReplacedResults {
 public:
  /// `last`: the entry of a folder that makes results of the others (of a data set: config.yaml).
  ReplacedResults(std::filesystem::path folder, std::string last);

  /// Moves these entries of the folder, as far as they are there; `last` has to stand at their end. Where whole
  /// results lie aside already, those are kept and the entries are removed.
  void set_aside(const std::vector<std::string>& entries);
  /// Moves everything back, in place of these entries.
  void put_back(const std::vector<std::string>& entries);
  /// Removes it, if there is any.
  void discard();
  /// Whether a move, there or back, was cut off: put_back({}) mends it.
  bool was_cut_off() const;
  const std::filesystem::path& path() const { return aside_; }
  /// Of the files aside: what becomes free when they are discarded.
  std::uint64_t bytes() const;

 private:
  std::filesystem::path folder_, aside_;
  std::string last_;
};

}  // namespace sns
