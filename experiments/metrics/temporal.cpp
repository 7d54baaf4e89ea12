#include "experiments/metrics/temporal.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace sns::metrics {

bool TemporalRecord::whole() const {
  return std::none_of(rate.begin(), rate.end(), [](double value) { return std::isnan(value); });
}

TemporalRecorder::TemporalRecorder(std::int64_t first, std::int64_t last, int lags) : lags_(lags) {
  record_.first = first;
  record_.last = last;
}

void TemporalRecorder::add(std::int64_t index, std::span<const float> frame, bool finite, double rate) {
  if (index < record_.first || index > record_.last) return;
  if (!autocorrelation_) autocorrelation_.emplace(frame.size(), lags_);
  autocorrelation_->add(frame, finite);
  if (index > record_.first) record_.rate.push_back(rate);
}

TemporalRecord TemporalRecorder::finish() {
  record_.autocorrelation.assign(static_cast<std::size_t>(lags_) + 1, std::numeric_limits<double>::quiet_NaN());
  if (autocorrelation_) record_.autocorrelation = autocorrelation_->result();
  return std::move(record_);
}

}  // namespace sns::metrics
