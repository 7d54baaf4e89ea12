#include "core/yaml_json.hpp"

#include "core/error.hpp"

#include <yaml-cpp/yaml.h>
#include <nlohmann/json.hpp>

namespace sns {
namespace {

nlohmann::ordered_json scalar(const std::string& text) {
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") return nullptr;
  if (text == "true" || text == "True" || text == "TRUE") return true;
  if (text == "false" || text == "False" || text == "FALSE") return false;
  std::size_t end = 0;
  try {
    const std::int64_t integer = std::stoll(text, &end);
    if (end == text.size()) return integer;
    // stod also knows "nan", "inf" and hexadecimal floats, which YAML does not write so.
    if (text.find_first_not_of("0123456789+-.eE") == std::string::npos) {
      const double real = std::stod(text, &end);
      if (end == text.size()) return real;
    }
  } catch (const std::logic_error&) {
    // neither one: text
  }
  if (text == ".inf" || text == "-.inf" || text == ".nan" || text == ".NaN")
    fail<Error>("'{}' has no counterpart in JSON", text);
  return text;
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
