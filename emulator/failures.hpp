#pragma once
#include <exception>
#include <string>

namespace sns {

/// What an exception says, in one line: of LibTorch's, the first line without the stack that they carry, and
/// what helps where memory ran out, the device's or the host's.
std::string failure_text(const std::exception& error);

}  // namespace sns
