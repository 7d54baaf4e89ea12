#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace sns {

/// Something wrong with a file of a data set.
struct Problem {
  std::string file;  ///< relative to the data set folder
  std::string what;
};

struct VerifyReport {
  std::int64_t files = 0, samples = 0, frames = 0;
  std::uint64_t bytes = 0;
  std::vector<Problem> problems;
};

/// Checks every file of a finished data set against MANIFEST.jsonl: presence, size, SHA-256, structure,
/// completeness flags, values (finite, and equal to their frame hashes, which locates damage); and that there
/// are no files besides. Error if there is no readable manifest.
VerifyReport verify_dataset(const std::filesystem::path& folder);

}  // namespace sns
