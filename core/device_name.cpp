#include "core/device_name.hpp"

#include <charconv>

namespace sns {

std::optional<DeviceName> parse_device(std::string_view word) {
  using Kind = DeviceName::Kind;
  if (word == "auto") return DeviceName{Kind::automatic};
  if (word == "cpu") return DeviceName{Kind::cpu};
  if (word == "cuda") return DeviceName{Kind::cuda};
  constexpr std::string_view kNumbered = "cuda:";
  if (!word.starts_with(kNumbered)) return std::nullopt;
  const std::string_view digits = word.substr(kNumbered.size());
  int number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  const bool whole = error == std::errc{} && end == digits.data() + digits.size();
  if (!whole || digits.front() == '-') return std::nullopt;
  return DeviceName{Kind::cuda, number};
}

}  // namespace sns
