#include "emulator/training/metrics.hpp"

#include "core/error.hpp"
#include "core/files.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

namespace sns {

std::string to_json(const Metrics& metrics) {
  std::string text = "{";
  for (const auto& [name, value] : metrics) {
    if (text.size() > 1) text += ", ";
    // Shortest text that restores the double; integers stay integers.
    text += fmt::format("\"{}\": {}", name, std::isfinite(value) ? fmt::format("{}", value) : "null");
  }
  return text + "}";
}

double metric(const Metrics& metrics, std::string_view name) {
  for (const auto& [key, value] : metrics) {
    if (key == name) return value;
  }
  fail("there is no metric '{}'", name);
}

bool has_metric(const Metrics& metrics, std::string_view name) {
  return std::any_of(metrics.begin(), metrics.end(), [&](const auto& entry) { return entry.first == name; });
}

std::vector<std::string> heads_that_have_not_learned(const Metrics& validation) {
  constexpr double kLearned = 0.6;
  std::vector<std::string> names;
  const double blind =
      has_metric(validation, kBlindCrossEntropy) ? metric(validation, kBlindCrossEntropy) : 0.0;
  if (blind == 0) return names;
  for (const char* name : kHeadCrossEntropies)
    if (has_metric(validation, name) && !(metric(validation, name) <= kLearned * blind))
      names.emplace_back(name);
  return names;
}

void truncate_log(const std::filesystem::path& file, std::int64_t last_step) {
  if (!std::filesystem::exists(file)) return;
  std::istringstream lines(read_text(file));
  std::string kept, line;
  while (std::getline(lines, line)) {
    const auto entry = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (entry.is_object() && entry.contains("step") && entry["step"].get<std::int64_t>() <= last_step) {
      kept += line + "\n";
    }
  }
  write_text(file, kept);
}

}  // namespace sns
