#pragma once
// Parts of the suite that are opened at run time, so that the program starts where what they need is missing.
#include <filesystem>
#include <string>

namespace sns {

/// Opens a shared library that lies beside this program, in ../lib, or at `built`, where the build put it
/// (empty: it was not built). It stays open. nullptr: it does not load or is not of this version
/// (cmake/ModuleVersion.cmake), and `why` says why.
void* open_module(const std::string& name, const std::filesystem::path& built, const std::string& version,
                  std::string& why);

/// A function of an open module; Error if it has none of that name.
void* module_function(void* module, const std::string& module_name, const char* function);

}  // namespace sns
