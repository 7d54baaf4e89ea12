#include "emulator/training/band_errors.hpp"

namespace sns {

void BandErrors::add(const torch::Tensor& levels, const torch::Tensor& difference,
                     const torch::Tensor& logits) {
  const torch::Tensor squares = difference.square().mean({1, 2, 3}).to(torch::kCPU, torch::kFloat64),
                      truth = levels.to(torch::kCPU).contiguous();
  torch::Tensor misses;
  if (logits.defined())
    misses = (logits.argmax(1) - levels).abs().to(torch::kCPU, torch::kFloat64).contiguous();
  classifies_ = logits.defined();
  for (std::int64_t b = 0; b < truth.size(0); ++b) {
    Sums& sums = sums_[band_of(bands_, truth.data_ptr<std::int64_t>()[b])];
    sums.samples += 1;
    sums.squares += squares.data_ptr<double>()[b];
    if (classifies_) sums.misses += misses.data_ptr<double>()[b];
  }
}

void BandErrors::report(Metrics& metrics) const {
  for (std::size_t i = 0; i < bands_.size(); ++i) {
    const Sums& sums = sums_[i];
    if (sums.samples == 0) continue;
    const std::string name = frame_ + bands_[i].name();
    metrics.emplace_back("eps_mse_" + name, sums.squares / sums.samples);
    if (classifies_) metrics.emplace_back("head_error_" + name, sums.misses / sums.samples);
  }
}

}  // namespace sns
