#include "solvers/spectral/spectra.hpp"

#include "core/error.hpp"
#include "solvers/spectral/grid.hpp"

#include <cmath>
#include <numbers>

namespace sns::spectral {
namespace {

void check_shape(std::span<const double> density, int n) {
  const Grid grid{n, 1};
  require(n >= 2 && n % 2 == 0 && density.size() == grid.modes(),
          "a spectral density of {} values is not {} x {}", density.size(), n, n / 2 + 1);
}

}  // namespace

double full_plane_sum(std::span<const double> density, int n) {
  check_shape(density, n);
  double total = 0;
  std::size_t at = 0;
  for (int i = 0; i < n; ++i)
    for (int j = 0; j <= n / 2; ++j, ++at) total += column_weight(j, n) * density[at];
  return total;
}

std::vector<double> shell_wavenumbers(int n, double unit, Shells shells) {
  const long last = shells == Shells::to_corners ? std::lround(std::hypot(n / 2, n / 2)) : n / 2;
  std::vector<double> k;
  for (long m = 0; m <= last; ++m) k.push_back(unit * static_cast<double>(m));
  return k;
}

Spectrum shell_spectrum(std::span<const double> density, int n, double unit, Shells shells) {
  check_shape(density, n);
  const int half = n / 2;
  Spectrum result;
  result.k = shell_wavenumbers(n, unit, shells);
  result.value.assign(result.k.size(), 0.0);
  std::size_t at = 0;
  for (int i = 0; i < n; ++i)
    for (int j = 0; j <= half; ++j, ++at) {
      const auto shell = static_cast<std::size_t>(std::lround(std::hypot(row_wavenumber(i, n), j)));
      if (shell < result.value.size()) result.value[shell] += column_weight(j, n) * density[at];
    }
  return result;
}

Spectrum ring_spectrum(std::span<const double> density, int n, double unit, const RingOptions& options) {
  check_shape(density, n);
  const int half = n / 2;
  const double width = std::sqrt(2 * unit * unit), edge = unit * half;
  const double largest = options.truncate ? edge : std::sqrt(edge * edge + edge * edge);
  Spectrum result;
  std::vector<double> left;
  for (int m = 0; m * width < largest; ++m) left.push_back(m * width);
  std::vector<double> sum(left.size(), 0.0), count(left.size(), 0.0);
  std::size_t at = 0;
  for (int i = 0; i < n; ++i)
    for (int j = 0; j <= half; ++j, ++at) {
      const double kx = unit * row_wavenumber(i, n), ky = unit * j;
      const double k = std::sqrt(kx * kx + ky * ky);
      // The last ring is closed on the right; rounding of the quotient is settled by the edges themselves.
      auto ring = static_cast<std::size_t>(k / width);
      if (ring + 1 < left.size() && k >= left[ring + 1]) ++ring;
      if (ring < left.size() && k < left[ring] && ring > 0) --ring;
      if (ring == left.size() && k <= left.back() + width) --ring;
      if (ring >= left.size()) continue;
      sum[ring] += column_weight(j, n) / 2 * density[at];
      count[ring] += 1;
    }
  for (std::size_t m = 0; m < left.size(); ++m) {
    const double centre = left[m] + width / 2;
    result.k.push_back(centre);
    double value = 0;
    if (!options.averaging)
      value = sum[m] / width * 2;
    else if (count[m] > 0)
      value = sum[m] / count[m] * centre * std::numbers::pi / (unit * unit) * 2;
    result.value.push_back(value);
  }
  return result;
}

}  // namespace sns::spectral
