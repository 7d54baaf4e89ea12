#include "core/memory.hpp"

#include "core/control_group.hpp"
#include "core/error.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <limits>

namespace sns {

std::uint64_t available_memory() {
  std::uint64_t machine = std::numeric_limits<std::uint64_t>::max();
  std::ifstream info("/proc/meminfo");
  for (std::string key, unit; info >> key;) {
    std::uint64_t kilobytes = 0;
    if (!(info >> kilobytes)) break;
    std::getline(info, unit);
    if (key == "MemAvailable:") machine = kilobytes * 1024;
  }
  return std::min(machine, memory_in_group());
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
