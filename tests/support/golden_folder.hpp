#pragma once
// Where recorded numbers are: the reduced copies beside the tests or, with SNS_GOLDEN_WHOLE in the environment,
// the whole files that SNS_GOLDEN leads to.
#include "core/error.hpp"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

namespace sns::test {

/// Whether the whole files are asked for.
inline bool whole_golden() {
  return std::getenv("SNS_GOLDEN_WHOLE") != nullptr;
}

/// A record beside the tests: in the source tree, or in the folder that SNS_SOURCE names, for a test program
/// that was carried to another machine.
inline std::filesystem::path reduced_golden_file(const std::string& name) {
  const char* const elsewhere = std::getenv("SNS_SOURCE");
  return std::filesystem::path(elsewhere != nullptr ? elsewhere : SNS_SOURCE_DIR) / "tests/golden/data" / name;
}

/// A whole file, in SNS_GOLDEN itself or in the folder `kind` (solvers, emulator) in or beside it. Without any
/// the program ends as skipped (exit code 77); Error where it is the only one that is missing.
inline std::filesystem::path whole_golden_file(const std::string& kind, const std::string& name) {
  static bool found = false;
  if (const char* given = std::getenv("SNS_GOLDEN")) {
    const std::filesystem::path folder = std::filesystem::absolute(given) / "";
    for (const auto& place : {folder, folder / kind, folder.parent_path().parent_path() / kind})
      if (std::filesystem::exists(place / name)) {
        found = true;
        return place / name;
      }
  }
  // What has been checked by now must not be called skipped.
  require(!found, "SNS_GOLDEN leads to other files, but to no {}", name);
  std::printf("skipped: SNS_GOLDEN leads to no %s\n", name.c_str());
  std::fflush(stdout);
  std::_Exit(77);
}

}  // namespace sns::test
