#include "experiments/config.hpp"

#include <algorithm>
#include <cctype>

namespace sns {

namespace {

std::string listed(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ", ") + name;
  return out.empty() ? "none" : out;
}

/// Names become file names.
void check_name(const Section& parent, const std::string& name) {
  const bool good = !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '_' || c == '-';
  });
  if (!good) parent.reject(name, "a name may hold letters, digits, '_' and '-' only");
}

MethodConfig read_method(Section section, const std::string& name, const std::vector<ModelSpec>& models) {
  MethodConfig method;
  method.name = name;
  std::string path = "A", rule = "inclusive";
  const auto model_of_kind = [&](const char* key, const std::string& wanted, const std::string& kind) {
    std::vector<std::string> known;
    for (const ModelSpec& entry : models) {
      if (entry.name == wanted && entry.model.kind == kind) return;
      if (entry.model.kind == kind) known.push_back(entry.name);
    }
    section.reject(key, fmt::format("'{}' is not a model of kind {} (have: {})", wanted, kind, listed(known)));
  };
  section.need("emulator", method.emulator);
  model_of_kind("emulator", method.emulator, "gaussian");
  section.maybe("refiner", method.refiner);
  if (method.refiner) {
    model_of_kind("refiner", *method.refiner, "sns");
    const int levels = find_model(models, *method.refiner).model.diffusion.levels;
    section.maybe("path", path, one_of(path_names()));
    section.maybe("rule", rule, one_of(rule_names()));
    section.maybe("level_floor", method.level_floor, non_negative);
    if (method.level_floor >= levels)
      section.reject("level_floor",
                     fmt::format("{} must be below the refiner's {} levels", method.level_floor, levels));
    section.maybe<int>("threshold", method.threshold, [levels](const int& v) {
      return v >= -1 && v < levels ? "" : fmt::format("must be in -1..{}", levels - 1);
    });
  }
  if (method.refiner) section.maybe("start", method.start, positive);
  section.maybe("weights", method.weights, one_of({"ema", "raw"}));
  section.maybe("noise", method.noise, non_negative);
  method.path = parse_path(path);
  method.rule = parse_rule(rule);
  method.text = section.resolved_yaml();
  return method;
}

}  // namespace

RolloutConfig read_rollout(Section rollout, const std::vector<ModelSpec>& models) {
  RolloutConfig config;
  rollout.maybe("steps", config.steps, positive);
  rollout.maybe("members", config.members, positive);
  rollout.maybe("floor_members", config.floor_members, non_negative);
  rollout.maybe("limit", config.limit, positive);
  Section methods = rollout.child("methods");
  for (const std::string& name : methods.keys()) {
    check_name(methods, name);
    config.methods.push_back(read_method(methods.child(name), name, models));
  }
  return config;
}

}  // namespace sns
