#include "core/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <string_view>

namespace sns {
namespace {

/// Takes the next line, or part of one that ends with a semicolon, that is not empty off the front of `text`,
/// without indentation; "nothing" at the end.
std::string_view next_line(std::string_view& text) {
  while (!text.empty()) {
    const std::size_t end = text.find_first_of("\n;");
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    const std::size_t start = line.find_first_not_of(' ');
    if (start != std::string_view::npos) return line.substr(start);
  }
  return "nothing";
}

}  // namespace

std::string shape_text(const std::vector<std::uint64_t>& shape) {
  return fmt::format("({})", fmt::join(shape, ", "));
}

std::string counted(std::int64_t count, const std::string& noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::pair<std::string, std::string> first_difference(const std::string& a, const std::string& b) {
  std::string_view rest_a = a, rest_b = b;
  while (!rest_a.empty() || !rest_b.empty()) {
    const std::string_view line_a = next_line(rest_a), line_b = next_line(rest_b);
    if (line_a != line_b) return {std::string(line_a), std::string(line_b)};
  }
  return {"nothing", "nothing"};
}

std::string shell_word(const std::string& word) {
  const bool plain = !word.empty() && std::all_of(word.begin(), word.end(), [](unsigned char c) {
    return std::isalnum(c) || std::strchr("_-./:=,+@%", c) != nullptr;
  });
  if (plain) return word;
  std::string out = "'";
  for (const char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

}  // namespace sns
