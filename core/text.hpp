#pragma once
// Pieces of messages.
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace sns {

/// "(2, 64, 64)", as numpy writes shapes.
std::string shape_text(const std::vector<std::uint64_t>& shape);

/// "1 member", "2 members".
std::string counted(std::int64_t count, const std::string& noun);

/// First pair of lines, or of their parts between semicolons, in which two texts differ, without indentation;
/// "nothing" for a line that one of them lacks. Empty lines do not count. Both are "nothing" if the texts are
/// equal.
std::pair<std::string, std::string> first_difference(const std::string& a, const std::string& b);

/// A word as a shell takes it: in quotes where it needs them.
std::string shell_word(const std::string& word);

}  // namespace sns
