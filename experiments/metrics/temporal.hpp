#pragma once
// How a field moves in a short span of a rollout, kept in full: the curves of the SNS paper's Fig. 5.
#include "experiments/metrics/autocorrelation.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace sns::metrics {

struct TemporalRecord {
  std::int64_t first = 0, last = 0;     ///< frames of the span
  std::vector<double> autocorrelation;  ///< C(tau), one value per lag in frames; NaN where there was no pair
  std::vector<double> rate;             ///< R of frames first + 1..last; NaN where a frame is not finite
  bool whole() const;                   ///< all its frames are finite
};

class TemporalRecorder {
 public:
  /// Of frames first..last; C(tau) up to `lags` frames.
  TemporalRecorder(std::int64_t first, std::int64_t last, int lags);
  /// Frame `index` of the rollout, in order and from the first on; rate: R there, NaN where undefined.
  void add(std::int64_t index, std::span<const float> frame, bool finite, double rate);
  TemporalRecord finish();

 private:
  TemporalRecord record_;
  int lags_;
  std::optional<Autocorrelation> autocorrelation_;
};

}  // namespace sns::metrics
