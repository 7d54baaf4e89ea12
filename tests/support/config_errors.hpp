#pragma once
// What solver configurations are refused with.
#include "tests/support/solver_cases.hpp"

#include <doctest/doctest.h>

namespace sns::test {

/// Message of the error with which a solver block, with overrides, is refused or its first member cannot be
/// initialised; "no error" if it is fine.
inline std::string error_of(const std::string& block, const Overrides& overrides, const char* device = "cpu") {
  try {
    solver_of(block, overrides, 1, 1, 1, device)->initialise(0, 0);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

/// One line that holds all parts.
inline void check_one_line(const std::string& message, const std::vector<std::string>& parts) {
  CAPTURE(message);
  for (const std::string& part : parts) CHECK(message.find(part) != std::string::npos);
  CHECK(message.find('\n') == std::string::npos);
}

}  // namespace sns::test
