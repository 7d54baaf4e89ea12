#include "core/memory.hpp"

#include "core/error.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>

namespace sns {
namespace {

constexpr std::uint64_t kUnknown = std::numeric_limits<std::uint64_t>::max();

/// The number in a file that holds one; kUnknown where there is none ("max", no such file).
std::uint64_t number_in(const char* file) {
  std::ifstream stream(file);
  std::uint64_t number = 0;
  return stream >> number ? number : kUnknown;
}

std::uint64_t left(std::uint64_t limit, std::uint64_t used) {
  if (limit == kUnknown || used == kUnknown) return kUnknown;
  return limit > used ? limit - used : 0;
}

}  // namespace

std::uint64_t available_memory() {
  std::uint64_t machine = kUnknown;
  std::ifstream info("/proc/meminfo");
  for (std::string key, unit; info >> key;) {
    std::uint64_t kilobytes = 0;
    if (!(info >> kilobytes)) break;
    std::getline(info, unit);
    if (key == "MemAvailable:") machine = kilobytes * 1024;
  }
  // Pages of files count as used in a control group although they can be dropped, so this may be too little for
  // a process that is close to its limit; three quarters of the limit are taken to be there at any rate.
  std::uint64_t group = kUnknown;
  for (const auto& [limit, used] :
       {std::pair{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"},
        {"/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"}}) {
    const std::uint64_t most = number_in(limit);
    if (most != kUnknown) group = std::min(group, std::max(left(most, number_in(used)), most / 4 * 3));
  }
  return std::min(machine, group);
}

void require_memory(double bytes, const std::string& what) {
  const auto available = static_cast<double>(available_memory());
  require(bytes <= available, "not enough memory: {} need about {}, {} are available", what, human_bytes(bytes),
          human_bytes(available));
}

std::string human_bytes(double bytes) {
  constexpr const char* kUnits[] = {"B", "kB", "MB", "GB", "TB", "PB"};
  std::size_t unit = 0;
  while (bytes >= 1000 && unit + 1 < std::size(kUnits)) {
    bytes /= 1000;
    ++unit;
  }
  return unit == 0 ? fmt::format("{:.0f} B", bytes) : fmt::format("{:.3g} {}", bytes, kUnits[unit]);
}

}  // namespace sns
