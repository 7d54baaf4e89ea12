#include "core/text.hpp"

#include <fmt/format.h>

#include <string_view>

namespace sns {
namespace {

/// Takes the next line that is not empty off the front of `text`, without indentation; "nothing" at the end.
std::string_view next_line(std::string_view& text) {
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
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

}  // namespace sns
