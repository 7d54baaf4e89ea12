#pragma once
// Everything that is measured along one member's trajectory, field by field, in one pass over its frames.
#include "experiments/metrics/distribution.hpp"
#include "experiments/metrics/frame_diagnostics.hpp"
#include "experiments/metrics/temporal.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace sns::metrics {

/// Frames [first, last] of a window.
struct Window {
  std::int64_t first, last;
};
/// Frames 1..frames-1 in windows of `length`; the last one takes the rest. Frame 0, the initial condition
/// shared with truth, belongs to none. At least one window.
std::vector<Window> make_windows(std::int64_t frames, std::int64_t length);
/// Whether `frame`, of `window`, is one of the at most `count` frames that stand for it where not all of them
/// are looked at: one of each block of equally many (of the last, which may be shorter, perhaps none), at a
/// random place, the same in every run and another in each window. Evenly spaced ones would fall in step with a
/// method that treats its frames in a rhythm of its own, such as one that refines one in four.
bool stands_for(const Window& window, std::int64_t frame, std::int64_t count);

/// The three windows that tables show.
struct Periods {
  std::size_t early, mid, late;
  static Periods of(std::size_t windows) { return {0, windows / 2, windows - 1}; }
};

/// Range of a quantity over all frames of all truth trajectories.
struct Range {
  double min, max;
  void include(double value);
  /// min / factor <= value <= factor * max; false for a value that is not finite.
  bool holds(double value, double factor) const;
};

/// What members are measured against.
struct Yardstick {
  double mean, standard_deviation;  ///< of truth's pixels
  Range energy, enstrophy;
  double increment;  ///< root mean square of x_t - x_{t-1} over truth's pixels and frames
};

struct RecordSettings {
  std::int64_t frames = 0;
  std::int64_t window = 0;
  double interval = 0;  ///< time between frames
  int lags = 0;
  std::int64_t temporal_window = 250;  ///< frames at either end whose C(tau) and R(t) are kept in full
  double energy_factor = 2;
  std::vector<double> correlation_thresholds;
  Yardstick yardstick{};
};

/// Curves over the run: frame 0, and means over at most kSeriesPoints blocks of the frames after it, so that
/// they do not grow with the rollout. Means, as single frames would fall in step with a method that treats its
/// frames in a rhythm of its own; where that does not divide the block a beat of one frame in the block is
/// left.
inline constexpr std::int64_t kSeriesPoints = 2000;
/// Frames of a block, of which the last may have fewer.
std::int64_t series_block(std::int64_t frames);
/// Where the points of a curve lie, in frames: 0, and the centres of the blocks.
std::vector<double> series_centres(std::int64_t frames);
/// The first and the last `length` steps of a rollout, or all of a shorter one: frames, both ends included.
std::pair<Window, Window> temporal_windows(std::int64_t frames, std::int64_t length);
/// The first frames, unthinned, for the comparison with the paired truth.
inline constexpr std::int64_t kPairedFrames = 1000;

/// Means over the finite frames of one window.
struct WindowRecord {
  std::int64_t frames = 0, finite = 0, rates = 0;
  double energy = 0, enstrophy = 0;           ///< per unit area
  double rate = 0;                            ///< R(t), per unit time; over `rates` frames
  double mean_square = 0;                     ///< of the domain mean's distance from truth's mean
  double small_square = 0, small_fourth = 0;  ///< see FrameDiagnostics::Values
  double nrmse = 0;                           ///< against the paired truth; over `paired` frames
  std::int64_t paired = 0;
  std::vector<double> spectrum;
  bool whole() const { return finite == frames; }
  /// Of the small scales, over points and frames: 3 for Gaussian noise, more where filaments and cores stand
  /// out.
  double flatness() const { return small_fourth / (small_square * small_square); }
};

/// Frames of a period that are kept for comparisons of whole frames at most, so that they do not grow with the
/// rollout (stands_for).
inline constexpr std::int64_t kSampledFrames = 128;
/// Finite frames only.
struct FrameSample {
  std::vector<double> energy, enstrophy;
  std::vector<double> spectra;  ///< [frame][bin]
};

/// What is gathered over a period: over its finite frames, and over its pairs of them.
struct PeriodRecord {
  Distribution pixels;
  Distribution increments;  ///< x_t - x_{t-1}, in units of truth's root mean square
  FrameSample frames;
};

struct MemberRecord {
  std::vector<WindowRecord> windows;
  std::int64_t first_nonfinite = -1;            ///< frame; -1 never
  std::int64_t first_unstable = -1;             ///< not finite, or energy or enstrophy beyond truth's range
  std::vector<double> energy, enstrophy, rate;  ///< curves at series_centres; NaN where a frame is not finite
  std::vector<double> paired_nrmse, paired_correlation;  ///< first frames
  std::vector<double> correlation_time;  ///< per threshold, time units; infinite if it is never reached
  std::vector<double> autocorrelation;
  TemporalRecord begin, end;       ///< of the first and the last frames
  std::vector<double> mean_field;  ///< mean over the finite frames after the first, per pixel; NaN without one
  PeriodRecord early, mid, late, all;
};

/// A curve over the run: the value of frame 0, and means over blocks of the values after it.
class BlockMeans {
 public:
  explicit BlockMeans(std::int64_t frames) : frames_(frames) {}
  /// The value of the next frame; a mean with a NaN in it is one.
  void add(double value);
  std::vector<double> finish() { return std::move(means_); }

 private:
  std::int64_t frames_, frame_ = 0, count_ = 0;
  double sum_ = 0;
  std::vector<double> means_;
};

/// One field of one member.
class FieldRecorder {
 public:
  FieldRecorder(const RecordSettings& settings, std::size_t bins);
  /// values and spectrum of the frame; values null: the frame is not finite.
  void add(std::span<const float> frame, std::span<const float> truth, const FrameDiagnostics::Values* values,
           std::span<const double> spectrum);
  MemberRecord finish();

 private:
  void compare(std::span<const float> frame, std::span<const float> truth, bool finite, WindowRecord* window);
  /// A finite frame into the record of a period of frames first..last.
  void gather(PeriodRecord& period, const Window& frames, std::span<const float> frame,
              const FrameDiagnostics::Values& values, std::span<const double> spectrum);

  RecordSettings settings_;
  std::vector<Window> windows_;
  Periods periods_;
  MemberRecord record_;
  Autocorrelation autocorrelation_;
  TemporalRecorder begin_, end_;
  BlockMeans energy_, enstrophy_, rate_;
  Eigen::ArrayXd sum_;  // of finite frames after the first
  std::vector<float> previous_, increment_;
  bool previous_finite_ = false;
  std::int64_t frame_ = 0;
  std::size_t window_ = 0;
};

/// Takes frames 0, 1, 2, ... of one member.
class MemberRecorder {
 public:
  /// settings: of each field.
  MemberRecorder(const std::vector<RecordSettings>& settings, const FrameDiagnostics& diagnostics);
  /// frame: [field][axis0][axis1]; truth: the paired solver frame of the same time, empty where there is none.
  /// A frame with a value that is not finite counts as such for all fields.
  void add(std::span<const float> frame, std::span<const float> truth);
  /// One record per field.
  std::vector<MemberRecord> finish();

 private:
  FrameDiagnostics diagnostics_;
  std::vector<FieldRecorder> fields_;
  std::vector<double> spectra_;
};

}  // namespace sns::metrics
