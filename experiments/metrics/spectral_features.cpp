#include "experiments/metrics/spectral_features.hpp"

#include "experiments/metrics/statistics.hpp"

#include <cmath>

namespace sns::metrics {
namespace {

/// Points of truth that methods are compared with, at most: the cost grows with their number.
constexpr std::size_t kReferencePoints = 2048;

/// Every nth point, so that kReferencePoints or fewer are left.
std::vector<double> thinned(const std::vector<double>& points, std::size_t dimension) {
  const std::size_t count = points.size() / dimension,
                    stride = (count + kReferencePoints - 1) / kReferencePoints;
  std::vector<double> result;
  for (std::size_t point = 0; point < count; point += stride) {
    const auto begin = points.begin() + static_cast<std::ptrdiff_t>(point * dimension);
    result.insert(result.end(), begin, begin + static_cast<std::ptrdiff_t>(dimension));
  }
  return result;
}

}  // namespace

SpectralFeatures::SpectralFeatures(std::span<const MemberRecord> truth, const ShellMask& mask)
    : bins_(truth[0].windows[0].spectrum.size()) {
  std::vector<double> spectra;
  for (const MemberRecord& member : truth)
    spectra.insert(spectra.end(), member.all.frames.spectra.begin(), member.all.frames.spectra.end());
  for (const std::size_t bin : mask.bins) {
    std::vector<double> logarithms;
    for (std::size_t at = bin; at < spectra.size(); at += bins_) logarithms.push_back(std::log(spectra[at]));
    const double scatter = standard_deviation(logarithms);
    if (!(scatter > 0) || !std::isfinite(scatter)) continue;
    used_.push_back(bin);
    mean_.push_back(mean(logarithms));
    scale_.push_back(scatter);
  }
  if (!used_.empty()) truth_.emplace(thinned(points(spectra), used_.size()), used_.size());
}

std::vector<double> SpectralFeatures::points(std::span<const double> spectra) const {
  std::vector<double> result;
  for (std::size_t frame = 0; frame < spectra.size(); frame += bins_)
    for (std::size_t i = 0; i < used_.size(); ++i)
      result.push_back((std::log(spectra[frame + used_[i]]) - mean_[i]) / scale_[i]);
  return result;
}

}  // namespace sns::metrics
