#include "solvers/kolmogorov/diagnostics.hpp"

#include "solvers/kolmogorov/equation.hpp"

#include <algorithm>
#include <cmath>

namespace sns::kolmogorov {

using spectral::Spectrum;

FieldDiagnostics::FieldDiagnostics(const spectral::Grid& grid) : grid_(grid), transform_(grid.n) {}

void FieldDiagnostics::velocity(std::span<const double> vorticity, std::span<double> u, std::span<double> v) {
  const auto spectrum = transform_.forward(vorticity);
  const Velocity<double> of_mode{1 / grid_.unit(), grid_.n};
  std::vector<std::complex<double>> u_hat(spectrum.size()), v_hat(spectrum.size());
  std::size_t at = 0;
  for (int i = 0; i < grid_.n; ++i)
    for (int j = 0; j < grid_.columns(); ++j, ++at) {
      const auto pair = of_mode(i, j, {spectrum[at].real(), spectrum[at].imag()});
      u_hat[at] = {pair.u.re, pair.u.im};
      v_hat[at] = {pair.v.re, pair.v.im};
    }
  transform_.inverse(u_hat, u);
  transform_.inverse(v_hat, v);
}

Integrals FieldDiagnostics::integrals(std::span<const double> vorticity, int forcing_wavenumber,
                                      double forcing_amplitude) {
  Integrals result;
  const double points = static_cast<double>(grid_.points()), k_f = grid_.unit() * forcing_wavenumber;
  std::vector<double> u(vorticity.size()), v(vorticity.size());
  velocity(vorticity, u, v);
  std::size_t at = 0;
  for (int i = 0; i < grid_.n; ++i)
    for (int j = 0; j < grid_.n; ++j, ++at) {
      const double phase = k_f * j * grid_.spacing(), speed2 = u[at] * u[at] + v[at] * v[at];
      result.energy += 0.5 * speed2 / points;
      result.enstrophy += 0.5 * vorticity[at] * vorticity[at] / points;
      result.injection += forcing_amplitude * std::sin(phase) * u[at] / points;
      result.enstrophy_injection -= forcing_amplitude * k_f * std::cos(phase) * vorticity[at] / points;
      result.max_speed = spectral::larger(result.max_speed, std::sqrt(speed2));
    }
  const auto spectrum = transform_.forward(vorticity);
  at = 0;
  for (int i = 0; i < grid_.n; ++i)
    for (int j = 0; j < grid_.columns(); ++j, ++at) {
      const double kx = grid_.unit() * spectral::row_wavenumber(i, grid_.n), ky = grid_.unit() * j;
      result.palinstrophy += 0.5 * spectral::column_weight(j, grid_.n) * (kx * kx + ky * ky) *
                             std::norm(spectrum[at]) / (points * points);
    }
  return result;
}

std::vector<double> FieldDiagnostics::velocity_power(std::span<const double> vorticity) {
  const auto spectrum = transform_.forward(vorticity);
  std::vector<double> power(spectrum.size());
  std::size_t at = 0;
  for (int i = 0; i < grid_.n; ++i)
    for (int j = 0; j < grid_.columns(); ++j, ++at) {
      const double kx = grid_.unit() * spectral::row_wavenumber(i, grid_.n), ky = grid_.unit() * j;
      const double k2 = kx * kx + ky * ky;
      power[at] = k2 > 0 ? std::norm(spectrum[at]) / k2 : 0.0;  // |u_hat|^2 + |v_hat|^2 = |w_hat|^2 / k^2
    }
  return power;
}

KolmogorovSpectrum::KolmogorovSpectrum(int n, double length) : grid_{n, length}, fields_(grid_) {}

Spectrum KolmogorovSpectrum::shells(std::span<const double> vorticity, spectral::Shells shells) {
  std::vector<double> density = fields_.velocity_power(vorticity);
  const double points = static_cast<double>(grid_.points());
  for (double& value : density) value /= 2 * points * points;
  return spectral::shell_spectrum(density, grid_.n, grid_.unit(), shells);
}
Spectrum KolmogorovSpectrum::paper(std::span<const double> vorticity, double field_std) {
  std::vector<double> density = fields_.velocity_power(vorticity);
  for (double& value : density) value /= field_std * field_std;
  return spectral::ring_spectrum(density, grid_.n, grid_.unit());
}
Spectrum KolmogorovSpectrum::shells(std::span<const float> vorticity, spectral::Shells shells) {
  return this->shells(std::vector<double>(vorticity.begin(), vorticity.end()), shells);
}
Spectrum KolmogorovSpectrum::paper(std::span<const float> vorticity, double field_std) {
  return paper(std::vector<double>(vorticity.begin(), vorticity.end()), field_std);
}

}  // namespace sns::kolmogorov
