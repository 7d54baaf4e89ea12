#pragma once
// The words that name where to compute: run.device, --device.
#include <optional>
#include <string_view>

namespace sns {

struct DeviceName {
  enum class Kind { automatic, cpu, cuda };
  Kind kind = Kind::automatic;
  int number = 0;  ///< of the GPU; "cuda" is the first
};

/// What a message says is allowed.
inline constexpr std::string_view kDeviceNames = "auto, cpu, cuda or cuda:N";

/// nullopt for any other word.
std::optional<DeviceName> parse_device(std::string_view word);

}  // namespace sns
