#pragma once
// How a test program says that this machine cannot run it.
#include <cstdio>
#include <cstdlib>
#include <string>

namespace sns::test {

/// Ends the program as skipped (exit code 77) for want of a GPU.
[[noreturn]] inline void skip_program(const std::string& why) {
  std::printf("skipped: no usable GPU: %s\n", why.c_str());
  std::fflush(stdout);
  std::_Exit(77);
}

}  // namespace sns::test
