// Analytic solutions, linear growth, conservation and budgets of two-layer quasi-geostrophic flow.
#include "core/random.hpp"
#include "solvers/qg2layer/diagnostics.hpp"
#include "solvers/qg2layer/stability.hpp"
#include "tests/support/qg2layer_cases.hpp"
#include "tests/support/relative.hpp"

#include <doctest/doctest.h>

#include <complex>

using namespace sns;
using namespace sns::test;
using qg2layer::FieldDiagnostics;
using qg2layer::Params;

namespace {

constexpr double kTwoPi = 6.283185307179586;
constexpr double kDay = 86400;

/// q[layer][y][x] = f(layer, x, y) at the points (i + 1/2) dx.
template <class F>
std::vector<double> tabulate(const spectral::Grid& grid, F f) {
  std::vector<double> q;
  for (int z = 0; z < 2; ++z)
    for (int y = 0; y < grid.n; ++y)
      for (int x = 0; x < grid.n; ++x)
        q.push_back(f(z, (x + 0.5) * grid.spacing(), (y + 0.5) * grid.spacing()));
  return q;
}

/// Without shear and drag; 32^2 holds the waves used here.
Params quiet() {
  Params p = eddy_case(32);
  p.bottom_drag = 0;
  p.mean_flow[0] = p.mean_flow[1] = 0;
  return p;
}

/// A plane wave that keeps its vertical structure: lower layer `ratio` times the upper one.
struct Wave {
  double ratio, omega;
  std::vector<double> at(const spectral::Grid& grid, double time) const {
    return tabulate(grid, [&](int z, double x, double y) {
      const double phase = grid.unit() * (3 * x + 2 * y) - omega * time;
      return 1e-6 * (z == 0 ? 1 : ratio) * std::cos(phase);
    });
  }
};
Wave barotropic(const Params& p) {
  const double k = 3 * p.grid.unit(), k2 = 13 * p.grid.unit() * p.grid.unit();
  return {1, k * (p.mean_flow[0] - p.beta / k2)};
}
Wave baroclinic(const Params& p) {
  const double k = 3 * p.grid.unit(), k2 = 13 * p.grid.unit() * p.grid.unit();
  return {-p.depth_ratio, k * (p.mean_flow[0] - p.beta / (k2 + std::pow(p.deformation_radius, -2)))};
}

/// Error after 40 days with time step dt.
double wave_error(Params p, const Wave& wave, double dt, const Overrides& overrides) {
  p.dt = dt;
  auto solver = make_case(p, overrides);
  solver->set_state(0, wave.at(p.grid, 0));
  solver->advance(std::lround(40 * kDay / dt));
  return relative_error(state_of(*solver), wave.at(p.grid, 40 * kDay));
}

/// A developed state of pyqg at 64^2 and its physics.
struct Developed {
  explicit Developed(const char* name) {
    const auto group =
        h5::File::open_read(std::string(SNS_SOURCE_DIR) + "/tests/golden/data/qg2layer_diagnostics.h5")
            .group(name);
    params = params_of(group);
    state = group.dataset("q").read<double>();
  }
  Params params;
  std::vector<double> state;
};

}  // namespace

TEST_CASE("Rossby waves follow their dispersion relation; Euler's first step leaves second order") {
  Params doppler = quiet();
  doppler.mean_flow[0] = doppler.mean_flow[1] = 0.02;
  CHECK(barotropic(quiet()).omega == test::relative(-5.509209568565608e-07).epsilon(1e-12));
  CHECK(baroclinic(quiet()).omega == test::relative(-5.703156689e-08).epsilon(1e-9));
  CHECK(baroclinic(doppler).omega == test::relative(3.199595515e-07).epsilon(1e-9));
  struct Row {
    const char* name;
    Params params;
    Wave wave;
    double coarse, fine;  // pyqg's errors at dt = 7200 and 3600 s
  };
  for (const Row& row : {Row{"barotropic", quiet(), barotropic(quiet()), 7.82e-6, 1.96e-6},
                         Row{"baroclinic", quiet(), baroclinic(quiet()), 8.4e-8, 2.1e-8},
                         Row{"baroclinic in a mean flow", doppler, baroclinic(doppler), 2.65e-6, 6.6e-7}}) {
    CAPTURE(row.name);
    const double coarse = wave_error(row.params, row.wave, 7200, {}),
                 fine = wave_error(row.params, row.wave, 3600, {});
    CHECK(coarse == test::relative(row.coarse).epsilon(0.02));
    CHECK(fine == test::relative(row.fine).epsilon(0.02));
    CHECK(std::log2(coarse / fine) == test::relative(2).epsilon(0.02));
  }
}

TEST_CASE("AB3 is of third order after a Runge-Kutta start, RK4 of fourth") {
  for (const Wave& wave : {barotropic(quiet()), baroclinic(quiet())}) {
    const auto order = [&](const Overrides& overrides, double dt) {
      return std::log2(wave_error(quiet(), wave, dt, overrides) / wave_error(quiet(), wave, dt / 2, overrides));
    };
    CHECK(order({{"stepper.startup", "runge_kutta"}}, 2 * kDay) == test::relative(3).epsilon(0.05));
    CHECK(order({{"stepper.name", "rk4"}}, 2 * kDay) == test::relative(4).epsilon(0.05));
  }
}

TEST_CASE("plane waves do not advect themselves") {
  Params p = quiet();
  p.grid.n = 64;
  p.beta = 0;
  p.filter.strength = 0;
  for (const auto& [k, l] : {std::pair{1, 2}, {5, 0}, {10, 10}, {0, 21}, {15, 12}, {2, 15}}) {
    CAPTURE(k);
    CAPTURE(l);
    const auto wave = tabulate(p.grid, [&, k = k, l = l](int z, double x, double y) {
      return z == 0 ? 1e-5 * std::cos(p.grid.unit() * (k * x + l * y)) : 0.0;
    });
    auto solver = make_case(p, {{"max_courant", "10"}});
    solver->set_state(0, wave);
    solver->advance(10);
    CHECK(relative_error(state_of(*solver), wave) < tolerance::kRounding);
  }
}

TEST_CASE("an eigenmode grows and turns as the stability analysis says") {
  Params jet;
  jet.grid.n = 32;
  const Params eddy = eddy_case(32);
  for (const Params& p : {eddy, jet}) {
    auto solver = make_case(p, {{"initial", "{kind: eigenmode, amplitude: 1.0e-14}"}});
    solver->initialise(0, 0);
    const auto mode = qg2layer::most_unstable(p);
    spectral::RealTransform transform(p.grid.n);
    const auto amplitude = [&] {
      const auto state = state_of(*solver);
      return transform.forward(std::span(state).first(p.grid.points()))[static_cast<std::size_t>(mode.j)];
    };
    const auto run = [&](int days) { solver->advance(std::lround(days * kDay / p.dt)); };
    run(100);
    // log of the growth over 200 days, in pieces whose phase stays below pi
    std::complex<double> exponent = 0, before = amplitude();
    for (int piece = 0; piece < 20; ++piece) {
      run(10);
      const auto now = amplitude();
      exponent += std::log(now / before);
      before = now;
    }
    const std::complex<double> omega = std::complex<double>(0, 1) * exponent / (200 * kDay);
    CHECK(omega.imag() == test::relative(mode.growth()).epsilon(tolerance::kGrowth));
    CHECK(omega.real() == test::relative(mode.omega.real()).epsilon(tolerance::kGrowth));
  }
  CHECK(qg2layer::most_unstable(eddy).growth() * kDay == test::relative(0.0067349156331).epsilon(1e-9));
  CHECK(qg2layer::most_unstable(jet).growth() * kDay == test::relative(0.0038565249532).epsilon(1e-9));
}

TEST_CASE("without filter, beta, drag and shear, energy drifts only by the time step's error") {
  Params p = quiet();
  p.grid.n = 64;
  p.beta = 0;
  p.filter.strength = 0;
  // Noise of the wavenumbers up to 8, with standard deviation 3e-6 in each layer.
  std::vector<double> state(2 * p.grid.points());
  RandomStream random(3, Purpose::initial_condition);
  random.fill_normal(std::span(state));
  spectral::RealTransform transform(p.grid.n);
  for (std::size_t z = 0; z < 2; ++z) {
    const auto layer = std::span(state).subspan(z * p.grid.points(), p.grid.points());
    const auto spectrum = transform.forward(layer);
    std::vector<std::complex<double>> kept(spectrum.begin(), spectrum.end());
    for (int i = 0; i < p.grid.n; ++i)
      for (int j = 0; j < p.grid.columns(); ++j)
        if (const double k = std::hypot(spectral::row_wavenumber(i, p.grid.n), j); k > 8 || k == 0)
          kept[static_cast<std::size_t>(i * p.grid.columns() + j)] = 0;
    transform.inverse(kept, layer);
    double square = 0;
    for (const double q : layer) square += q * q / static_cast<double>(layer.size());
    for (double& q : layer) q *= 3e-6 / std::sqrt(square);
  }
  FieldDiagnostics fields(p);
  const double energy = fields.integrals(state).energy();
  const auto drift = [&](double dt, int days, const Overrides& overrides) {
    Params q = p;
    q.dt = dt;
    auto solver = make_case(q, overrides);
    solver->set_state(0, state);
    solver->advance(std::lround(days * kDay / dt));
    return std::abs(fields.integrals(state_of(*solver)).energy() / energy - 1);
  };
  // In flux form even aliased products conserve energy, but once they make grid-scale enstrophy, time steps no
  // longer resolve the flow.
  CHECK(drift(3600, 10, {}) < tolerance::kEnergyDrift);
  const double coarse = drift(7200, 1, {}), fine = drift(3600, 1, {}),
               seeded = drift(3600, 1, {{"stepper.startup", "runge_kutta"}});
  MESSAGE("drift in a day: Euler start ", coarse, " and ", fine, ", Runge-Kutta start ", seeded);
  CHECK(std::log2(coarse / fine) == test::relative(2).epsilon(tolerance::kOrder));
  CHECK(seeded < 0.1 * fine);
}

TEST_CASE("the energy budget closes in a developed state") {
  for (const char* name : {"jet", "eddy"}) {
    const std::string which = name;
    CAPTURE(which);
    const Developed start(name);
    auto solver = make_case(start.params, {});
    solver->set_state(0, start.state);
    solver->advance(24);  // past the start of the multistep scheme
    FieldDiagnostics fields(start.params);
    constexpr int kEvery = 6, kSamples = 200;
    double supplied = 0, drag = 0, filter = 0, first = 0, last = 0;
    for (int s = 0; s <= kSamples; ++s) {
      const auto now = fields.integrals(state_of(*solver));
      const double weight = (s == 0 || s == kSamples ? 0.5 : 1.0) * kEvery * start.params.dt;
      supplied += weight * now.ape_generation;
      drag += weight * now.bottom_drag;
      filter += weight * now.filter_dissipation;
      if (s == 0) first = now.energy();
      last = now.energy();
      solver->advance(kEvery);
    }
    const double residual = supplied - drag - filter - (last - first);
    MESSAGE(which, ": generated ", supplied, " drag ", drag, " filter ", filter, " stored ", last - first,
            " residual ", residual);
    CHECK(std::abs(residual) < tolerance::kBudget * supplied);
    CHECK(filter > 0.1 * supplied);
  }
}

TEST_CASE("pyqg's reference run at 32^2") {
  // pyqg/tests/test_qg_reference_solution.py: three years, averages from the end of the first.
  Params p = eddy_case(32);
  p.deformation_radius = 30000;
  p.mean_flow[0] = 0.05;
  p.filter.strength = 18.4;
  p.dt = 12800;
  auto solver = make_case(p, {{"max_courant", "1"}});
  solver->set_state(
      0, tabulate(p.grid, [&](int z, double x, double y) {
        return z == 0 ? 1e-6 * std::cos(5 * p.grid.unit() * x) + 1e-7 * std::cos(5 * p.grid.unit() * y) : 0.0;
      }));
  constexpr int kSteps = 7290, kFirst = 2430, kEvery = 6;
  solver->advance(kFirst);
  FieldDiagnostics fields(p);
  std::array<double, 2> kinetic{0, 0};
  double drag = 0, generation = 0;
  int samples = 0;
  for (int step = kFirst; step < kSteps; step += kEvery, ++samples) {
    const auto now = fields.integrals(state_of(*solver));
    for (std::size_t z = 0; z < 2; ++z) kinetic[z] += now.kinetic_layer[z];
    drag += now.bottom_drag;
    generation += now.ape_generation;
    solver->advance(kEvery);
  }
  const auto state = state_of(*solver);
  double square = 0;
  for (std::size_t i = 0; i < p.grid.points(); ++i) square += state[i] * state[i];
  CHECK(square == test::relative(9.561430503712755e-08).epsilon(0.01));
  CHECK(kinetic[0] / samples == test::relative(.00818377631732826).epsilon(0.01));
  CHECK(kinetic[1] / samples == test::relative(.00015616609033468579).epsilon(0.01));
  CHECK(generation / samples * 1024 == test::relative(2.5225558013107688e-07).epsilon(0.01));
  CHECK(drag / samples * 1024 == test::relative(1.4806764171539711e-07).epsilon(0.01));
}
