#pragma once
#include <string>

namespace sns {

/// A YAML document as JSON text, for readers that have no YAML. Plain scalars become null, booleans and decimal
/// numbers where YAML 1.2's core schema reads them so; quoted ones stay text. Error if the document is not YAML
/// or holds numbers that JSON cannot (infinities).
std::string yaml_to_json(const std::string& yaml);

}  // namespace sns
