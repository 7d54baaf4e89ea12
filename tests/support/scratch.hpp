#pragma once
// Helpers of the tests: a folder that disappears afterwards, and the text of an expected exception.
#include "core/error.hpp"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <typeinfo>

namespace sns::test {

/// A fresh folder under the system's temporary folder, removed with everything in it at the end.
class ScratchFolder {
 public:
  ScratchFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "sns-test-XXXXXX").string();
    require(::mkdtemp(pattern.data()) != nullptr, "cannot make a scratch folder {}", pattern);
    path_ = pattern;
  }
  ~ScratchFolder() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// Message of the exception of exactly type E that `action` throws; a text that says so if it throws none.
template <class E = Error, class Action>
std::string message_of(Action&& action) {
  try {
    action();
  } catch (const E& e) {
    return typeid(e) == typeid(E) ? e.what() : std::string("exception of a derived type: ") + e.what();
  } catch (const std::exception& e) {
    return std::string("exception of another type: ") + e.what();
  }
  return "no exception";
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace sns::test
