#pragma once
// From the flow records of a method's members to scores. docs/metrics.md defines each of them.
#include "experiments/metrics/flow_record.hpp"
#include "experiments/metrics/score_table.hpp"

#include <optional>
#include <span>
#include <vector>

namespace sns::metrics {

/// What the paired truth has, over all its members and windows.
struct FlowReference {
  std::optional<double> injection;  ///< none: no budget
  double residual = 0;              ///< mean, over the injection
  double residual_rms = 0;          ///< over the injection
  std::optional<double> jets;       ///< mean number; none: no jets
  double strength = 0;              ///< mean root mean square of u(y)
};
FlowReference make_flow_reference(std::span<const FlowRecord> truth);

/// paired: the truth's record for each member, null where there is none. whole(member, window): all its frames
/// are finite there; others score infinite.
std::vector<Score> flow_scores(std::span<const FlowRecord> members, std::span<const FlowRecord* const> paired,
                               const FlowReference& reference,
                               const std::function<bool(std::size_t, std::size_t)>& whole,
                               const Bootstrap& bootstrap);

}  // namespace sns::metrics
