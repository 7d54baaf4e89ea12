#include "core/module.hpp"

#include <doctest/doctest.h>

#include <filesystem>

using sns::open_module;

namespace {

/// Of tests/CMakeLists.txt, version "1.0-test"; the other one tells none.
const std::filesystem::path kModule = SNS_TEST_MODULE, kSilent = SNS_TEST_MODULE_WITHOUT_VERSION;

std::string refusal(const std::filesystem::path& module, const std::string& version) {
  std::string why;
  CHECK(open_module(module.filename(), module, version, why) == nullptr);
  return why;
}

}  // namespace

TEST_CASE("modules of this version are opened, and others refused") {
  std::string why;
  CHECK(open_module(kModule.filename(), kModule, "1.0-test", why) != nullptr);
  CHECK(why.empty());
  const std::string other = refusal(kModule, "1.1-test");
  CHECK(other ==
        kModule.string() +
            " is of another version than this program (1.0-test, not 1.1-test): build both together, or "
            "unpack the bundle anew");
  CHECK(refusal(kSilent, "1.0-test").find("(unknown, not 1.0-test)") != std::string::npos);
  CHECK(refusal("/nowhere/libabsent.so", "1.0-test") == "libabsent.so was not found");
  CHECK(refusal("", "1.0-test").find("this build has no") != std::string::npos);
}
