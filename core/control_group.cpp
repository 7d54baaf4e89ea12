#include "core/control_group.hpp"

#include <algorithm>
#include <fstream>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace sns {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kUnknown = std::numeric_limits<std::uint64_t>::max();

/// The number that a file begins with; kUnknown where there is none ("max", no such file).
std::uint64_t number_in(const fs::path& file) {
  std::ifstream stream(file);
  std::uint64_t number = 0;
  return stream >> number ? number : kUnknown;
}

/// Folders that may limit the process: of its own group and of all around it, of one controller. Version 1
/// keeps each controller apart. In a container the root may be the process's own group, although its path says
/// more.
std::vector<fs::path> group_folders(const ControlGroupFiles& files, const std::string& controller) {
  std::vector<fs::path> folders;
  std::ifstream lines(files.membership);
  for (std::string line; std::getline(lines, line);) {  // "4:memory:/a/b", of version 2 "0::/a/b"
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string names = "," + line.substr(first + 1, second - first - 1) + ",";
    const bool unified = names == ",,";
    if (!unified && names.find("," + controller + ",") == std::string::npos) continue;
    const fs::path top = unified ? files.root : files.root / controller;
    for (fs::path path = fs::path(line.substr(second + 1)).relative_path(); !path.empty();
         path = path.parent_path())
      folders.push_back(top / path);
    folders.push_back(top);
  }
  return folders;
}

/// Pages of files count as used in a group although they can be dropped, so limit - used may be too little for
/// a process that is close to its limit; three quarters of the limit are taken to be there at any rate.
std::uint64_t memory_left(std::uint64_t limit, std::uint64_t used) {
  if (limit == kUnknown) return kUnknown;
  return std::max(limit - std::min(limit, used), limit / 4 * 3);
}

}  // namespace

std::uint64_t memory_in_group(const ControlGroupFiles& files) {
  std::uint64_t least = kUnknown;
  for (const fs::path& folder : group_folders(files, "memory"))
    for (const auto& [limit, used] :
         {std::pair{"memory.max", "memory.current"}, {"memory.limit_in_bytes", "memory.usage_in_bytes"}})
      least = std::min(least, memory_left(number_in(folder / limit), number_in(folder / used)));
  return least;
}

double cores_in_group(const ControlGroupFiles& files) {
  double least = std::numeric_limits<double>::infinity();
  for (const fs::path& folder : group_folders(files, "cpu")) {
    double quota = 0, period = 0;  // microseconds; "max 100000" or -1 where there is no limit
    if (std::ifstream(folder / "cpu.max") >> quota >> period && quota > 0 && period > 0)
      least = std::min(least, quota / period);
    if (std::ifstream(folder / "cpu.cfs_quota_us") >> quota && quota > 0 &&
        std::ifstream(folder / "cpu.cfs_period_us") >> period && period > 0)
      least = std::min(least, quota / period);
  }
  return least;
}

}  // namespace sns
