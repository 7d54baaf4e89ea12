#pragma once
#include "core/config.hpp"

#include <cstdint>
#include <filesystem>
#include <string>

namespace sns {

/// The `run` block, common to all verbs.
struct RunConfig {
  std::string name = "run";
  std::uint64_t seed = 0;
  std::filesystem::path output;  ///< default runs/<name>
  std::string device = "auto";   ///< auto | cpu | cuda | cuda:N
  int threads = 0;               ///< resolved: `auto` (default) or an integer >= 1
};

/// Reads and checks `run`; relative `output` is relative to the working directory.
RunConfig read_run(const Config& config);

}  // namespace sns
