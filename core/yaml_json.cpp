#include "core/yaml_json.hpp"

#include "core/error.hpp"

#include <yaml-cpp/yaml.h>
#include <nlohmann/json.hpp>

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <optional>
#include <regex>

namespace sns {
namespace {

template <class T>
std::optional<T> whole(const std::string& text) {
  const char* const begin = text.data() + (text[0] == '+' ? 1 : 0);
  T value{};
  const auto [end, error] = std::from_chars(begin, text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

nlohmann::ordered_json scalar(const std::string& text) {
  static const std::regex number(R"([-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?)");
  static const std::regex not_finite(R"([-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))");
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") return nullptr;
  if (text == "true" || text == "True" || text == "TRUE") return true;
  if (text == "false" || text == "False" || text == "FALSE") return false;
  const bool is_number = std::regex_match(text, number);
  const double real = is_number ? std::strtod(text.c_str(), nullptr) : 0;
  if (std::regex_match(text, not_finite) || std::isinf(real))
    fail<Error>("'{}' has no counterpart in JSON", text);
  if (!is_number) return text;
  if (const auto integer = whole<std::int64_t>(text)) return *integer;
  if (const auto integer = whole<std::uint64_t>(text)) return *integer;
  return real;
}

nlohmann::ordered_json convert(const YAML::Node& node) {
  if (node.IsMap()) {
    auto object = nlohmann::ordered_json::object();
    for (const auto& item : node) object[item.first.as<std::string>()] = convert(item.second);
    return object;
  }
  if (node.IsSequence()) {
    auto array = nlohmann::ordered_json::array();
    for (const auto& item : node) array.push_back(convert(item));
    return array;
  }
  if (!node.IsScalar()) return nullptr;
  return node.Tag() == "!" ? nlohmann::ordered_json(node.Scalar()) : scalar(node.Scalar());
}

}  // namespace

std::string yaml_to_json(const std::string& yaml) {
  try {
    return convert(YAML::Load(yaml)).dump();
  } catch (const YAML::Exception& error) {
    fail<Error>("not YAML: {}", error.what());
  }
}

}  // namespace sns
