#pragma once
#include "emulator/training/level_bands.hpp"
#include "emulator/training/metrics.hpp"

#include <torch/types.h>

#include <string>
#include <vector>

namespace sns {

/// Errors of noise estimates, and of a head, apart for each band of levels, over any number of batches.
class BandErrors {
 public:
  /// frame: "past_" or "present_", which enters the names; empty where there is one level for all frames.
  explicit BandErrors(int highest_level, std::string frame = "")
      : bands_(level_bands(highest_level)), frame_(std::move(frame)), sums_(bands_.size()) {}

  /// Samples at levels [B] int64: difference of estimate and noise [B, C, n, n]; the head's logits [B, S], or
  /// undefined without one.
  void add(const torch::Tensor& levels, const torch::Tensor& difference, const torch::Tensor& logits = {});

  /// Appends, for each band that had samples, eps_mse_<frame><band>, mean square error of the noise estimate
  /// (1: knows nothing), and, with a head, head_error_<frame><band>, mean |predicted - true| level.
  void report(Metrics& metrics) const;

 private:
  struct Sums {
    double samples = 0, squares = 0, misses = 0;
  };
  std::vector<LevelBand> bands_;
  std::string frame_;
  std::vector<Sums> sums_;
  bool classifies_ = false;
};

}  // namespace sns
