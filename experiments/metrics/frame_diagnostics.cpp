#include "experiments/metrics/frame_diagnostics.hpp"
#include <fftw3.h>
#include <cmath>
#include <complex>
#include <numbers>
#include "core/error.hpp"
namespace sns::metrics {
struct FrameDiagnostics::Transform {
  explicit Transform(int n)
      : n_(n), in(static_cast<std::size_t>(n * n)), out(static_cast<std::size_t>(n * (n / 2 + 1))) {
    plan = fftw_plan_dft_r2c_2d(n, n, in.data(), reinterpret_cast<fftw_complex*>(out.data()), FFTW_ESTIMATE);
  }
  ~Transform() { fftw_destroy_plan(plan); }
  int n_;
  std::vector<double> in;
  std::vector<std::complex<double>> out;
  fftw_plan plan;
};
SpectrumKind spectrum_kind(const std::string& n) {
  return n == "paper" ? SpectrumKind::paper : SpectrumKind::shells;
}
FrameDiagnostics::FrameDiagnostics(int points, double length, SpectrumKind kind, double scale)
    : points_(points),
      length_(length),
      kind_(kind),
      scale_(scale),
      transform_(std::make_unique<Transform>(points)) {
  for (int k = 1; k <= points / 2; ++k) wavenumbers_.push_back(k * 2 * std::numbers::pi / length);
}
FrameDiagnostics::FrameDiagnostics(const FrameDiagnostics& o)
    : FrameDiagnostics(o.points_, o.length_, o.kind_, o.scale_) {}
FrameDiagnostics::~FrameDiagnostics() = default;
double FrameDiagnostics::resolved_wavenumber() const {
  return (points_ / 2 - 1) * 2 * std::numbers::pi / length_;
}
FrameDiagnostics::Values FrameDiagnostics::measure(std::span<const float> w, std::span<double> spectrum) {
  for (std::size_t i = 0; i < w.size(); ++i) transform_->in[i] = static_cast<double>(w[i]);
  fftw_execute(transform_->plan);
  std::fill(spectrum.begin(), spectrum.end(), 0.0);
  const int h = points_ / 2 + 1;
  const double norm = std::pow(points_, -4.0), dk = 2 * std::numbers::pi / length_;
  Values v{0, 0};
  for (int i = 0; i < points_; ++i)
    for (int j = 0; j < h; ++j) {
      if (i == 0 && j == 0) continue;
      const int kx = i <= points_ / 2 ? i : i - points_;
      const double weight = (j == 0 || j == points_ / 2) ? 1 : 2;
      const double k2 = (kx * kx + j * j) * dk * dk;
      const double z = weight * norm * std::norm(transform_->out[static_cast<std::size_t>(i * h + j)]) / 2;
      v.enstrophy += z;
      v.energy += z / k2;
      const long s = std::lround(std::sqrt(k2) / dk);
      if (s >= 1 && s <= points_ / 2) spectrum[static_cast<std::size_t>(s - 1)] += z / k2;
    }
  return v;
}
}  // namespace sns::metrics
