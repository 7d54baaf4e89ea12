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

}  // namespace sns
