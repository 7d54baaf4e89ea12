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

/// Whether there is a value of that name.
bool has_metric(const Metrics& metrics, std::string_view name);

/// In a validation: the cross entropy of a noise head that does not look at the frame (level_entropy).
inline constexpr const char* kBlindCrossEntropy = "ce_blind";
/// Cross entropies of noise heads: of the only one, or of the past and the present frame's.
inline constexpr const char* kHeadCrossEntropies[] = {"ce", "ce_past", "ce_present"};
/// Those of kHeadCrossEntropies in a validation that are not below 0.6 of kBlindCrossEntropy; none where that
/// is missing, or 0, as of a single level. Heads that have learned are at 0.5 at most (weights/), and that much
/// only where neighbouring levels are too near to be told apart.
std::vector<std::string> heads_that_have_not_learned(const Metrics& validation);

/// Drops the lines of a JSONL log whose "step" is beyond `last_step`, and a half-written last line, so that a
/// resumed run continues the log as if it had never stopped. Does nothing if there is no file.
void truncate_log(const std::filesystem::path& file, std::int64_t last_step);

}  // namespace sns
