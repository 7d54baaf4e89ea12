#include "experiments/metrics/frame_diagnostics.hpp"

#include "core/error.hpp"
#include "solvers/kolmogorov/diagnostics.hpp"

#include <algorithm>

namespace sns::metrics {

struct FrameDiagnostics::Workspace {
  explicit Workspace(const spectral::Grid& grid) : fields(grid), vorticity(grid.points()) {}
  kolmogorov::FieldDiagnostics fields;
  std::vector<double> vorticity;
};

SpectrumKind spectrum_kind(const std::string& name) {
  if (name == "shells") return SpectrumKind::shells;
  if (name == "paper") return SpectrumKind::paper;
  fail<ConfigError>("evaluate.spectrum is {}: it must be shells or paper", name);
}

FrameDiagnostics::FrameDiagnostics(int points, double length, SpectrumKind kind, double scale)
    : grid_{points, length}, kind_(kind), scale_(scale), workspace_(std::make_unique<Workspace>(grid_)) {
  const std::vector<double> nothing(grid_.modes(), 0.0);
  wavenumbers_ = spectrum(nothing).k;
  if (kind_ == SpectrumKind::shells) wavenumbers_.erase(wavenumbers_.begin());
}

FrameDiagnostics::FrameDiagnostics(const FrameDiagnostics& other)
    : FrameDiagnostics(other.grid_.n, other.grid_.length, other.kind_, other.scale_) {}

FrameDiagnostics::~FrameDiagnostics() = default;

spectral::Spectrum FrameDiagnostics::spectrum(std::span<const double> density) const {
  return kind_ == SpectrumKind::shells ? spectral::shell_spectrum(density, grid_.n, grid_.unit())
                                       : spectral::ring_spectrum(density, grid_.n, grid_.unit());
}

double FrameDiagnostics::resolved_wavenumber() const {
  return (grid_.n / 2 - 1) * grid_.unit();
}

FrameDiagnostics::Values FrameDiagnostics::measure(std::span<const float> vorticity, std::span<double> out) {
  std::vector<double>& field = workspace_->vorticity;
  std::copy(vorticity.begin(), vorticity.end(), field.begin());
  const auto points = static_cast<double>(grid_.points());
  Values values{0, 0};
  for (const double w : field) values.enstrophy += w * w / (2 * points);

  std::vector<double> density = workspace_->fields.velocity_power(field);
  std::size_t at = 0;
  for (int i = 0; i < grid_.n; ++i)
    for (int j = 0; j < grid_.columns(); ++j, ++at) {
      const double weight = j == 0 || j == grid_.n / 2 ? 1 : 2;
      values.energy += weight * density[at] / (2 * points * points);
    }
  const double factor = kind_ == SpectrumKind::shells ? 1 / (2 * points * points) : 1 / (scale_ * scale_);
  for (double& value : density) value *= factor;
  const auto result = spectrum(density);
  const auto skipped = static_cast<std::ptrdiff_t>(result.k.size() - wavenumbers_.size());
  std::copy(result.value.begin() + skipped, result.value.end(), out.begin());
  return values;
}

}  // namespace sns::metrics
