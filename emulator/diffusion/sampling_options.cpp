#include "emulator/diffusion/sampling_options.hpp"

namespace sns {

const std::vector<std::string>& reverse_std_names() {
  static const std::vector<std::string> names = {"posterior", "sqrt_beta"};
  return names;
}

ReverseStd parse_reverse_std(const std::string& name) {
  return static_cast<ReverseStd>(position_of("reverse_std", name, reverse_std_names()));
}

const std::vector<std::string>& gate_names() {
  static const std::vector<std::string> names = {"either", "present"};
  return names;
}

Gate parse_gate(const std::string& name) {
  return static_cast<Gate>(position_of("gate", name, gate_names()));
}

const std::vector<std::string>& conditioning_names() {
  static const std::vector<std::string> names = {"per_step", "single"};
  return names;
}

Conditioning parse_conditioning(const std::string& name) {
  return static_cast<Conditioning>(position_of("conditioning", name, conditioning_names()));
}

void set_generation_defaults(SamplingWords& words) {
  words.path = "fixed_past";
  words.start = "pure_noise";
}

RefineOptions sns_refinement(const SamplingWords& words) {
  return {.path = parse_path(words.path),
          .rule = parse_rule(words.rule),
          .level_floor = words.level_floor,
          .threshold = words.threshold,
          .gate = parse_gate(words.gate),
          .stop_level = -1,
          .reverse_std = parse_reverse_std(words.reverse_std)};
}

RefineOptions thermalizer_refinement(const SamplingWords& words) {
  return {.path = Path::clean_past,
          .rule = parse_rule(words.rule),
          .level_floor = 0,
          .threshold = words.start_level,
          .gate = Gate::either,
          .stop_level = words.stop_level,
          .reverse_std = parse_reverse_std(words.reverse_std)};
}

AcdmOptions acdm_generation(const SamplingWords& words) {
  return {.start = parse_start(words.start),
          .conditioning = parse_conditioning(words.conditioning),
          .reverse_std = parse_reverse_std(words.reverse_std)};
}

GenerationOptions sns_generation(const SamplingWords& words) {
  return {.path = parse_path(words.path),
          .start = parse_start(words.start),
          .clip = words.clip,
          .reverse_std = parse_reverse_std(words.reverse_std)};
}

}  // namespace sns
