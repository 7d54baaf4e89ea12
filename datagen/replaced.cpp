#include "datagen/replaced.hpp"

#include "core/files.hpp"

namespace sns {

namespace fs = std::filesystem;

ReplacedResults::ReplacedResults(fs::path folder, std::string last)
    : folder_(std::move(folder)), aside_(folder_ / "replaced"), last_(std::move(last)) {}

void ReplacedResults::set_aside(const std::vector<std::string>& entries) {
  const bool older = fs::exists(aside_ / last_);
  make_writable_folder(aside_);
  for (const std::string& name : entries) {
    if (older)
      fs::remove_all(folder_ / name);
    else if (fs::exists(folder_ / name))
      fs::rename(folder_ / name, aside_ / name);
  }
}

void ReplacedResults::put_back(const std::vector<std::string>& entries) {
  for (const std::string& name : entries) fs::remove_all(folder_ / name);
  std::vector<fs::path> names;  // first: what is renamed while it is listed may be listed twice, or never
  for (const fs::directory_entry& entry : fs::directory_iterator(aside_))
    names.push_back(entry.path().filename());
  for (const fs::path& name : names)
    if (name != last_) fs::rename(aside_ / name, folder_ / name);
  if (fs::exists(aside_ / last_)) fs::rename(aside_ / last_, folder_ / last_);
  discard();
}

void ReplacedResults::discard() {
  const fs::path going = folder_ / "replaced.removed";  // what is half removed must not be put back
  fs::remove_all(going);
  if (!fs::exists(aside_)) return;
  fs::rename(aside_, going);
  fs::remove_all(going);
}

std::uint64_t ReplacedResults::bytes() const {
  std::uint64_t sum = 0;
  if (!fs::exists(aside_)) return sum;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(aside_))
    if (entry.is_regular_file()) sum += entry.file_size();
  return sum;
}

bool ReplacedResults::was_cut_off() const {
  return fs::exists(aside_) && !(fs::exists(aside_ / last_) && fs::exists(folder_ / last_));
}

}  // namespace sns
