#include "experiments/metrics/scores.hpp"

#include "core/error.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace sns::metrics {
namespace {

constexpr double kInfinite = std::numeric_limits<double>::infinity();
constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();
constexpr double kDecorrelated = 0.5;  // of C(tau)
constexpr double kRounding = 1e-12;    // of the variance: less is rounding of float32 frames
constexpr int kBands = 3;
constexpr const char* kBandNames[kBands] = {"large", "medium", "small"};

void append(std::vector<double>& to, const std::vector<double>& values) {
  to.insert(to.end(), values.begin(), values.end());
}

/// Per-member value of a window quantity over truth's mean: infinite where the member did not stay finite.
double ratio(const WindowRecord& window, double value, double truth) {
  return window.whole() && std::isfinite(value) ? value / truth : kInfinite;
}

double ensemble_error(std::span<const MemberRecord> members, std::span<const int> drawn, std::size_t window,
                      const TruthReference& reference) {
  std::vector<double> sum(reference.spectrum.size(), 0.0);
  int used = 0;
  for (const int m : drawn) {
    const WindowRecord& values = members[static_cast<std::size_t>(m)].windows[window];
    if (values.finite == 0) continue;
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += values.spectrum[i];
    ++used;
  }
  for (double& value : sum) value /= used;
  return spectrum_error(sum, reference.spectrum, reference.mask);
}

double member_error(const WindowRecord& window, const TruthReference& reference) {
  return window.whole() ? spectrum_error(window.spectrum, reference.spectrum, reference.mask) : kInfinite;
}

/// Mean over the drawn members that have a finite frame of what `values` gives of each; empty without any.
template <class Values>
std::vector<double> mean_of_drawn(std::span<const MemberRecord> members, std::span<const int> drawn,
                                  const Values& values) {
  std::vector<double> sum;
  int used = 0;
  for (const int m : drawn) {
    const std::vector<double>& one = values(static_cast<std::size_t>(m));
    if (members[static_cast<std::size_t>(m)].all.pixels.count() == 0) continue;
    sum.resize(one.size(), 0.0);
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += one[i];
    ++used;
  }
  for (double& value : sum) value /= used;
  return sum;
}

/// Mean spectrum of a member over all its finite frames after the first.
std::vector<double> whole_spectrum(const MemberRecord& member) {
  std::vector<double> sum(member.windows.front().spectrum.size(), 0.0);
  double frames = 0;
  for (const WindowRecord& window : member.windows) {
    if (window.finite == 0) continue;
    const auto weight = static_cast<double>(window.finite);
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += weight * window.spectrum[i];
    frames += weight;
  }
  for (double& value : sum) value /= frames;
  return sum;
}

/// |a - b|_2 / |b|_2 over `bins`; infinite for an empty `a`.
double relative_distance(std::span<const double> a, std::span<const double> b,
                         const std::vector<std::size_t>& bins) {
  if (a.empty()) return kInfinite;
  double difference = 0, size = 0;
  for (const std::size_t i : bins) {
    difference += (a[i] - b[i]) * (a[i] - b[i]);
    size += b[i] * b[i];
  }
  return std::sqrt(difference / size);
}

/// Root mean square of a - b; infinite for an empty `a`.
double rms_distance(std::span<const double> a, std::span<const double> b) {
  if (a.empty()) return kInfinite;
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return std::sqrt(sum / static_cast<double>(a.size()));
}

/// Scores of one method from the records of its members.
class Table : public ScoreTable {
 public:
  /// lost: of the members.
  Table(std::span<const MemberRecord> members, int lost, const Bootstrap& bootstrap, std::string field = {})
      : ScoreTable(bootstrap, std::move(field)), members_(members), lost_(lost) {}

  /// lost: where not every infinite value is a loss.
  template <class PerMember>
  void add(MetricInfo info, const PerMember& value, std::optional<int> lost = std::nullopt) {
    std::vector<double> values;
    for (const MemberRecord& member : members_) values.push_back(value(member));
    // A loss is no infinite value where more is better, for which that means "not within the rollout", or where
    // a share is asked for.
    const bool counted = info.better == Better::higher || info.statistic == Statistic::share_of_members;
    ScoreTable::add(std::move(info), std::move(values), counted ? std::optional(lost_) : lost);
  }

 private:
  std::span<const MemberRecord> members_;
  int lost_;
};

/// Members that do not stay finite.
int lost_of(std::span<const MemberRecord> members) {
  return static_cast<int>(
      std::count_if(members.begin(), members.end(), [](const auto& m) { return m.first_nonfinite >= 0; }));
}

double drift(const MemberRecord& member, const TruthReference& reference) {
  std::vector<double> times, errors;
  std::int64_t frames = 0;
  for (const WindowRecord& window : member.windows) {
    const double error = member_error(window, reference);
    if (std::isinf(error)) return kInfinite;
    times.push_back((static_cast<double>(frames) + static_cast<double>(window.frames) / 2) / 1000);
    errors.push_back(error);
    frames += window.frames;
  }
  return slope(times, errors);
}

bool frozen(const MemberRecord& member, double threshold) {
  return std::any_of(member.windows.begin(), member.windows.end(),
                     [&](const WindowRecord& window) { return window.rates > 0 && window.rate < threshold; });
}

/// Distances between the distributions of a period and truth's, infinite for members that are not `whole` in
/// it.
template <class Whole>
void add_distributions(Table& table, const std::string& period, PeriodRecord MemberRecord::*record,
                       const TruthReference& reference, const Whole& whole) {
  const auto add = [&](const char* key, const char* label, const char* unit, const auto& distance) {
    table.add({key, period, label, unit},
              [&](const MemberRecord& m) { return whole(m) ? distance(m.*record) : kInfinite; });
  };
  add("w1", "W1 of the pixel PDF", "std",
      [&](const PeriodRecord& p) { return wasserstein1(p.pixels, reference.pixels); });
  add("w1_increment", "W1 of the PDF of increments", "rms",
      [&](const PeriodRecord& p) { return wasserstein1(p.increments, reference.increments); });
  // Where truth's frames have one energy, there is nothing to measure distances by.
  if (const double scale = standard_deviation(reference.frame_energies); scale > 0)
    add("w1_energy", "W1 of the PDF of energy", "std",
        [&](const PeriodRecord& p) { return wasserstein1(p.frames.energy, reference.frame_energies) / scale; });
  if (const double scale = standard_deviation(reference.frame_enstrophies); scale > 0)
    add("w1_enstrophy", "W1 of the PDF of enstrophy", "std", [&](const PeriodRecord& p) {
      return wasserstein1(p.frames.enstrophy, reference.frame_enstrophies) / scale;
    });
  if (reference.features.empty()) return;
  add("energy_distance", "Energy distance of frame spectra", "", [&](const PeriodRecord& p) {
    return reference.features.truth().energy_distance(reference.features.points(p.frames.spectra));
  });
  add("mmd", "MMD of frame spectra", "", [&](const PeriodRecord& p) {
    return reference.features.truth().maximum_mean_discrepancy(reference.features.points(p.frames.spectra));
  });
}

void add_window_scores(Table& table, std::span<const MemberRecord> members, const std::string& period,
                       std::size_t w, PeriodRecord MemberRecord::*record, const TruthReference& reference,
                       const Bootstrap& bootstrap) {
  const auto of = [w](const MemberRecord& m) -> const WindowRecord& { return m.windows[w]; };
  const WindowError error = window_error(members, w, reference, bootstrap);
  table.add_ensemble({"spectrum_error_ensemble", period, "Spectrum error, mean spectrum", "", Better::lower},
                     error.ensemble, error.lost, [members, w, &reference](std::span<const int> drawn) {
                       return ensemble_error(members, drawn, w, reference);
                     });
  table.add({"spectrum_error", period, "Spectrum error, member median", ""},
            [&](const MemberRecord& m) { return member_error(of(m), reference); });
  for (int part = 0; part < kBands; ++part) {
    const auto [first, last] = band(reference.wavenumbers, reference.mask, part, kBands);
    table.add({fmt::format("spectrum_bias_{}", kBandNames[part]), period,
               fmt::format("Log energy ratio, k {:.3g} to {:.3g}", first, last), "", Better::near_zero},
              [&](const MemberRecord& m) {
                return of(m).whole()
                           ? log_bias(of(m).spectrum, reference.spectrum, reference.mask, part, kBands)
                           : kInfinite;
              });
  }
  table.add({"energy_ratio", period, "Energy / truth", "", Better::near_one},
            [&](const MemberRecord& m) { return ratio(of(m), of(m).energy, reference.energy); });
  table.add({"enstrophy_ratio", period, "Enstrophy / truth", "", Better::near_one},
            [&](const MemberRecord& m) { return ratio(of(m), of(m).enstrophy, reference.enstrophy); });
  table.add({"rate_ratio", period, "Rate of change R / truth", "", Better::near_one},
            [&](const MemberRecord& m) { return ratio(of(m), of(m).rate, reference.rate); });
  if (std::isfinite(reference.flatness)) {
    const double least = kRounding * reference.standard_deviation * reference.standard_deviation;
    const auto flatness = [&, least](const MemberRecord& m) {
      if (of(m).whole() && of(m).small_square <= least) return 0.0;  // its small scales are empty
      return ratio(of(m), of(m).flatness(), reference.flatness);
    };
    table.add({"flatness_ratio", period, "Flatness of small scales / truth", "", Better::near_one}, flatness);
    const auto lost =
        std::count_if(members.begin(), members.end(), [&](const auto& m) { return !of(m).whole(); });
    table.add(
        {"flatness_error", period, "Error of the small scales' log flatness", ""},
        [&](const MemberRecord& m) { return std::abs(std::log(flatness(m))); }, static_cast<int>(lost));
  }
  table.add({"mean_wander", period, "Wandering of the domain mean", "std"}, [&](const MemberRecord& m) {
    return of(m).whole() ? std::sqrt(of(m).mean_square) / reference.standard_deviation : kInfinite;
  });
  add_distributions(table, period, record, reference, [of](const MemberRecord& m) { return of(m).whole(); });
}

void add_long_term(Table& table, const TruthReference& reference) {
  table.add({"spectrum_drift", "all", "Drift of the spectrum error", "per 1000 steps", Better::near_zero},
            [&](const MemberRecord& m) { return drift(m, reference); });
  table.add({"autocorrelation_error", "all", "Error of C(tau)", ""}, [&](const MemberRecord& m) {
    return m.first_nonfinite < 0 ? autocorrelation_error(m.autocorrelation, reference.autocorrelation)
                                 : kInfinite;
  });
  const double truth_time = first_crossing(reference.autocorrelation, kDecorrelated);
  // Where truth itself does not decorrelate within the lags, its time is not known.
  if (truth_time < static_cast<double>(reference.autocorrelation.size()) - 1)
    table.add({"decorrelation_ratio", "all", "Decorrelation time / truth", "", Better::near_one},
              [&](const MemberRecord& m) {
                return m.first_nonfinite < 0 ? first_crossing(m.autocorrelation, kDecorrelated) / truth_time
                                             : kInfinite;
              });
  add_distributions(table, "all", &MemberRecord::all, reference,
                    [](const MemberRecord& m) { return m.first_nonfinite < 0; });
}

/// The distances that the paper's Fig. 8 prints beside its rows.
void add_mean_distances(Table& table, std::span<const MemberRecord> members, const TruthReference& reference,
                        const Bootstrap& bootstrap) {
  const int lost = lost_of(members);
  const auto add = [&](MetricInfo info, std::function<double(std::span<const int>)> statistic) {
    table.add_ensemble(std::move(info), bootstrap.estimate(statistic), lost, statistic);
  };
  std::vector<std::vector<double>> spectra;
  for (const MemberRecord& member : members) spectra.push_back(whole_spectrum(member));
  add({"spectrum_distance", "all", "Relative L2 distance of the mean spectrum", ""},
      [members, spectra = std::move(spectra), &reference](std::span<const int> drawn) {
        const auto of = [&](std::size_t m) -> const std::vector<double>& { return spectra[m]; };
        return relative_distance(mean_of_drawn(members, drawn, of), reference.spectrum, reference.mask.bins);
      });
  add({"mean_field_distance", "all", "L2 distance of the mean field", "std"}, [members, &reference](
                                                                                  std::span<const int> drawn) {
    const auto of = [&](std::size_t m) -> const std::vector<double>& { return members[m].mean_field; };
    return rms_distance(mean_of_drawn(members, drawn, of), reference.mean_field) / reference.standard_deviation;
  });
}

void add_temporal(Table& table, std::span<const MemberRecord> members, const TruthReference& reference) {
  const auto add = [&](const char* period, const char* which, TemporalRecord MemberRecord::*span,
                       const std::vector<double>& truth) {
    const TemporalRecord& first = members[0].*span;
    table.add({"autocorrelation_error", period,
               fmt::format("Error of C(tau), {} {} steps", which, first.last - first.first), ""},
              [&](const MemberRecord& m) {
                return (m.*span).whole() ? autocorrelation_error((m.*span).autocorrelation, truth) : kInfinite;
              });
  };
  add("early", "first", &MemberRecord::begin, reference.autocorrelation_begin);
  add("late", "last", &MemberRecord::end, reference.autocorrelation_end);
}

void add_short_term(Table& table, const ScoreSettings& settings) {
  table.add({"nrmse", "early", "nRMSE against the paired truth", ""}, [](const MemberRecord& m) {
    return m.windows[0].whole() && m.windows[0].paired > 0 ? m.windows[0].nrmse : kInfinite;
  });
  for (std::size_t i = 0; i < settings.correlation_thresholds.size(); ++i)
    table.add({fmt::format("correlation_time_{:g}", settings.correlation_thresholds[i]), "all",
               fmt::format("Time with correlation > {:g}", settings.correlation_thresholds[i]), "time",
               Better::higher},
              [i](const MemberRecord& m) { return m.correlation_time[i]; });
}

double distance_from_ideal(double value, Better better) {
  if (std::isnan(value)) return kInfinite;
  switch (better) {
    case Better::lower:
      return value;
    case Better::higher:
      return -value;
    case Better::near_one:
      return value > 0 ? std::abs(std::log(value)) : kInfinite;
    case Better::near_zero:
      return std::abs(value);
  }
  return kInfinite;
}

/// Of a - b. Draws in which both are infinite, lost or censored alike, are ties; the value itself is then NaN.
Estimate difference(const Score& a, const Score& b, const Bootstrap& bootstrap) {
  const auto tied = [&](std::span<const int> drawn) {
    const double x = a.statistic(drawn), y = b.statistic(drawn);
    return x == y ? 0.0 : x - y;
  };
  Estimate estimate = bootstrap.estimate(tied);
  std::vector<int> all(static_cast<std::size_t>(bootstrap.members()));
  std::iota(all.begin(), all.end(), 0);
  estimate.value = a.statistic(all) - b.statistic(all);
  return estimate;
}

}  // namespace

TruthReference make_reference(std::span<const MemberRecord> truth, std::vector<double> wavenumbers,
                              double resolved, int first_shell, int last_shell,
                              const RecordSettings& settings) {
  require(!truth.empty(), "no truth trajectories to compare with");
  TruthReference reference{.wavenumbers = std::move(wavenumbers),
                           .spectrum = {},
                           .autocorrelation = {},
                           .autocorrelation_begin = {},
                           .autocorrelation_end = {},
                           .mean_field = {},
                           .energy = 0,
                           .enstrophy = 0,
                           .rate = 0,
                           .flatness = 0,
                           .pixels = {settings.yardstick.mean, settings.yardstick.standard_deviation},
                           .increments = {0, settings.yardstick.increment},
                           .frame_energies = {},
                           .frame_enstrophies = {},
                           .mask = {},
                           .features = {},
                           .standard_deviation = settings.yardstick.standard_deviation,
                           .interval = settings.interval,
                           .frames = settings.frames};
  reference.spectrum.assign(reference.wavenumbers.size(), 0.0);
  const auto mean_over_members = [&](const auto& values) {
    std::vector<double> mean(values(truth[0]).size(), 0.0);
    for (const MemberRecord& member : truth)
      for (std::size_t i = 0; i < mean.size(); ++i)
        mean[i] += values(member)[i] / static_cast<double>(truth.size());
    return mean;
  };
  using Curve = const std::vector<double>&;
  reference.autocorrelation = mean_over_members([](const auto& m) -> Curve { return m.autocorrelation; });
  reference.autocorrelation_begin =
      mean_over_members([](const auto& m) -> Curve { return m.begin.autocorrelation; });
  reference.autocorrelation_end =
      mean_over_members([](const auto& m) -> Curve { return m.end.autocorrelation; });
  reference.mean_field = mean_over_members([](const auto& m) -> Curve { return m.mean_field; });
  double frames = 0, small_square = 0, small_fourth = 0;
  for (const MemberRecord& member : truth) {
    for (const WindowRecord& window : member.windows) {
      const auto weight = static_cast<double>(window.frames);
      frames += weight;
      reference.energy += weight * window.energy;
      reference.enstrophy += weight * window.enstrophy;
      reference.rate += weight * window.rate;
      small_square += weight * window.small_square;
      small_fourth += weight * window.small_fourth;
      for (std::size_t i = 0; i < reference.spectrum.size(); ++i)
        reference.spectrum[i] += weight * window.spectrum[i];
    }
    const PeriodRecord& all = member.all;
    reference.pixels.add(all.pixels);
    reference.increments.add(all.increments);
    append(reference.frame_energies, all.frames.energy);
    append(reference.frame_enstrophies, all.frames.enstrophy);
  }
  reference.energy /= frames;
  reference.enstrophy /= frames;
  reference.rate /= frames;
  const double variance = reference.standard_deviation * reference.standard_deviation;
  reference.flatness = small_square / frames > kRounding * variance
                           ? small_fourth * frames / (small_square * small_square)
                           : kUndefined;
  for (double& value : reference.spectrum) value /= frames;
  reference.mask = make_mask(reference.wavenumbers, reference.spectrum, resolved, first_shell, last_shell);
  reference.features = SpectralFeatures(truth, reference.mask);
  return reference;
}

WindowError window_error(std::span<const MemberRecord> members, std::size_t window,
                         const TruthReference& reference, const Bootstrap& bootstrap) {
  WindowError error;
  for (const MemberRecord& member : members) {
    error.members.push_back(member_error(member.windows[window], reference));
    error.lost += member.windows[window].whole() ? 0 : 1;
  }
  error.member_median = bootstrap.of_median(error.members);
  error.ensemble = bootstrap.estimate(
      [&](std::span<const int> drawn) { return ensemble_error(members, drawn, window, reference); });
  return error;
}

std::vector<Score> stability(std::span<const std::span<const MemberRecord>> fields,
                             const Bootstrap& bootstrap) {
  const std::span<const MemberRecord> members = fields.front();
  // Earliest step at which any field fails; -1 where none does.
  const auto earliest = [&](const MemberRecord& member, std::int64_t MemberRecord::*step) {
    const auto m = static_cast<std::size_t>(&member - members.data());
    std::int64_t first = -1;
    for (const auto& field : fields)
      if (const std::int64_t at = field[m].*step; at >= 0 && (first < 0 || at < first)) first = at;
    return first;
  };
  const auto lost = std::count_if(members.begin(), members.end(), [&](const MemberRecord& m) {
    return earliest(m, &MemberRecord::first_nonfinite) >= 0;
  });
  Table table(members, static_cast<int>(lost), bootstrap);
  table.add(
      {"stable_fraction", "all", "Members stable to the end", "", Better::higher, Statistic::share_of_members},
      [&](const MemberRecord& m) { return earliest(m, &MemberRecord::first_unstable) < 0 ? 1.0 : 0.0; });
  table.add(
      {"finite_fraction", "all", "Members finite to the end", "", Better::higher, Statistic::share_of_members},
      [&](const MemberRecord& m) { return earliest(m, &MemberRecord::first_nonfinite) < 0 ? 1.0 : 0.0; });
  table.add(
      {"first_unstable", "all", "First unstable step", "steps", Better::higher, Statistic::median_of_members},
      [&](const MemberRecord& m) {
        const std::int64_t step = earliest(m, &MemberRecord::first_unstable);
        return step < 0 ? kInfinite : static_cast<double>(step);
      });
  return table.take();
}

std::vector<Score> score(std::span<const MemberRecord> members, const TruthReference& reference,
                         const ScoreSettings& settings, const Bootstrap& bootstrap, const std::string& field) {
  require(static_cast<int>(members.size()) == bootstrap.members(), "{} members, bootstrap over {}",
          members.size(), bootstrap.members());
  Table table(members, lost_of(members), bootstrap, field);
  const Periods periods = Periods::of(members[0].windows.size());
  table.add(
      {"frozen_fraction", "all", "Members that froze", "", Better::lower, Statistic::share_of_members},
      [&](const MemberRecord& m) { return frozen(m, settings.frozen_factor * reference.rate) ? 1.0 : 0.0; });
  add_window_scores(table, members, "early", periods.early, &MemberRecord::early, reference, bootstrap);
  add_window_scores(table, members, "mid", periods.mid, &MemberRecord::mid, reference, bootstrap);
  add_window_scores(table, members, "late", periods.late, &MemberRecord::late, reference, bootstrap);
  add_long_term(table, reference);
  add_mean_distances(table, members, reference, bootstrap);
  add_temporal(table, members, reference);
  if (!members[0].paired_nrmse.empty()) add_short_term(table, settings);
  return table.take();
}

std::vector<PairedDifference> paired_differences(std::span<const Score> a, std::span<const Score> b,
                                                 const Bootstrap& bootstrap) {
  std::vector<PairedDifference> result;
  for (const Score& first : a) {
    const auto second =
        std::find_if(b.begin(), b.end(), [&](const Score& s) { return s.info.id() == first.info.id(); });
    if (second == b.end() || first.members.size() != second->members.size()) continue;
    Estimate better_share{kUndefined, kUndefined, kUndefined};
    if (!first.members.empty()) {
      std::vector<double> better;
      bool defined = true;
      for (std::size_t m = 0; m < first.members.size(); ++m) {
        const double x = distance_from_ideal(first.members[m], first.info.better);
        const double y = distance_from_ideal(second->members[m], first.info.better);
        better.push_back(x < y ? 1.0 : x > y ? 0.0 : 0.5);
        defined = defined && !std::isnan(first.members[m]) && !std::isnan(second->members[m]);
      }
      if (defined) better_share = bootstrap.of_share(better);
    }
    result.push_back({first.info, difference(first, *second, bootstrap), better_share});
  }
  return result;
}

}  // namespace sns::metrics
