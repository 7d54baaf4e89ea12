#include "core/build_info.hpp"

#include "build_stamp.hpp"
#include "core/files.hpp"

#include <unistd.h>

#include <ctime>

namespace sns {

const BuildInfo& build_info() {
  static const BuildInfo info{SNS_VERSION, SNS_GIT_COMMIT, SNS_GIT_DIRTY, SNS_COMPILER, SNS_FLAGS};
  return info;
}

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

std::string hostname_hash() {
  char name[256] = {};
  if (gethostname(name, sizeof name - 1) != 0) return "unknown";
  return sha256(name).substr(0, 8);
}

}  // namespace sns
