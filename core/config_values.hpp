#pragma once
// Single values of the configuration: exact reading, and printing that reads back the same.
// Internal to sns_core.
#include "core/config_tree.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sns::detail {

// Each reads a value and returns "", or leaves `out` alone and returns what is expected ("an integer").
std::string read_value(const Value& value, bool& out);
std::string read_value(const Value& value, int& out);
std::string read_value(const Value& value, std::int64_t& out);
std::string read_value(const Value& value, std::uint64_t& out);
std::string read_value(const Value& value, double& out);
std::string read_value(const Value& value, std::string& out);

std::string to_yaml(bool value);
std::string to_yaml(int value);
std::string to_yaml(std::int64_t value);
std::string to_yaml(std::uint64_t value);
/// Shortest text that reads back as the same double, always recognisable as a float ("1.0", "1.0e-05": other
/// YAML readers take "1e-05" for a text).
std::string to_yaml(double value);
/// Quoted unless every YAML reader takes the plain text for a text.
std::string to_yaml(const std::string& value);
template <class T>
std::string to_yaml(const std::vector<T>& values) {
  std::string text = "[";
  for (std::size_t i = 0; i < values.size(); ++i) text += (i == 0 ? "" : ", ") + to_yaml(values[i]);
  return text + "]";
}
template <class T>
std::string to_yaml(const std::optional<T>& value) {
  return value ? to_yaml(*value) : "null";
}

/// Any value on one line.
std::string to_flow_yaml(const Value& value);

}  // namespace sns::detail
