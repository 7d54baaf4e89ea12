#pragma once
// Files that are never half written, run folders, and content hashes.
#include "core/error.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace sns {

/// Calls write(temporary path in the same folder), fsyncs, renames onto `target` and fsyncs the folder: a
/// reader never sees a half file. The temporary file is removed if `write` throws.
void write_atomically(const std::filesystem::path& target,
                      const std::function<void(const std::filesystem::path&)>& write);
/// The same for a text.
void write_text(const std::filesystem::path& target, std::string_view text);
std::string read_text(const std::filesystem::path& file);
/// Appends one line and flushes it (JSONL logs).
void append_line(const std::filesystem::path& file, std::string_view line);

/// fsync of a file or a folder; Error on failure.
void sync_to_disk(const std::filesystem::path& path);

/// Creates the folder (and parents) and checks that it can be written to; one clear Error otherwise.
void make_writable_folder(const std::filesystem::path& folder);

/// The folder that `file` is to be written to, made and seen to be writable before long work; Error if it is
/// not, or if `file` is a folder. Folders that it made and that are empty in the end, as nothing was written,
/// go again.
class OutputFolder {
 public:
  explicit OutputFolder(const std::filesystem::path& file);
  ~OutputFolder();
  OutputFolder(const OutputFolder&) = delete;
  OutputFolder& operator=(const OutputFolder&) = delete;

 private:
  std::vector<std::filesystem::path> made_;  ///< the innermost first
};

/// Hash by file name, as a folder's SHA256SUMS lists them (lines "HASH  NAME"); empty where there is none.
std::map<std::string, std::string> read_sums(const std::filesystem::path& folder);
/// Writes the folder's SHA256SUMS.
void write_sums(const std::filesystem::path& folder, const std::map<std::string, std::string>& hashes);

/// SHA-256, lower-case hexadecimal.
std::string sha256(std::string_view bytes);
std::string sha256_file(const std::filesystem::path& file);
/// 64-bit FNV-1a, for short ids that need no security.
std::uint64_t fnv1a(std::string_view bytes, std::uint64_t seed = 0xcbf29ce484222325ULL);

/// Another process holds the folder.
class FolderBusy : public Error {
 public:
  using Error::Error;
};

/// Held while a process writes to a folder: a second writer gets FolderBusy. Released by the kernel when
/// the process ends, however it ends. Shared locks are for processes that write to a folder together and keep
/// off one that wants it alone.
class FolderLock {
 public:
  enum class Kind { exclusive, shared };
  explicit FolderLock(const std::filesystem::path& folder, Kind kind = Kind::exclusive);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int descriptor_ = -1;
};

}  // namespace sns
