#include "datagen/verify.hpp"

#include "core/error.hpp"
#include "core/files.hpp"
#include "core/progress.hpp"
#include "core/stop.hpp"
#include "datagen/manifest.hpp"
#include "datagen/reader.hpp"

#include <algorithm>
#include <cmath>
#include <set>

namespace sns {
namespace {

namespace fs = std::filesystem;

class Verifier {
 public:
  explicit Verifier(const fs::path& folder) : folder_(folder), manifest_(read_manifest(folder)) {}

  VerifyReport run() {
    if (fs::exists(folder_ / "partial")) problem("partial", "holds unfinished work; run 'sns datagen' again");
    Progress progress("verify", static_cast<std::int64_t>(manifest_.files.size()), "files");
    std::int64_t done = 0;
    for (const PlainFile& file : manifest_.plain) check_bytes(file.path, file.bytes, file.sha256);
    for (const FileRecord& record : manifest_.files) {
      if (!record.path.empty()) check_data(record);
      progress.update(++done);
    }
    check_strangers();
    return std::move(report_);
  }

 private:
  void problem(const std::string& file, const std::string& what) { report_.problems.push_back({file, what}); }

  /// False, with the problem noted, if the file is not what was written.
  bool check_bytes(const std::string& path, std::uint64_t bytes, const std::string& hash) {
    ++report_.files;
    std::error_code code;
    const auto size = fs::file_size(folder_ / path, code);
    if (code) {
      problem(path, "is missing");
      return false;
    }
    report_.bytes += size;
    if (size != bytes) {
      problem(path, fmt::format("has {} bytes instead of {}", size, bytes));
      return false;
    }
    if (sha256_file(folder_ / path) != hash) {
      problem(path, "was altered: its SHA-256 is not that of the manifest");
      return false;
    }
    return true;
  }

  void check_data(const FileRecord& record) {
    const bool intact = check_bytes(record.path, record.bytes, record.sha256);
    if (!fs::exists(folder_ / record.path)) return;
    try {
      const DataFile file(folder_ / record.path);
      report_.samples += file.samples();
      report_.frames += file.samples() * file.frames();
      if (file.samples() != record.samples) {
        problem(record.path, fmt::format("holds {} samples instead of {}", file.samples(), record.samples));
      }
      if (sha256(file.identity()) != manifest_.config_hash) problem(record.path, "is of another configuration");
      check_frames(file, record.path);
    } catch (const Stopped&) {
      throw;
    } catch (const Error& error) {
      // A damaged file may well be unreadable; that is one problem, not two.
      if (intact) problem(record.path, error.what());
    }
  }

  void check_frames(const DataFile& file, const std::string& path) {
    const auto hashes = file.frame_hashes();
    const std::size_t points = file.points(), values = points * file.fields().size();
    const std::int64_t chunk = chunk_frames(file.frames(), points);
    std::vector<float> frames(static_cast<std::size_t>(chunk) * values);
    for (std::int64_t sample = 0; sample < file.samples(); ++sample) {
      for (std::int64_t first = 0; first < file.frames(); first += chunk) {
        throw_if_stopped("before all was checked");
        const std::int64_t count = std::min(chunk, file.frames() - first);
        file.read_all(sample, first, count, frames);
        for (std::size_t j = 0; j < static_cast<std::size_t>(count); ++j) {
          const std::span<const float> frame(&frames[j * values], values);
          const std::int64_t number = first + static_cast<std::int64_t>(j);
          const auto where = [&] { return fmt::format("sample {} frame {}", sample, number); };
          if (!std::all_of(frame.begin(), frame.end(), [](float v) { return std::isfinite(v); })) {
            problem(path, where() + " holds a value that is not finite");
            return;
          }
          if (frame_hash(frame) != hashes[static_cast<std::size_t>(sample * file.frames() + number)]) {
            problem(path, where() + " is not what was written");
            return;
          }
        }
      }
    }
  }

  /// Files under data/ that the manifest does not know.
  void check_strangers() {
    std::set<fs::path> known;
    for (const FileRecord& record : manifest_.files) known.insert((folder_ / record.path).lexically_normal());
    if (!fs::exists(folder_ / "data")) return;
    for (const auto& entry : fs::recursive_directory_iterator(folder_ / "data")) {
      if (entry.is_regular_file() && !known.contains(entry.path().lexically_normal())) {
        problem(entry.path().lexically_relative(folder_).string(), "is not in the manifest");
      }
    }
  }

  fs::path folder_;
  Manifest manifest_;
  VerifyReport report_;
};

}  // namespace

VerifyReport verify_dataset(const fs::path& folder) {
  require(fs::is_directory(folder), "{} is not a folder", folder.string());
  return Verifier(folder).run();
}

}  // namespace sns
