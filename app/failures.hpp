#pragma once
#include <exception>
#include <string>

namespace sns {

/// The line that a failed program ends with, for an exception that is not one of the suite's.
std::string last_words(const std::exception& error);

}  // namespace sns
