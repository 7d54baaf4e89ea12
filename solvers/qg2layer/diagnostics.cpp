#include "solvers/qg2layer/diagnostics.hpp"

#include "core/error.hpp"
#include "solvers/qg2layer/equation.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace sns::qg2layer {
namespace {

using Complexes = std::vector<std::complex<double>>;

constexpr std::complex<double> kI{0, 1};

/// Real part of conj(a) b.
double correlate(std::complex<double> a, std::complex<double> b) {
  return a.real() * b.real() + a.imag() * b.imag();
}

template <class T>
std::span<T> layer_of(std::span<T> field, int layer) {
  const std::size_t points = field.size() / 2;
  return field.subspan(static_cast<std::size_t>(layer) * points, points);
}

}  // namespace

FieldDiagnostics::FieldDiagnostics(const Params& params)
    : params_(params), transform_(params.grid.n), filter_(filter_table(params)) {}

FieldDiagnostics::Spectra FieldDiagnostics::transform(std::span<const double> state) {
  require(state.size() == 2 * params_.grid.points(), "a state of {} values is not 2 x {} x {}", state.size(),
          params_.grid.n, params_.grid.n);
  Spectra result;
  for (int z = 0; z < 2; ++z) {
    const auto spectrum = transform_.forward(layer_of(state, z));
    result[static_cast<std::size_t>(z)].assign(spectrum.begin(), spectrum.end());
  }
  return result;
}

FieldDiagnostics::Spectra FieldDiagnostics::invert(const Spectra& q_hat) const {
  const Inversion<double> inverse_of_mode = inversion<double>(params_);
  Spectra psi_hat{Complexes(q_hat[0].size()), Complexes(q_hat[0].size())};
  std::size_t at = 0;
  for (int i = 0; i < params_.grid.n; ++i)
    for (int j = 0; j < params_.grid.columns(); ++j, ++at) {
      const auto psi = inverse_of_mode(i, j, {q_hat[0][at].real(), q_hat[0][at].imag()},
                                       {q_hat[1][at].real(), q_hat[1][at].imag()});
      psi_hat[0][at] = {psi.upper.re, psi.upper.im};
      psi_hat[1][at] = {psi.lower.re, psi.lower.im};
    }
  return psi_hat;
}

std::vector<double> FieldDiagnostics::inverse(const Complexes& spectrum) {
  std::vector<double> field(params_.grid.points());
  transform_.inverse(spectrum, field);
  return field;
}

void FieldDiagnostics::velocity_of(const Spectra& psi_hat, std::span<double> u, std::span<double> v) {
  const int columns = params_.grid.columns();
  const Velocity<double> of_mode = qg2layer::velocity<double>(params_);
  Complexes of_u(psi_hat[0].size()), of_v(psi_hat[0].size());
  for (int z = 0; z < 2; ++z) {
    const Complexes& psi = psi_hat[static_cast<std::size_t>(z)];
    std::size_t at = 0;
    for (int i = 0; i < params_.grid.n; ++i)
      for (int j = 0; j < columns; ++j, ++at) {
        const auto pair = of_mode(i, j, {psi[at].real(), psi[at].imag()});
        of_u[at] = {pair.u.re, pair.u.im};
        of_v[at] = {pair.v.re, pair.v.im};
      }
    transform_.inverse(of_u, layer_of(u, z));
    transform_.inverse(of_v, layer_of(v, z));
  }
}

std::vector<double> FieldDiagnostics::streamfunction(std::span<const double> state) {
  const Spectra psi_hat = invert(transform(state));
  std::vector<double> psi(state.size());
  for (int z = 0; z < 2; ++z)
    transform_.inverse(psi_hat[static_cast<std::size_t>(z)], layer_of(std::span(psi), z));
  return psi;
}

void FieldDiagnostics::velocity(std::span<const double> state, std::span<double> u, std::span<double> v) {
  velocity_of(invert(transform(state)), u, v);
}

Complexes FieldDiagnostics::advect(std::span<const double> field, std::span<const double> u,
                                   std::span<const double> v) {
  std::vector<double> product(field.size());
  Complexes result(params_.grid.modes());
  const auto add = [&](std::span<const double> component, auto wavenumber) {
    std::transform(field.begin(), field.end(), component.begin(), product.begin(), std::multiplies<>());
    const auto spectrum = transform_.forward(product);
    std::size_t at = 0;
    for (int i = 0; i < params_.grid.n; ++i)
      for (int j = 0; j < params_.grid.columns(); ++j, ++at) result[at] += kI * wavenumber(i, j) * spectrum[at];
  };
  add(u, [this](int, int j) { return k(j); });
  add(v, [this](int i, int) { return l(i); });
  return result;
}

Complexes FieldDiagnostics::tendency_of(const Spectra& psi_hat, std::span<const double> state) {
  const spectral::Grid& grid = params_.grid;
  std::vector<double> u(state.size()), v(state.size());
  velocity_of(psi_hat, u, v);
  Complexes result;
  for (int z = 0; z < 2; ++z) {
    for (double& value : layer_of(std::span(u), z)) value += params_.mean_flow[z];
    const Complexes advection = advect(layer_of(state, z), layer_of(std::span<const double>(u), z),
                                       layer_of(std::span<const double>(v), z));
    const Complexes& psi = psi_hat[static_cast<std::size_t>(z)];
    const double drag = z == 1 ? params_.bottom_drag : 0;
    std::size_t at = 0;
    for (int i = 0; i < grid.n; ++i)
      for (int j = 0; j < grid.columns(); ++j, ++at) {
        const double k2 = k(j) * k(j) + l(i) * l(i);
        result.push_back(-advection[at] - kI * k(j) * params_.pv_gradient(z) * psi[at] + drag * k2 * psi[at]);
      }
  }
  return result;
}

Complexes FieldDiagnostics::tendency(std::span<const double> state) {
  return tendency_of(invert(transform(state)), state);
}

std::vector<double> FieldDiagnostics::filter_density(const Spectra& q_hat, const Spectra& psi_hat,
                                                     std::span<const double> state) {
  // E = -sum_z H_z/H <psi_z q_z>/2 changes by -sum_z H_z/H psi_z dq_z, here with the dq = (filter - 1) (q + dt
  // dq/dt) of the filter. Weighed with the present psi, it balances the present work of the other terms; the
  // difference of the energies before and after the filter would not, because advection refills in every step
  // what the filter has taken.
  const Complexes change = tendency_of(psi_hat, state);
  const double points = static_cast<double>(params_.grid.points());
  std::vector<double> density(q_hat[0].size());
  for (std::size_t z = 0; z < 2; ++z)
    for (std::size_t at = 0; at < density.size(); ++at) {
      const std::complex<double> next = q_hat[z][at] + params_.dt * change[z * density.size() + at];
      density[at] -= params_.weight(static_cast<int>(z)) * (filter_[at] - 1) * correlate(psi_hat[z][at], next) /
                     (points * points * params_.dt);
    }
  return density;
}

BudgetDensities FieldDiagnostics::budget(std::span<const double> state) {
  const spectral::Grid& grid = params_.grid;
  const Spectra q_hat = transform(state), psi_hat = invert(q_hat);
  const double upper = params_.weight(0), lower = params_.weight(1);
  const double per_rd2 = 1 / (params_.deformation_radius * params_.deformation_radius);
  const double norm = std::pow(static_cast<double>(grid.points()), 2);

  std::vector<double> u(state.size()), v(state.size());
  velocity_of(psi_hat, u, v);
  const auto layer = [](const std::vector<double>& field, int z) {
    return layer_of(std::span<const double>(field), z);
  };
  // Advection of the thickness psi1 - psi2 by the barotropic flow, and of each layer's vorticity by its own.
  std::vector<double> thickness = inverse(psi_hat[0]), u_barotropic(grid.points()), v_barotropic(grid.points());
  const std::vector<double> psi_lower = inverse(psi_hat[1]);
  for (std::size_t p = 0; p < grid.points(); ++p) {
    thickness[p] -= psi_lower[p];
    u_barotropic[p] = upper * layer(u, 0)[p] + lower * layer(u, 1)[p];
    v_barotropic[p] = upper * layer(v, 0)[p] + lower * layer(v, 1)[p];
  }
  const Complexes thickness_advection = advect(thickness, u_barotropic, v_barotropic);
  Spectra vorticity_advection;
  for (std::size_t z = 0; z < 2; ++z) {
    Complexes vorticity_hat = psi_hat[z];
    std::size_t at = 0;
    for (int i = 0; i < grid.n; ++i)
      for (int j = 0; j < grid.columns(); ++j, ++at) vorticity_hat[at] *= -(k(j) * k(j) + l(i) * l(i));
    const auto number = static_cast<int>(z);
    vorticity_advection[z] = advect(inverse(vorticity_hat), layer(u, number), layer(v, number));
  }

  BudgetDensities result;
  std::size_t at = 0;
  for (int i = 0; i < grid.n; ++i)
    for (int j = 0; j < grid.columns(); ++j, ++at) {
      const std::complex<double> psi1 = psi_hat[0][at], psi2 = psi_hat[1][at];
      const double k2 = k(j) * k(j) + l(i) * l(i);
      result.ape_flux.push_back(-per_rd2 * upper * lower * correlate(thickness_advection[at], psi1 - psi2) /
                                norm);
      result.kinetic_flux.push_back((upper * correlate(vorticity_advection[0][at], psi1) +
                                     lower * correlate(vorticity_advection[1][at], psi2)) /
                                    norm);
      const std::complex<double> stretch1 = params_.stretching(0) * (psi2 - psi1),
                                 stretch2 = params_.stretching(1) * (psi1 - psi2);
      result.ape_generation.push_back(k(j) *
                                      (upper * params_.mean_flow[0] * correlate(psi1, kI * stretch1) +
                                       lower * params_.mean_flow[1] * correlate(psi2, kI * stretch2)) /
                                      norm);
      result.bottom_drag.push_back(-params_.bottom_drag * lower * k2 * std::norm(psi2) / norm);
    }
  result.filter_dissipation = filter_density(q_hat, psi_hat, state);
  return result;
}

Integrals FieldDiagnostics::integrals(std::span<const double> state) {
  const spectral::Grid& grid = params_.grid;
  const Spectra q_hat = transform(state), psi_hat = invert(q_hat);
  const double norm = std::pow(static_cast<double>(grid.points()), 2);
  const double per_rd2 = 1 / (params_.deformation_radius * params_.deformation_radius);
  Integrals result;
  std::size_t at = 0;
  for (int i = 0; i < grid.n; ++i)
    for (int j = 0; j < grid.columns(); ++j, ++at) {
      const std::complex<double> psi1 = psi_hat[0][at], psi2 = psi_hat[1][at];
      const double k2 = k(j) * k(j) + l(i) * l(i);
      const double half = spectral::column_weight(j, grid.n) / 2 / norm;
      result.kinetic_layer[0] += half * k2 * std::norm(psi1);
      result.kinetic_layer[1] += half * k2 * std::norm(psi2);
      result.enstrophy[0] += half * std::norm(q_hat[0][at]);
      result.enstrophy[1] += half * std::norm(q_hat[1][at]);
      result.available_potential += half * std::norm(psi1 - psi2);
      // U1 and U2 enter with H1 F1 = H2 F2 = H r_d^-2 del1 del2, so that only the shear counts.
      result.ape_generation += 2 * half * k(j) * correlate(psi1, kI * psi2);
    }
  const double coupling = per_rd2 * params_.weight(0) * params_.weight(1);
  result.available_potential *= coupling;
  result.ape_generation *= coupling * params_.shear();
  result.kinetic = params_.weight(0) * result.kinetic_layer[0] + params_.weight(1) * result.kinetic_layer[1];
  result.bottom_drag = 2 * params_.bottom_drag * params_.weight(1) * result.kinetic_layer[1];
  result.filter_dissipation = -spectral::full_plane_sum(filter_density(q_hat, psi_hat, state), grid.n);

  std::vector<double> u(state.size()), v(state.size());
  velocity_of(psi_hat, u, v);
  for (int z = 0; z < 2; ++z) {
    const auto of_u = layer_of(std::span<const double>(u), z), of_v = layer_of(std::span<const double>(v), z);
    for (std::size_t p = 0; p < of_u.size(); ++p)
      result.max_speed =
          spectral::larger(result.max_speed, std::hypot(of_u[p] + params_.mean_flow[z], of_v[p]));
  }
  return result;
}

Jets FieldDiagnostics::jets(std::span<const double> state) {
  const spectral::Grid& grid = params_.grid;
  const Spectra psi_hat = invert(transform(state));
  const Velocity<double> of_mode = qg2layer::velocity<double>(params_);
  Jets result;
  for (std::size_t z = 0; z < 2; ++z) {
    // Only the modes of k = 0 have a zonal mean.
    std::vector<std::complex<double>> u_hat(static_cast<std::size_t>(grid.n));
    double largest = -1;
    for (int i = 0; i < grid.n; ++i) {
      const std::size_t row = static_cast<std::size_t>(i);
      const std::complex<double> psi = psi_hat[z][row * static_cast<std::size_t>(grid.columns())];
      const auto velocity_hat = of_mode(i, 0, {psi.real(), psi.imag()});
      u_hat[row] = {velocity_hat.u.re, velocity_hat.u.im};
      if (i == 0 || i > grid.n / 2 || std::norm(u_hat[row]) <= largest) continue;
      largest = std::norm(u_hat[row]);
      result.wavenumber[z] = i;
    }
    for (int y = 0; y < grid.n; ++y) {
      double u = 0;
      for (int i = 0; i < grid.n; ++i) {
        const double phase = 2 * std::numbers::pi * ((i * y) % grid.n) / grid.n;
        const std::complex<double> value = u_hat[static_cast<std::size_t>(i)];
        u += value.real() * std::cos(phase) - value.imag() * std::sin(phase);
      }
      result.u[z].push_back(u / static_cast<double>(grid.points()));
    }
  }
  return result;
}

std::vector<double> FieldDiagnostics::kinetic_density(std::span<const double> state, int layer) {
  const Spectra psi_hat = invert(transform(state));
  const Complexes& psi = psi_hat[static_cast<std::size_t>(layer)];
  const double norm = std::pow(static_cast<double>(params_.grid.points()), 2);
  std::vector<double> density;
  density.reserve(psi.size());
  std::size_t at = 0;
  for (int i = 0; i < params_.grid.n; ++i)
    for (int j = 0; j < params_.grid.columns(); ++j, ++at)
      density.push_back((k(j) * k(j) + l(i) * l(i)) * std::norm(psi[at]) / norm);
  return density;
}

std::vector<double> FieldDiagnostics::enstrophy_density(std::span<const double> state, int layer) {
  const Complexes q_hat = transform(state)[static_cast<std::size_t>(layer)];
  const double norm = std::pow(static_cast<double>(params_.grid.points()), 2);
  std::vector<double> density;
  density.reserve(q_hat.size());
  for (const auto& value : q_hat) density.push_back(std::norm(value) / norm);
  return density;
}

spectral::Spectrum FieldDiagnostics::rings(std::span<const double> density) const {
  return spectral::ring_spectrum(density, params_.grid.n, params_.grid.unit());
}

spectral::Spectrum FieldDiagnostics::half_in_shells(std::vector<double> density) const {
  for (double& value : density) value /= 2;
  return shells(density);
}

spectral::Spectrum FieldDiagnostics::shells(std::span<const double> density) const {
  return spectral::shell_spectrum(density, params_.grid.n, params_.grid.unit(), spectral::Shells::to_corners);
}

spectral::Spectrum paper_qg_pv(std::span<const double> pv, int n, double length, double field_std, int bins) {
  require(bins >= 1 && field_std > 0, "{} bins of a field divided by {}: both must be positive", bins,
          field_std);
  spectral::RealTransform transform(n);
  const auto spectrum = transform.forward(pv);
  const double largest = std::hypot(n / 2, n / 2), width = largest / bins;
  const double norm = std::pow(static_cast<double>(n), 4) * field_std * field_std;
  spectral::Spectrum result;
  for (int b = 0; b < bins; ++b) result.k.push_back((b + 0.5) * width * 2 * std::numbers::pi / length);
  result.value.assign(result.k.size(), 0.0);
  std::size_t at = 0;
  for (int i = 0; i < n; ++i)
    for (int j = 0; j <= n / 2; ++j, ++at) {
      const double cycles = std::hypot(spectral::row_wavenumber(i, n), j);
      // Diagonal modes lie on edges: the rounding of the quotient is settled by the edges themselves. The
      // corner, on the last edge, is in no bin.
      auto bin = static_cast<std::size_t>(cycles / width);
      if (cycles >= static_cast<double>(bin + 1) * width) ++bin;
      if (cycles < static_cast<double>(bin) * width) --bin;
      if (bin >= result.value.size()) continue;
      result.value[bin] +=
          spectral::column_weight(j, n) * 0.5 * cycles * cycles * std::norm(spectrum[at]) / norm;
    }
  return result;
}

}  // namespace sns::qg2layer
