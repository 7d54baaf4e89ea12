#pragma once
#include <filesystem>
#include <string>
#include <vector>

namespace sns {

/// Sentences on where a run departs from the SNS paper's set-up (flow, network sizes, levels, refinement rule),
/// from the resolved configuration of its run folder. Empty for the paper's own configuration.
std::vector<std::string> deviations_from_paper(const std::filesystem::path& configuration);

}  // namespace sns
