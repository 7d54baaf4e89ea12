#include "datagen/statistics.hpp"

#include "core/error.hpp"

#include <nlohmann/json.hpp>

#include <cmath>

namespace sns {
namespace {

nlohmann::json to_json(const Moments& m) {
  return {{"count", m.count}, {"mean", m.mean}, {"squares", m.squares}};
}

Moments moments_from_json(const nlohmann::json& json) {
  return {json.at("count").get<double>(), json.at("mean").get<double>(), json.at("squares").get<double>()};
}

}  // namespace

void Moments::add(std::span<const float> values) {
  if (values.empty()) return;
  Moments block;
  block.count = static_cast<double>(values.size());
  double sum = 0;
  for (const float v : values) sum += v;
  block.mean = sum / block.count;
  for (const float v : values) {
    const double d = v - block.mean;
    block.squares += d * d;
  }
  merge(block);
}

void Moments::merge(const Moments& other) {
  if (other.count == 0) return;
  const double total = count + other.count, difference = other.mean - mean;
  mean += difference * other.count / total;
  squares += other.squares + difference * difference * count * other.count / total;
  count = total;
}

double Moments::standard_deviation() const {
  return count > 0 ? std::sqrt(squares / count) : 0;
}
double Moments::root_mean_square() const {
  return count > 0 ? std::sqrt(squares / count + mean * mean) : 0;
}

void FieldStatistics::merge(const FieldStatistics& other) {
  value.merge(other.value);
  delta.merge(other.delta);
}

void merge(Statistics& into, const Statistics& other) {
  for (const auto& [field, statistics] : other) into[field].merge(statistics);
}

nlohmann::json to_json(const Statistics& statistics) {
  nlohmann::json json = nlohmann::json::object();
  for (const auto& [field, s] : statistics)
    json[field] = {{"value", to_json(s.value)}, {"delta", to_json(s.delta)}};
  return json;
}

Statistics statistics_from_json(const nlohmann::json& json) {
  Statistics statistics;
  for (const auto& [field, s] : json.items()) {
    statistics[field] = {moments_from_json(s.at("value")), moments_from_json(s.at("delta"))};
  }
  return statistics;
}

std::string stats_yaml(const Statistics& statistics, const std::string& comment) {
  std::string text = "# " + comment + "\n";
  const auto section = [&](const char* title, auto&& pick) {
    text += fmt::format("{}:\n", title);
    for (const auto& [field, s] : statistics) text += fmt::format("  {}: {:.17g}\n", field, pick(s));
  };
  section("mean", [](const FieldStatistics& s) { return s.value.mean; });
  section("std", [](const FieldStatistics& s) { return s.value.standard_deviation(); });
  section("rms", [](const FieldStatistics& s) { return s.value.root_mean_square(); });
  section("mean_delta", [](const FieldStatistics& s) { return s.delta.mean; });
  section("std_delta", [](const FieldStatistics& s) { return s.delta.standard_deviation(); });
  section("rms_delta", [](const FieldStatistics& s) { return s.delta.root_mean_square(); });
  return text;
}

}  // namespace sns
