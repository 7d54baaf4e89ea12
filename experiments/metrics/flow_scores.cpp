#include "experiments/metrics/flow_scores.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace sns::metrics {
namespace {

constexpr double kInfinite = std::numeric_limits<double>::infinity();
constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();

double ratio(double sum, std::int64_t count) {
  return sum / static_cast<double>(count);
}

/// Injection of energy, a mean over members: where some of them move against the force, the median hides it.
void add_injection(ScoreTable& table, std::span<const FlowRecord> members, double truth,
                   const std::function<bool(std::size_t, std::size_t)>& whole, const Bootstrap& bootstrap) {
  const std::size_t windows = members[0].windows.size();
  /// lost: with windows of members before they are, which then have values.
  const auto add = [&](MetricInfo info, std::vector<double> values, std::optional<int> lost = std::nullopt) {
    std::function<double(std::span<const int>)> statistic = [values](std::span<const int> drawn) {
      std::vector<double> picked;
      for (const int m : drawn) picked.push_back(values[static_cast<std::size_t>(m)]);
      return mean(picked);
    };
    Estimate estimate = bootstrap.estimate(statistic);
    // Of a share that all members have alike the bootstrap knows no scatter.
    const bool alike =
        std::all_of(values.begin(), values.end(), [&](double value) { return value == values[0]; });
    if (lost && std::isfinite(estimate.value) && alike) estimate = bootstrap.of_share(values);
    if (!lost)
      lost = static_cast<int>(
          std::count_if(values.begin(), values.end(), [](double value) { return std::isinf(value); }));
    table.add_ensemble(std::move(info), estimate, *lost, std::move(statistic));
  };
  const auto of_windows = [&](std::size_t first, std::size_t last) {
    std::vector<double> values;
    for (std::size_t m = 0; m < members.size(); ++m) {
      double sum = 0;
      std::int64_t frames = 0;
      for (std::size_t w = first; w <= last; ++w) {
        if (!whole(m, w)) sum = kInfinite;
        sum += members[m].windows[w].injection;
        frames += members[m].windows[w].budgets;
      }
      values.push_back(std::isinf(sum) ? kInfinite : frames > 0 ? ratio(sum, frames) / truth : kUndefined);
    }
    return values;
  };
  const Periods periods = Periods::of(windows);
  const auto injection = [&](const char* period, std::size_t first, std::size_t last) {
    add({"injection_ratio", period, "Injection of energy / truth, mean over members", "", Better::near_one},
        of_windows(first, last));
  };
  injection("early", periods.early, periods.early);
  injection("mid", periods.mid, periods.mid);
  injection("late", periods.late, periods.late);
  injection("all", 0, windows - 1);

  std::vector<double> reversed;  // of the windows before a member is lost
  int lost = 0;
  for (std::size_t m = 0; m < members.size(); ++m) {
    std::int64_t counted = 0, against = 0;
    bool stays = true;
    for (std::size_t w = 0; w < windows; ++w) {
      const FlowWindow& window = members[m].windows[w];
      stays = stays && whole(m, w);
      if (!whole(m, w) || window.budgets == 0) continue;
      ++counted;
      against += window.injection < 0 ? 1 : 0;
    }
    reversed.push_back(counted > 0 ? ratio(static_cast<double>(against), counted)
                       : stays     ? kUndefined
                                   : kInfinite);
    lost += stays ? 0 : 1;
  }
  add({"reversed_share", "all", "Share of windows with reversed injection, mean over members", "",
       Better::lower},
      std::move(reversed), lost);
}

/// rms(u - u*) / rms(u*) of two windows' mean profiles.
double profile_distance(const FlowWindow& window, const FlowWindow& truth) {
  double difference = 0, size = 0;
  for (std::size_t y = 0; y < window.profile.size(); ++y) {
    const double ours = ratio(window.profile[y], window.jet_frames),
                 theirs = ratio(truth.profile[y], truth.jet_frames);
    difference += (ours - theirs) * (ours - theirs);
    size += theirs * theirs;
  }
  return std::sqrt(difference / size);
}

}  // namespace

FlowReference make_flow_reference(std::span<const FlowRecord> truth) {
  FlowWindow sum;
  for (const FlowRecord& member : truth)
    for (const FlowWindow& window : member.windows) {
      sum.budgets += window.budgets;
      sum.residual += window.residual;
      sum.squares += window.squares;
      sum.injection += window.injection;
      sum.jet_frames += window.jet_frames;
      sum.jets += window.jets;
      sum.strength += window.strength;
    }
  FlowReference reference;
  // Residuals are given over the injection, which a decaying flow has none of.
  if (sum.budgets > 0 && sum.injection > 0) {
    reference.injection = ratio(sum.injection, sum.budgets);
    reference.residual = ratio(sum.residual, sum.budgets) / *reference.injection;
    reference.residual_rms = std::sqrt(ratio(sum.squares, sum.budgets)) / *reference.injection;
  }
  if (sum.jet_frames > 0 && sum.strength > 0) {
    reference.jets = ratio(sum.jets, sum.jet_frames);
    reference.strength = ratio(sum.strength, sum.jet_frames);
  }
  return reference;
}

std::vector<Score> flow_scores(std::span<const FlowRecord> members, std::span<const FlowRecord* const> paired,
                               const FlowReference& reference,
                               const std::function<bool(std::size_t, std::size_t)>& whole,
                               const Bootstrap& bootstrap) {
  ScoreTable table(bootstrap);
  const Periods periods = Periods::of(members[0].windows.size());
  const auto add = [&](MetricInfo info, std::size_t w, auto count, const auto& value) {
    std::vector<double> values;
    for (std::size_t m = 0; m < members.size(); ++m) {
      const FlowWindow& window = members[m].windows[w];
      const bool goes_on = w + 1 == members[m].windows.size() || whole(m, w + 1);
      if (whole(m, w) && window.*count > 0)
        values.push_back(value(window));
      else
        values.push_back(whole(m, w) && goes_on ? kUndefined : kInfinite);  // too short to tell, or lost
    }
    table.add(std::move(info), std::move(values));
  };
  const std::pair<const char*, std::size_t> shown[] = {
      {"early", periods.early}, {"mid", periods.mid}, {"late", periods.late}};
  for (const auto& [period, w] : shown) {
    if (reference.injection) {
      const double injection = *reference.injection;
      add({"budget_residual", period, "Residual of the energy budget - truth's", "injection",
           Better::near_zero},
          w, &FlowWindow::budgets,
          [&](const FlowWindow& v) { return ratio(v.residual, v.budgets) / injection - reference.residual; });
      add({"budget_scatter_ratio", period, "Rms residual of the energy budget / truth", "", Better::near_one},
          w, &FlowWindow::budgets, [&](const FlowWindow& v) {
            return std::sqrt(ratio(v.squares, v.budgets)) / injection / reference.residual_rms;
          });
    }
    if (reference.jets) {
      add({"jet_count_ratio", period, "Number of zonal jets / truth", "", Better::near_one}, w,
          &FlowWindow::jet_frames,
          [&](const FlowWindow& v) { return ratio(v.jets, v.jet_frames) / *reference.jets; });
      add({"jet_strength_ratio", period, "Strength of zonal jets / truth", "", Better::near_one}, w,
          &FlowWindow::jet_frames,
          [&](const FlowWindow& v) { return ratio(v.strength, v.jet_frames) / reference.strength; });
    }
  }
  if (reference.injection) add_injection(table, members, *reference.injection, whole, bootstrap);
  if (reference.jets && paired.size() == members.size() && paired[0] != nullptr) {
    std::vector<double> values;
    for (std::size_t m = 0; m < members.size(); ++m)
      values.push_back(whole(m, periods.early) ? profile_distance(members[m].windows[periods.early],
                                                                  paired[m]->windows[periods.early])
                                               : kInfinite);
    table.add({"jet_profile_distance", "early", "Distance of mean u(y) from the paired truth's", ""},
              std::move(values));
  }
  return table.take();
}

}  // namespace sns::metrics
