#include "core/module.hpp"

#include "core/error.hpp"

#include <dlfcn.h>

namespace sns {
namespace {

/// Folder of this program, where the build and bundles put its modules.
std::filesystem::path own_folder() {
  std::error_code ignored;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", ignored);
  return ignored ? std::filesystem::path(".") : program.parent_path();
}

/// What a module says of itself (core/module_version.cpp).
std::string version_of(void* module) {
  using Version = const char* (*)();
  const auto version = reinterpret_cast<Version>(dlsym(module, "sns_module_version"));
  return version == nullptr ? "unknown" : version();
}

}  // namespace

void* open_module(const std::string& name, const std::filesystem::path& built, const std::string& version,
                  std::string& why) {
  if (built.empty()) {
    why = fmt::format("this build has no {} (nvcc was not found at configuration)", name);
    return nullptr;
  }
  why = fmt::format("{} was not found", name);
  for (const std::filesystem::path& place : {own_folder() / name, own_folder() / ".." / "lib" / name, built}) {
    if (!std::filesystem::exists(place)) continue;
    void* const module = dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (module == nullptr) {
      why = fmt::format("{} does not load: {}", place.string(), dlerror());
      continue;
    }
    const std::string found = version_of(module);
    if (found == version) {
      why.clear();  // also of what was wrong with an earlier place
      return module;
    }
    why = fmt::format(
        "{} is of another version than this program ({}, not {}): build both together, or unpack the bundle "
        "anew",
        place.string(), found, version);
    dlclose(module);
  }
  return nullptr;
}

void* module_function(void* module, const std::string& module_name, const char* function) {
  void* const address = dlsym(module, function);
  require(address != nullptr, "{} is of another version: it has no {}", module_name, function);
  return address;
}

}  // namespace sns
