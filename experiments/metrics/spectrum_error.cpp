#include "experiments/metrics/spectrum_error.hpp"

#include "core/error.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace sns::metrics {
namespace {

/// Below this share of the largest enstrophy density a float32 frame holds rounding noise.
constexpr double kFloat32Noise = 1e-12;

std::span<const std::size_t> part_of(const ShellMask& mask, int part, int parts) {
  const std::size_t n = mask.bins.size();
  const auto p = static_cast<std::size_t>(part), q = static_cast<std::size_t>(parts);
  const std::size_t begin = p * n / q, end = std::max((p + 1) * n / q, begin + 1);
  return std::span(mask.bins).subspan(std::min(begin, n - 1), std::min(end, n) - std::min(begin, n - 1));
}

}  // namespace

ShellMask make_mask(std::span<const double> wavenumbers, std::span<const double> truth, double resolved,
                    int first, int last) {
  double largest = 0;
  for (std::size_t i = 0; i < truth.size(); ++i)
    largest = std::max(largest, wavenumbers[i] * wavenumbers[i] * truth[i]);
  ShellMask mask;
  const double tolerance = 1 + 1e-9;
  for (std::size_t i = 0; i < truth.size(); ++i) {
    const double k = wavenumbers[i];
    const auto position = static_cast<int>(i) + (wavenumbers.front() > 0 ? 1 : 0);
    if (position < std::max(first, 1) || k > resolved * tolerance) continue;
    if (last > 0 && position > last) continue;
    if (k * k * truth[i] > kFloat32Noise * largest) mask.bins.push_back(i);
  }
  require(!mask.bins.empty(),
          "no spectral shell to compare: evaluate.first_shell {} and last_shell {} leave none of {}", first,
          last, truth.size());
  return mask;
}

double spectrum_error(std::span<const double> spectrum, std::span<const double> truth, const ShellMask& mask) {
  double sum = 0;
  for (const std::size_t i : mask.bins) {
    if (!(spectrum[i] > 0) || !std::isfinite(spectrum[i])) return std::numeric_limits<double>::infinity();
    sum += std::abs(std::log(spectrum[i] / truth[i]));
  }
  return sum / static_cast<double>(mask.bins.size());
}

double log_bias(std::span<const double> spectrum, std::span<const double> truth, const ShellMask& mask,
                int part, int parts) {
  double sum = 0;
  const auto bins = part_of(mask, part, parts);
  for (const std::size_t i : bins) {
    if (!(spectrum[i] > 0) || !std::isfinite(spectrum[i])) return std::numeric_limits<double>::infinity();
    sum += std::log(spectrum[i] / truth[i]);
  }
  return sum / static_cast<double>(bins.size());
}

std::pair<double, double> band(std::span<const double> wavenumbers, const ShellMask& mask, int part,
                               int parts) {
  const auto bins = part_of(mask, part, parts);
  return {wavenumbers[bins.front()], wavenumbers[bins.back()]};
}

}  // namespace sns::metrics
