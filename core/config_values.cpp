#include "core/config_values.hpp"

#include "core/error.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <string_view>
#include <type_traits>

namespace sns::detail {
namespace {

bool is_plain(const Value& value) {
  return value.type == Value::Type::scalar && !value.quoted;
}

template <class T>
std::string read_integer(const Value& value, T& out) {
  std::string expected = std::is_unsigned_v<T> ? "a non-negative integer" : "an integer";
  if (!is_plain(value)) return expected;
  const char* begin = value.text.data();
  const char* end = begin + value.text.size();
  if (value.text.size() > 1 && *begin == '+' && begin[1] != '-') ++begin;
  T number{};
  const auto [stop, status] = std::from_chars(begin, end, number);
  if (stop != end || status == std::errc::invalid_argument) return expected;
  if (status == std::errc::result_out_of_range)
    return fmt::format("an integer between {} and {}", std::numeric_limits<T>::min(),
                       std::numeric_limits<T>::max());
  out = number;
  return {};
}

}  // namespace

std::string read_value(const Value& value, bool& out) {
  if (!is_plain(value) || (value.text != "true" && value.text != "false")) return "true or false";
  out = value.text == "true";
  return {};
}

std::string read_value(const Value& value, int& out) {
  return read_integer(value, out);
}
std::string read_value(const Value& value, std::int64_t& out) {
  return read_integer(value, out);
}
std::string read_value(const Value& value, std::uint64_t& out) {
  return read_integer(value, out);
}

std::string read_value(const Value& value, double& out) {
  std::string expected = "a number";
  if (!is_plain(value) || value.text.empty()) return expected;
  std::string_view text = value.text;
  const bool negative = text[0] == '-';
  if (negative || text[0] == '+') text.remove_prefix(1);
  double number = 0;
  if (text == ".inf" || text == ".nan") return "a finite number";
  // from_chars also knows "inf", "nan" and a second sign
  if (text.empty() || (text[0] != '.' && (text[0] < '0' || text[0] > '9'))) return expected;
  const auto [stop, status] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (stop != text.data() + text.size() || status == std::errc::invalid_argument) return expected;
  if (status == std::errc::result_out_of_range) return "a number that a double can hold";
  out = negative ? -number : number;
  return {};
}

std::string read_value(const Value& value, std::string& out) {
  if (value.type != Value::Type::scalar) return "a text";
  out = value.text;
  return {};
}

std::string to_yaml(bool value) {
  return value ? "true" : "false";
}
std::string to_yaml(int value) {
  return fmt::format("{}", value);
}
std::string to_yaml(std::int64_t value) {
  return fmt::format("{}", value);
}
std::string to_yaml(std::uint64_t value) {
  return fmt::format("{}", value);
}

std::string to_yaml(double value) {
  if (std::isinf(value)) return value > 0 ? ".inf" : "-.inf";
  if (std::isnan(value)) return ".nan";
  std::string text = fmt::format("{}", value);
  if (text.find('.') == std::string::npos) text.insert(std::min(text.find('e'), text.size()), ".0");
  return text;
}

std::string to_yaml(const std::string& value) {
  static const std::vector<std::string> reserved = {"true", "false", "null", "yes", "no", "on", "off"};
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  const auto plain = [&](char c) {
    return letter(c) || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.' || c == '/';
  };
  std::string lower = value;
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  if (!value.empty() && (letter(value[0]) || value[0] == '/') &&
      std::all_of(value.begin(), value.end(), plain) &&
      std::find(reserved.begin(), reserved.end(), lower) == reserved.end())
    return value;
  std::string quoted = "\"";
  for (const char c : value) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (c == '\n') {
      quoted += "\\n";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      quoted += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

std::string to_flow_yaml(const Value& value) {
  switch (value.type) {
    case Value::Type::null:
      return "null";
    case Value::Type::scalar:
      return value.quoted ? to_yaml(value.text) : value.text;
    case Value::Type::list:
    case Value::Type::map:
      break;
  }
  const bool list = value.type == Value::Type::list;
  std::string out;
  for (const auto& entry : value.entries)
    out += (out.empty() ? "" : ", ") + (list ? "" : entry.key + ": ") + to_flow_yaml(*entry.value);
  return list ? "[" + out + "]" : "{" + out + "}";
}

}  // namespace sns::detail
