#pragma once
#include <string>

namespace sns {

/// What made a result; written into every output file.
struct BuildInfo {
  std::string version;     ///< of the suite
  std::string git_commit;  ///< "unknown" outside a checkout
  bool git_dirty = false;
  std::string compiler;
  std::string flags;
};
const BuildInfo& build_info();

/// Current time as ISO 8601 UTC, seconds.
std::string utc_now();
/// Short hash of the host's name: tells runs on different machines apart without naming them.
std::string hostname_hash();

}  // namespace sns
