#include "experiments/metrics/member_record.hpp"

#include "core/error.hpp"
#include "core/random.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace sns::metrics {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

bool all_finite(std::span<const float> frame) {
  return Eigen::Map<const Eigen::ArrayXf>(frame.data(), static_cast<Eigen::Index>(frame.size()))
      .isFinite()
      .all();
}

auto as_double(std::span<const float> frame) {
  return Eigen::Map<const Eigen::ArrayXf>(frame.data(), static_cast<Eigen::Index>(frame.size())).cast<double>();
}

PeriodRecord empty_period(const Yardstick& yardstick) {
  return {.pixels = {yardstick.mean, yardstick.standard_deviation},
          .increments = {0, yardstick.increment},
          .frames = {}};
}

}  // namespace

std::vector<Window> make_windows(std::int64_t frames, std::int64_t length) {
  const std::int64_t steps = frames - 1;
  const std::int64_t count = std::max<std::int64_t>(1, steps / length);
  std::vector<Window> windows;
  for (std::int64_t w = 0; w < count; ++w)
    windows.push_back({1 + w * length, w + 1 == count ? steps : (w + 1) * length});
  return windows;
}

bool stands_for(const Window& window, std::int64_t frame, std::int64_t count) {
  const std::int64_t length = (window.last - window.first + count) / count,
                     place = (frame - window.first) % length, block_begin = frame - place;
  RandomStream places(0, Purpose::sampled_frames, static_cast<std::uint64_t>(count),
                      static_cast<std::uint64_t>(block_begin));
  return place == static_cast<std::int64_t>(places.below(static_cast<std::uint64_t>(length)));
}

void Range::include(double value) {
  min = std::min(min, value);
  max = std::max(max, value);
}

bool Range::holds(double value, double factor) const {
  return value >= min / factor && value <= max * factor;
}

std::int64_t series_block(std::int64_t frames) {
  return std::max<std::int64_t>(1, (frames - 1 + kSeriesPoints - 1) / kSeriesPoints);
}

std::vector<double> series_centres(std::int64_t frames) {
  const std::int64_t length = series_block(frames);
  std::vector<double> centres{0};
  for (std::int64_t first = 1; first < frames; first += length)
    centres.push_back(static_cast<double>(first + std::min(first + length, frames) - 1) / 2);
  return centres;
}

void BlockMeans::add(double value) {
  sum_ += value;
  ++count_;
  const bool last = frame_ + 1 == frames_;
  if (frame_ == 0 || count_ == series_block(frames_) || last) {
    means_.push_back(sum_ / static_cast<double>(count_));
    sum_ = 0;
    count_ = 0;
  }
  ++frame_;
}

std::pair<Window, Window> temporal_windows(std::int64_t frames, std::int64_t length) {
  const std::int64_t steps = frames - 1, n = std::min(length, steps);
  return {{0, n}, {steps - n, steps}};
}

namespace {

TemporalRecorder temporal_recorder(const Window& window, const RecordSettings& settings) {
  return {window.first, window.last,
          static_cast<int>(std::min<std::int64_t>(settings.lags, settings.temporal_window / 2))};
}

}  // namespace

FieldRecorder::FieldRecorder(const RecordSettings& settings, std::size_t bins)
    : settings_(settings),
      windows_(make_windows(settings.frames, settings.window)),
      periods_(Periods::of(windows_.size())),
      record_{.windows = {},
              .energy = {},
              .enstrophy = {},
              .rate = {},
              .paired_nrmse = {},
              .paired_correlation = {},
              .correlation_time = {},
              .autocorrelation = {},
              .begin = {},
              .end = {},
              .mean_field = {},
              .early = empty_period(settings.yardstick),
              .mid = empty_period(settings.yardstick),
              .late = empty_period(settings.yardstick),
              .all = empty_period(settings.yardstick)},
      autocorrelation_(0, 0),
      begin_(temporal_recorder(temporal_windows(settings.frames, settings.temporal_window).first, settings)),
      end_(temporal_recorder(temporal_windows(settings.frames, settings.temporal_window).second, settings)),
      energy_(settings.frames),
      enstrophy_(settings.frames),
      rate_(settings.frames) {
  for (const Window& window : windows_) {
    WindowRecord values;
    values.frames = window.last - window.first + 1;
    values.spectrum.assign(bins, 0.0);
    record_.windows.push_back(std::move(values));
  }
  record_.correlation_time.assign(settings_.correlation_thresholds.size(),
                                  std::numeric_limits<double>::infinity());
}

void FieldRecorder::compare(std::span<const float> frame, std::span<const float> truth, bool finite,
                            WindowRecord* window) {
  double nrmse = kNone, correlation = kNone;
  if (finite) {
    const auto x = as_double(frame), y = as_double(truth);
    nrmse = std::sqrt((x - y).square().mean()) / settings_.yardstick.standard_deviation;
    const double x_mean = x.mean(), y_mean = y.mean();
    correlation = ((x - x_mean) * (y - y_mean)).sum() /
                  std::sqrt((x - x_mean).square().sum() * (y - y_mean).square().sum());
  }
  if (frame_ < kPairedFrames) {
    record_.paired_nrmse.push_back(nrmse);
    record_.paired_correlation.push_back(correlation);
  }
  if (window != nullptr && finite) {
    window->nrmse += nrmse;
    ++window->paired;
  }
  for (std::size_t i = 0; i < settings_.correlation_thresholds.size(); ++i)
    if (std::isinf(record_.correlation_time[i]) && !(correlation >= settings_.correlation_thresholds[i]))
      record_.correlation_time[i] = static_cast<double>(frame_) * settings_.interval;
}

void FieldRecorder::gather(PeriodRecord& period, const Window& frames, std::span<const float> frame,
                           const FrameDiagnostics::Values& values, std::span<const double> spectrum) {
  period.pixels.add(frame);
  if (previous_finite_) period.increments.add(increment_);
  if (!stands_for(frames, frame_, kSampledFrames)) return;
  period.frames.energy.push_back(values.energy);
  period.frames.enstrophy.push_back(values.enstrophy);
  period.frames.spectra.insert(period.frames.spectra.end(), spectrum.begin(), spectrum.end());
}

void FieldRecorder::add(std::span<const float> frame, std::span<const float> truth,
                        const FrameDiagnostics::Values* values, std::span<const double> spectrum) {
  if (frame_ == 0) {
    autocorrelation_ = Autocorrelation(frame.size(), settings_.lags);
    previous_.resize(frame.size());
    increment_.resize(frame.size());
    sum_ = Eigen::ArrayXd::Zero(static_cast<Eigen::Index>(frame.size()));
  }
  while (window_ + 1 < windows_.size() && frame_ > windows_[window_].last) ++window_;
  WindowRecord* window = frame_ > 0 ? &record_.windows[window_] : nullptr;
  const bool finite = values != nullptr;

  double energy = kNone, enstrophy = kNone, rate = kNone;
  if (finite) {
    energy = values->energy;
    enstrophy = values->enstrophy;
    if (window != nullptr) {
      ++window->finite;
      window->energy += energy;
      window->enstrophy += enstrophy;
      const double offset = values->mean - settings_.yardstick.mean;
      window->mean_square += offset * offset;
      window->small_square += values->small_square;
      window->small_fourth += values->small_fourth;
      for (std::size_t i = 0; i < spectrum.size(); ++i) window->spectrum[i] += spectrum[i];
      if (previous_finite_) {
        for (std::size_t i = 0; i < frame.size(); ++i) increment_[i] = frame[i] - previous_[i];
        rate = (as_double(frame) - as_double(previous_)).abs().mean() / settings_.interval;
        window->rate += rate;
        ++window->rates;
      }
      const Window& now = windows_[window_];
      if (window_ == periods_.early) gather(record_.early, now, frame, *values, spectrum);
      if (window_ == periods_.mid) gather(record_.mid, now, frame, *values, spectrum);
      if (window_ == periods_.late) gather(record_.late, now, frame, *values, spectrum);
      gather(record_.all, {1, settings_.frames - 1}, frame, *values, spectrum);
      sum_ += as_double(frame);
    }
    std::copy(frame.begin(), frame.end(), previous_.begin());
  } else if (record_.first_nonfinite < 0) {
    record_.first_nonfinite = frame_;
  }
  previous_finite_ = finite;
  const bool stable = finite && settings_.yardstick.energy.holds(energy, settings_.energy_factor) &&
                      settings_.yardstick.enstrophy.holds(enstrophy, settings_.energy_factor);
  if (!stable && record_.first_unstable < 0) record_.first_unstable = frame_;
  if (window != nullptr) autocorrelation_.add(frame, finite);
  begin_.add(frame_, frame, finite, rate);
  end_.add(frame_, frame, finite, rate);
  if (!truth.empty()) compare(frame, truth, finite, window);
  energy_.add(energy);
  enstrophy_.add(enstrophy);
  rate_.add(rate);
  ++frame_;
}

MemberRecord FieldRecorder::finish() {
  std::int64_t finite = 0;
  for (WindowRecord& window : record_.windows) {
    finite += window.finite;
    const double weight = window.finite > 0 ? 1 / static_cast<double>(window.finite) : kNone;
    window.energy *= weight;
    window.enstrophy *= weight;
    window.mean_square *= weight;
    window.small_square *= weight;
    window.small_fourth *= weight;
    for (double& value : window.spectrum) value *= weight;
    window.rate = window.rates > 0 ? window.rate / static_cast<double>(window.rates) : kNone;
    window.nrmse = window.paired > 0 ? window.nrmse / static_cast<double>(window.paired) : kNone;
  }
  record_.autocorrelation = autocorrelation_.result();
  record_.energy = energy_.finish();
  record_.enstrophy = enstrophy_.finish();
  record_.rate = rate_.finish();
  record_.begin = begin_.finish();
  record_.end = end_.finish();
  sum_ *= finite > 0 ? 1 / static_cast<double>(finite) : kNone;
  record_.mean_field.assign(sum_.begin(), sum_.end());
  return std::move(record_);
}

MemberRecorder::MemberRecorder(const std::vector<RecordSettings>& settings, const FrameDiagnostics& diagnostics)
    : diagnostics_(diagnostics), spectra_(diagnostics.fields() * diagnostics.wavenumbers().size()) {
  require(settings.size() == diagnostics.fields(), "{} settings for {} fields", settings.size(),
          diagnostics.fields());
  for (const RecordSettings& field : settings) fields_.emplace_back(field, diagnostics.wavenumbers().size());
}

void MemberRecorder::add(std::span<const float> frame, std::span<const float> truth) {
  std::vector<FrameDiagnostics::Values> values;
  if (all_finite(frame)) values = diagnostics_.measure(frame, spectra_);
  const std::size_t pixels = frame.size() / fields_.size(), bins = spectra_.size() / fields_.size();
  for (std::size_t f = 0; f < fields_.size(); ++f)
    fields_[f].add(frame.subspan(f * pixels, pixels), truth.empty() ? truth : truth.subspan(f * pixels, pixels),
                   values.empty() ? nullptr : &values[f],
                   std::span<const double>(spectra_).subspan(f * bins, bins));
}

std::vector<MemberRecord> MemberRecorder::finish() {
  std::vector<MemberRecord> records;
  for (FieldRecorder& field : fields_) records.push_back(field.finish());
  return records;
}

}  // namespace sns::metrics
