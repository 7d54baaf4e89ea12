#pragma once
// From the records of a method's members to its table of metrics. docs/metrics.md defines each of them.
#include "experiments/metrics/member_record.hpp"
#include "experiments/metrics/score_table.hpp"
#include "experiments/metrics/spectral_features.hpp"
#include "experiments/metrics/spectrum_error.hpp"
#include "experiments/metrics/statistics.hpp"

#include <functional>
#include <span>
#include <string>
#include <vector>

namespace sns::metrics {

/// The reference of all scores: the paired truth.
struct TruthReference {
  std::vector<double> wavenumbers;
  std::vector<double> spectrum;         ///< mean over members and all frames after the first
  std::vector<double> autocorrelation;  ///< mean over members
  std::vector<double> autocorrelation_begin, autocorrelation_end;  ///< the same of the first and last frames
  std::vector<double> mean_field;                                  ///< mean over members and frames, per pixel
  double energy, enstrophy, rate;                                  ///< means over members and frames
  double flatness;                  ///< of the small scales, over all of them; NaN where they are rounding
  Distribution pixels, increments;  ///< pooled
  std::vector<double> frame_energies, frame_enstrophies;  ///< of sampled frames of all members
  ShellMask mask;
  SpectralFeatures features;
  double standard_deviation;  ///< of pixels
  double interval;            ///< time between frames
  std::int64_t frames;        ///< of the truth trajectories
};
TruthReference make_reference(std::span<const MemberRecord> truth, std::vector<double> wavenumbers,
                              double resolved, int first_shell, int last_shell, const RecordSettings& settings);

struct ScoreSettings {
  double frozen_factor = 0.1;
  std::vector<double> correlation_thresholds;
};
/// Which members stay finite and stable in all fields (one record per member in each), and for how long.
std::vector<Score> stability(std::span<const std::span<const MemberRecord>> fields, const Bootstrap& bootstrap);
/// All other scores of one field of one method; `field` names it where there are several. Those of the short
/// term are left out where the records hold none. `members` and `reference` must outlive the result.
std::vector<Score> score(std::span<const MemberRecord> members, const TruthReference& reference,
                         const ScoreSettings& settings, const Bootstrap& bootstrap,
                         const std::string& field = {});

/// Spectrum error of one window: of each member (infinite unless all its frames are finite), and of the mean
/// spectrum of the members with a finite frame.
struct WindowError {
  std::vector<double> members;
  Estimate member_median, ensemble;
  int lost = 0;  ///< members with a frame that is not finite
};
WindowError window_error(std::span<const MemberRecord> members, std::size_t window,
                         const TruthReference& reference, const Bootstrap& bootstrap);

/// Difference a - b of one score of two methods over the same members, from common draws.
struct PairedDifference {
  MetricInfo info;
  Estimate difference;    ///< of the statistics
  Estimate better_share;  ///< NaN for ensemble statistics; else the share of members in which a is nearer to
                          ///< the ideal than b; ties count half
};
std::vector<PairedDifference> paired_differences(std::span<const Score> a, std::span<const Score> b,
                                                 const Bootstrap& bootstrap);

}  // namespace sns::metrics
