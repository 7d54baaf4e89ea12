#include "experiments/metrics/score_table.hpp"

#include <algorithm>
#include <cmath>

namespace sns::metrics {

const char* name(Better better) {
  switch (better) {
    case Better::lower:
      return "lower";
    case Better::higher:
      return "higher";
    case Better::near_one:
      return "near one";
    case Better::near_zero:
      return "near zero";
  }
  return "";
}

const char* name(Statistic statistic) {
  switch (statistic) {
    case Statistic::median_of_members:
      return "median of members";
    case Statistic::share_of_members:
      return "share of members";
    case Statistic::ensemble:
      return "ensemble mean";
  }
  return "";
}

void ScoreTable::add(MetricInfo info, std::vector<double> values, std::optional<int> lost) {
  Score score;
  score.members = std::move(values);
  if (lost)
    score.lost = *lost;
  else
    score.lost = static_cast<int>(
        std::count_if(score.members.begin(), score.members.end(), [](double v) { return std::isinf(v); }));
  score.statistic = [members = score.members, statistic = info.statistic](std::span<const int> drawn) {
    std::vector<double> picked;
    for (const int m : drawn) picked.push_back(members[static_cast<std::size_t>(m)]);
    return statistic == Statistic::share_of_members ? mean(picked) : median(std::move(picked));
  };
  score.estimate = info.statistic == Statistic::share_of_members ? bootstrap_.of_share(score.members)
                                                                 : bootstrap_.estimate(score.statistic);
  score.info = named(std::move(info));
  scores_.push_back(std::move(score));
}

void ScoreTable::add_ensemble(MetricInfo info, const Estimate& estimate, int lost,
                              std::function<double(std::span<const int>)> statistic) {
  info.statistic = Statistic::ensemble;
  scores_.push_back({named(std::move(info)), estimate, {}, lost, std::move(statistic)});
}

MetricInfo ScoreTable::named(MetricInfo info) const {
  info.field = field_;
  if (!field_.empty()) info.label += ", " + field_;
  return info;
}

}  // namespace sns::metrics
