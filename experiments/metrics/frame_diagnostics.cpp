#include "experiments/metrics/frame_diagnostics.hpp"

#include "core/error.hpp"
#include "solvers/kolmogorov/diagnostics.hpp"
#include "solvers/qg2layer/diagnostics.hpp"

#include <algorithm>
#include <complex>
#include <optional>

namespace sns::metrics {

qg2layer::Params layer_params(const Flow& flow) {
  qg2layer::Params params;
  params.grid = {flow.points, flow.length};
  params.deformation_radius = flow.layers->deformation_radius;
  params.depth_ratio = flow.layers->depth_ratio;
  if (flow.shear) {
    params.mean_flow[0] = flow.shear->upper;
    params.mean_flow[1] = flow.shear->lower;
    params.bottom_drag = flow.shear->bottom_drag;
  }
  return params;
}

struct FrameDiagnostics::Workspace {
  explicit Workspace(const Flow& flow, const spectral::Grid& grid)
      : transform(grid.n), values(flow.fields.size() * grid.points()) {
    if (flow.layers)
      layers.emplace(layer_params(flow));
    else
      single.emplace(grid);
  }
  std::optional<kolmogorov::FieldDiagnostics> single;
  std::optional<qg2layer::FieldDiagnostics> layers;
  spectral::RealTransform transform;
  std::vector<double> values;
};

SpectrumKind spectrum_kind(const std::string& name, const Flow& flow) {
  if (name == "shells") return SpectrumKind::shells;
  if (name == "pv") return SpectrumKind::pv;
  if (name == "paper") return flow.layers ? SpectrumKind::paper_qg_pv : SpectrumKind::paper;
  if (name == "paper_qg_pv" && flow.layers) return SpectrumKind::paper_qg_pv;
  fail<ConfigError>(
      "evaluate.spectrum is {}: it must be shells, pv, paper, or, for two-layer flow, paper_qg_pv", name);
}

FrameDiagnostics::FrameDiagnostics(const Flow& flow, SpectrumKind kind, std::vector<double> scales)
    : flow_(flow),
      grid_{flow.points, flow.length},
      kind_(kind),
      scales_(std::move(scales)),
      workspace_(std::make_unique<Workspace>(flow_, grid_)) {
  require(flow_.fields.size() == (flow_.layers ? 2U : 1U) && scales_.size() == flow_.fields.size(),
          "{} fields with {} scales: diagnostics are of one vorticity, or of two layers", flow_.fields.size(),
          scales_.size());
  const std::vector<double> pixels(grid_.points(), 0.0), power(grid_.modes(), 0.0);
  wavenumbers_ = spectrum(0, pixels, power, true);
}

FrameDiagnostics::FrameDiagnostics(const FrameDiagnostics& other)
    : FrameDiagnostics(other.flow_, other.kind_, other.scales_) {}

FrameDiagnostics::~FrameDiagnostics() = default;

double FrameDiagnostics::resolved_wavenumber() const {
  return (grid_.n / 2 - 1) * grid_.unit();
}

std::vector<double> FrameDiagnostics::spectrum(std::size_t field, std::span<const double> pixels,
                                               std::span<const double> power, bool wavenumbers) const {
  const auto points = static_cast<double>(grid_.points());
  const auto scaled = [&](std::span<const double> density, double factor) {
    std::vector<double> out(density.begin(), density.end());
    for (double& value : out) value *= factor;
    return out;
  };
  spectral::Spectrum result;
  switch (kind_) {
    case SpectrumKind::shells:
      result = spectral::shell_spectrum(scaled(power, 1 / (2 * points * points)), grid_.n, grid_.unit());
      break;
    case SpectrumKind::pv: {
      const auto hat = workspace_->transform.forward(pixels);
      std::vector<double> density(hat.size());
      for (std::size_t i = 0; i < hat.size(); ++i) density[i] = std::norm(hat[i]) / (2 * points * points);
      result = spectral::shell_spectrum(density, grid_.n, grid_.unit());
      break;
    }
    case SpectrumKind::paper:
      result =
          spectral::ring_spectrum(scaled(power, 1 / (scales_[field] * scales_[field])), grid_.n, grid_.unit());
      break;
    case SpectrumKind::paper_qg_pv:
      result = qg2layer::paper_qg_pv(pixels, grid_.n, grid_.length, scales_[field]);
      break;
  }
  // The mean, k = 0, is left out.
  const std::ptrdiff_t skipped = kind_ == SpectrumKind::shells || kind_ == SpectrumKind::pv ? 1 : 0;
  const auto& chosen = wavenumbers ? result.k : result.value;
  return {chosen.begin() + skipped, chosen.end()};
}

std::vector<double> FrameDiagnostics::small_scales(std::span<const double> pixels) const {
  const auto hat = workspace_->transform.forward(pixels);
  std::vector<std::complex<double>> kept(hat.begin(), hat.end());
  const int n = grid_.n, columns = grid_.columns();
  for (int i = 0; i < n; ++i)
    for (int j = 0; j < columns; ++j) {
      const std::int64_t l = spectral::row_wavenumber(i, n), square = l * l + std::int64_t{j} * j,
                         all = std::int64_t{n} * n;
      if (16 * square < all || 4 * square > all) kept[static_cast<std::size_t>(i * columns + j)] = 0;
    }
  std::vector<double> out(pixels.size());
  workspace_->transform.inverse(kept, out);
  return out;
}

std::vector<FrameDiagnostics::Values> FrameDiagnostics::measure(std::span<const float> frame,
                                                                std::span<double> spectra) {
  std::vector<double>& state = workspace_->values;
  std::copy(frame.begin(), frame.end(), state.begin());
  const auto points = static_cast<double>(grid_.points());
  std::vector<Values> result;
  for (std::size_t f = 0; f < fields(); ++f) {
    const auto pixels = std::span<const double>(state).subspan(f * grid_.points(), grid_.points());
    Values values{};
    for (const double w : pixels) {
      values.enstrophy += w * w / (2 * points);
      values.mean += w / points;
    }
    for (const double w : small_scales(pixels)) {
      values.small_square += w * w / points;
      values.small_fourth += w * w * w * w / points;
    }
    std::vector<double> power;
    if (flow_.layers) {
      power = workspace_->layers->kinetic_density(state, static_cast<int>(f));
      for (double& value : power) value *= points * points;
    } else {
      power = workspace_->single->velocity_power(pixels);
    }
    values.energy = spectral::full_plane_sum(power, grid_.n) / (2 * points * points);
    const auto bins = spectrum(f, pixels, power);
    std::copy(bins.begin(), bins.end(), spectra.begin() + static_cast<std::ptrdiff_t>(f * bins.size()));
    result.push_back(values);
  }
  return result;
}

}  // namespace sns::metrics
