#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sns {

/// Named numbers in the order in which they are reported.
using Metrics = std::vector<std::pair<std::string, double>>;

/// {"loss": 0.1, ...}; non-finite numbers become null. Digits suffice to restore the value.
std::string to_json(const Metrics& metrics);
/// The value of that name; Error if there is none.
double metric(const Metrics& metrics, std::string_view name);

bool has_metric(const Metrics& metrics, std::string_view name);

/// In a validation: the cross entropy of a noise head that does not look at the frame (level_entropy), beside
/// those of the heads, which kHeadCrossEntropies names: of one frame, or of the past and the present one.
inline constexpr const char* kBlindHead = "ce_blind";
inline constexpr const char* kHeadCrossEntropies[] = {"ce", "ce_past", "ce_present"};

/// Drops the lines of a JSONL log whose "step" is beyond `last_step`, and a half-written last line, so that a
/// resumed run continues the log as if it had never stopped. Does nothing if there is no file.
void truncate_log(const std::filesystem::path& file, std::int64_t last_step);

}  // namespace sns
