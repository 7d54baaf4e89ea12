// Diagnostics and linear stability of two-layer quasi-geostrophic flow against pyqg on developed states at
// 64^2.
#include "core/hdf5.hpp"
#include "solvers/qg2layer/diagnostics.hpp"
#include "solvers/qg2layer/stability.hpp"
#include "tests/support/qg2layer_cases.hpp"
#include "tests/support/relative.hpp"
#include "tests/support/worst_of.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <complex>
#include <numeric>

using namespace sns;
using namespace sns::test;
using qg2layer::FieldDiagnostics;
using qg2layer::Params;

namespace {

constexpr const char* kCases[] = {"jet", "eddy"};

struct Case {
  explicit Case(const char* name)
      : group(h5::File::open_read(std::string(SNS_SOURCE_DIR) + "/tests/golden/data/qg2layer_diagnostics.h5")
                  .group(name)),
        params(params_of(group)),
        fields(params),
        state(values("q")) {}

  std::vector<double> values(const std::string& name) const { return group.dataset(name).read<double>(); }
  double value(const std::string& name) const { return values(name).front(); }

  h5::Group group;
  Params params;
  FieldDiagnostics fields;
  std::vector<double> state;
};

/// The modes of a half plane [64][33] that the file holds: rows 0..19, every third of columns 0..21.
template <class T>
std::vector<T> sampled(std::span<const T> density) {
  std::vector<T> out;
  for (std::size_t i = 0; i < 20; ++i)
    for (std::size_t j = 0; j < 22; j += 3) out.push_back(density[i * 33 + j]);
  return out;
}

double full_plane_sum(const std::vector<double>& density) {
  double sum = 0;
  for (std::size_t at = 0; at < density.size(); ++at)
    sum += (at % 33 == 0 || at % 33 == 32 ? 1 : 2) * density[at];
  return sum;
}

/// Euclidean distance relative to a norm that is given, for samples of a field.
double distance(const std::vector<double>& a, const std::vector<double>& b, double norm) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return std::sqrt(sum) / norm;
}

}  // namespace

TEST_CASE("integrals agree with pyqg's") {
  for (const char* name : kCases) {
    CAPTURE(name);
    Case c(name);
    const auto s = c.fields.integrals(c.state);
    CHECK(relative_error(std::vector<double>(s.kinetic_layer.begin(), s.kinetic_layer.end()),
                         c.values("ke_layer")) < tolerance::kRounding);
    CHECK(s.kinetic == test::relative(c.value("ke")).epsilon(tolerance::kRounding));
    CHECK(s.bottom_drag == test::relative(c.value("EKEdiss")).epsilon(tolerance::kRounding));
    CHECK(s.ape_generation == test::relative(c.value("APEgenspec_sum")).epsilon(tolerance::kRounding));

    double square[2] = {0, 0};
    for (std::size_t i = 0; i < c.state.size(); ++i) square[i / 4096] += c.state[i] * c.state[i] / 8192;
    CHECK(s.enstrophy[0] == test::relative(square[0]).epsilon(tolerance::kRounding));
    CHECK(s.enstrophy[1] == test::relative(square[1]).epsilon(tolerance::kRounding));

    // The total energy is also -sum_z H_z/H <psi_z q_z>/2.
    const auto psi = c.fields.streamfunction(c.state);
    double energy = 0;
    for (std::size_t i = 0; i < psi.size(); ++i)
      energy -= 0.5 * c.params.weight(static_cast<int>(i / 4096)) * psi[i] * c.state[i] / 4096;
    CHECK(s.energy() == test::relative(energy).epsilon(tolerance::kRounding));

    // pyqg's CFL number takes the larger component with the mean flow; max_speed the modulus.
    std::vector<double> u(c.state.size()), v(c.state.size());
    c.fields.velocity(c.state, u, v);
    double component = 0, speed = 0;
    for (std::size_t i = 0; i < u.size(); ++i) {
      const double zonal = u[i] + c.params.mean_flow[i / 4096];
      component = std::max({component, std::abs(zonal), std::abs(v[i])});
      speed = std::max(speed, std::hypot(zonal, v[i]));
    }
    CHECK(component * c.params.dt / c.params.grid.spacing() ==
          test::relative(c.value("cfl")).epsilon(tolerance::kRounding));
    CHECK(s.max_speed == speed);
  }
}

TEST_CASE("budget densities agree with pyqg's spectral terms") {
  for (const char* name : kCases) {
    CAPTURE(name);
    Case c(name);
    const auto budget = c.fields.budget(c.state);
    const auto compare = [&](const std::string& key, const std::vector<double>& density) {
      CAPTURE(key);
      const double norm = c.value(key + "_norm");
      CHECK(distance(sampled<double>(density), c.values(key), norm) < tolerance::kRounding);
      CHECK(std::abs(full_plane_sum(density) - c.value(key + "_sum")) < tolerance::kRounding * 64 * norm);
    };
    compare("APEflux", budget.ape_flux);
    compare("KEflux", budget.kinetic_flux);
    compare("APEgenspec", budget.ape_generation);
    compare("KEfrictionspec", budget.bottom_drag);
    const auto expected_shells = c.values("Dissspec_shells");
    CHECK(relative_error(c.fields.shells(budget.filter_dissipation).value, expected_shells) <
          tolerance::kRounding);
    CHECK(c.fields.integrals(c.state).filter_dissipation ==
          test::relative(-std::accumulate(expected_shells.begin(), expected_shells.end(), 0.0))
              .epsilon(tolerance::kRounding));

    const auto tendency = c.fields.tendency(c.state);
    const auto expected = c.values("tendency");
    const auto norms = c.values("tendency_norm");
    for (std::size_t z = 0; z < 2; ++z) {
      std::vector<double> parts;
      for (const auto& value : sampled<std::complex<double>>(std::span(tendency).subspan(z * 64 * 33, 64 * 33)))
        parts.insert(parts.end(), {value.real(), value.imag()});
      const auto half = static_cast<std::ptrdiff_t>(expected.size() / 2);
      const auto first = expected.begin() + static_cast<std::ptrdiff_t>(z) * half;
      CHECK(distance(parts, std::vector<double>(first, first + half), norms[z]) < tolerance::kRounding);
    }
  }
}

TEST_CASE("spectra agree with calc_ispec, and shells add up to the energy") {
  for (const char* name : kCases) {
    CAPTURE(name);
    Case c(name);
    const double unit = c.params.grid.unit();
    for (int z = 0; z < 2; ++z) {
      const std::string layer = std::to_string(z + 1);
      const auto rings = c.fields.kinetic_rings(c.state, z);
      CHECK(relative_error(rings.k, c.values("k_iso")) < tolerance::kRounding);
      CHECK(relative_error(rings.value, c.values("kespec_iso_layer" + layer)) < tolerance::kRounding);
      CHECK(relative_error(spectral::ring_spectrum(c.fields.enstrophy_density(c.state, z), 64, unit).value,
                           c.values("ensspec_iso_layer" + layer)) < tolerance::kRounding);
      const auto density = c.fields.kinetic_density(c.state, z);
      const auto sums = spectral::ring_spectrum(density, 64, unit, {.averaging = false, .truncate = false});
      CHECK(relative_error(sums.value, c.values("kespec_iso_sum_notrunc_layer" + layer)) <
            tolerance::kRounding);
      const double width = std::sqrt(2.0) * unit;
      const double kinetic = c.fields.integrals(c.state).kinetic_layer[static_cast<std::size_t>(z)];
      CHECK(std::accumulate(sums.value.begin(), sums.value.end(), 0.0) * width ==
            test::relative(2 * kinetic).epsilon(tolerance::kRounding));
      const auto shells = c.fields.kinetic_shells(c.state, z).value;
      CHECK(std::accumulate(shells.begin(), shells.end(), 0.0) ==
            test::relative(kinetic).epsilon(tolerance::kRounding));
    }
  }
}

TEST_CASE("the paper's spectrum weighs PV with K^2 in equal bins") {
  constexpr int n = 32;
  std::vector<double> pv;
  for (int y = 0; y < n; ++y)
    for (int x = 0; x < n; ++x) pv.push_back(3 * std::cos(2 * 3.141592653589793 * (3 * x + 4 * y) / n) + 10.0);
  // |q_hat|^2 / n^4 = (3/2)^2 at (3, 4) and at (-3, -4), K = 5; the mean has K = 0.
  const auto spectrum = qg2layer::paper_qg_pv(pv, n, 1e6, 2.0, 64);
  const auto bin = static_cast<std::size_t>(5 / (std::sqrt(2.0) * 16 / 64));
  for (std::size_t b = 0; b < spectrum.value.size(); ++b) {
    CAPTURE(b);
    CHECK(std::abs(spectrum.value[b] - (b == bin ? 2 * 0.5 * 25 * 2.25 / 4 : 0)) < 1e-11);
  }
  CHECK(spectrum.k[bin] * 1e6 / (2 * 3.141592653589793) == test::relative(5).epsilon(0.05));
}

TEST_CASE("frames of data sets are block means of the eddy field") {
  for (const char* name : kCases) {
    CAPTURE(name);
    Case c(name);
    auto solver = make_case(c.params, {});
    solver->set_state(0, c.state);
    std::vector<float> frame(solver->frame_size(4));
    solver->frame(0, {.factor = 4, .kind = Coarsening::block_mean, .remove = Removal::zonal_mean}, frame);
    const auto expected = c.values("q_eddy_block4");
    for (std::size_t z = 0; z < 2; ++z) {
      const auto layer = [z](const auto& both) { return std::span(both).subspan(z * 256, 256); };
      CHECK(relative_error(layer(frame), layer(expected)) < tolerance::kStoredSingle);
    }
  }
}

TEST_CASE("zonal-mean jets") {
  for (const char* name : kCases) {
    CAPTURE(name);
    Case c(name);
    const auto jets = c.fields.jets(c.state);
    std::vector<double> u = jets.u[0];
    u.insert(u.end(), jets.u[1].begin(), jets.u[1].end());
    CHECK(relative_error(u, c.values("u_zonal_mean")) < tolerance::kRounding);
    // The wavenumber with the largest power of u(y), by direct summation.
    for (std::size_t z = 0; z < 2; ++z) {
      int best = 0;
      double largest = 0;
      for (int l = 1; l <= 32; ++l) {
        std::complex<double> sum = 0;
        for (int y = 0; y < 64; ++y)
          sum += jets.u[z][static_cast<std::size_t>(y)] * std::polar(1.0, -2 * 3.141592653589793 * l * y / 64);
        if (std::norm(sum) > largest) {
          largest = std::norm(sum);
          best = l;
        }
      }
      CHECK(jets.wavenumber[z] == best);
    }
  }
}

TEST_CASE("growth rates agree with pyqg's stability analysis") {
  for (const char* name : kCases)
    for (const bool drag : {false, true}) {
      CAPTURE(name);
      CAPTURE(drag);
      Case c(name);
      const auto expected = c.values(drag ? "omega_with_drag" : "omega");
      double fastest = 0;
      for (std::size_t i = 0; i < expected.size() / 2; ++i) fastest = std::max(fastest, expected[2 * i + 1]);
      const auto omega = qg2layer::frequencies(c.params, drag);
      double error = 0;
      for (std::size_t i = 0; i < 20; ++i)
        for (std::size_t j = 0; j < 22; ++j) {
          const std::complex<double> value = omega[i * 33 + j];
          const double* pair = &expected[2 * (i * 22 + j)];
          error = worst_of({error, std::abs(value.imag() - pair[1]) / std::abs(fastest)});
          // Both modes of a neutral wavenumber are fastest; only growing ones have one frequency.
          if (pair[1] > 1e-3 * fastest)
            error = worst_of({error, std::abs(value.real() - pair[0]) / std::abs(pair[0])});
        }
      CHECK(error < tolerance::kEigenvalues);
      const auto mode = qg2layer::most_unstable(c.params, drag);
      CHECK(mode.growth() == test::relative(fastest).epsilon(tolerance::kEigenvalues));
    }
}

TEST_CASE("fastest Phillips modes") {
  const auto per_day = [](const Params& p, bool drag) {
    return qg2layer::most_unstable(p, drag).growth() * 86400;
  };
  Case eddy("eddy"), jet("jet");
  CHECK(per_day(eddy.params, false) == test::relative(0.014515273494).epsilon(1e-9));
  CHECK(per_day(eddy.params, true) == test::relative(0.0067349156331).epsilon(1e-9));
  CHECK(per_day(jet.params, false) == test::relative(0.0014946507362).epsilon(1e-9));
  CHECK(per_day(jet.params, true) == test::relative(0.0038565249532).epsilon(1e-9));
  const auto mode = qg2layer::most_unstable(eddy.params);
  CHECK(mode.j == 7);
  CHECK(mode.i == 0);
  CHECK(qg2layer::most_unstable(jet.params).j == 6);
  CHECK(qg2layer::most_unstable(jet.params, false).j == 5);
}
