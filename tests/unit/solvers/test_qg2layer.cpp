// The two-layer solver behind the Solver interface: configuration, members, guards, save and restore at every
// stage of the multistep scheme's start; and its two ways through physical space against each other.
#include "core/random.hpp"
#include "solvers/qg2layer/courant.hpp"
#include "solvers/qg2layer/equation.hpp"
#include "solvers/qg2layer/qg2layer.hpp"
#include "solvers/spectral/batch_engine.hpp"
#include "solvers/spectral/ensemble.hpp"
#include "solvers/spectral/fftw_backend.hpp"
#include "solvers/spectral/lane_flux_transforms.hpp"
#include "tests/support/config_errors.hpp"
#include "tests/support/qg2layer_cases.hpp"
#include "tests/support/relative.hpp"

#include <doctest/doctest.h>

#include <cstring>

using namespace sns;
using namespace sns::test;
using qg2layer::Params;

namespace {

Params small() {
  Params p = eddy_case(32);
  p.dt = 7200;
  return p;
}

/// Of the block with overrides.
std::string error_of(const Overrides& overrides) {
  return sns::test::error_of(
      "{system: qg2layer, grid: {points: 32, length: 1.0e6}, beta: 1.5e-11, bottom_drag: 5.787e-7, "
      "deformation_radius: 15000.0, depth_ratio: 0.25, mean_flow: [0.025, 0.0], stepper: {dt: 7200.0}}",
      overrides);
}

/// White noise in both layers: every mode is excited, the Nyquist ones too.
std::vector<double> noise(int n, std::uint64_t seed, double amplitude) {
  RandomStream stream(seed, Purpose::initial_condition);
  std::vector<double> q(2 * static_cast<std::size_t>(n) * static_cast<std::size_t>(n));
  for (double& value : q) value = amplitude * stream.normal();
  return q;
}

template <class Transforms>
using Engine = spectral::BatchEngine<spectral::FftwBackend<double>,
                                     qg2layer::Equation<spectral::FftwBackend<double>, Transforms>>;
using Lanes = Engine<spectral::LaneFluxTransforms<double, qg2layer::FluxShape>>;
using Reals = Engine<spectral::RealFluxTransforms<spectral::FftwBackend<double>, qg2layer::FluxShape>>;

std::vector<double> state_of(spectral::Engine& engine, int member, int n) {
  std::vector<double> q(2 * static_cast<std::size_t>(n) * static_cast<std::size_t>(n));
  engine.state(member, q.data());
  return q;
}

}  // namespace

TEST_CASE("a bad block is rejected with key, value and rule") {
  const auto fails = [](const Overrides& overrides, const std::vector<std::string>& parts) {
    check_one_line(error_of(overrides), parts);
  };
  CHECK(error_of({}) == "no error");
  fails({{"grid.points", "[32, 64]"}}, {"solver.grid.points", "square"});
  fails({{"grid.length", "[1.0e6, 2.0e6]"}}, {"solver.grid.length", "square"});
  fails({{"grid.points", "33"}}, {"solver.grid.points", "33", "even"});
  fails({{"depth_ratio", "0.0"}}, {"solver.depth_ratio", "positive"});
  fails({{"depth_ratio", "-1.0"}}, {"solver.depth_ratio", "positive"});
  fails({{"deformation_radius", "0.0"}}, {"solver.deformation_radius", "positive"});
  fails({{"upper_depth", "-500.0"}}, {"solver.upper_depth", "positive"});
  fails({{"bottom_drag", "-1.0e-7"}}, {"solver.bottom_drag", "negative"});
  fails({{"mean_flow", "[0.025]"}}, {"solver.mean_flow", "1 values", "upper and the lower"});
  fails({{"mean_flow", "[0.025, 0.0, 0.0]"}}, {"solver.mean_flow", "3 values"});
  fails({{"mean_flow", "0.025"}}, {"solver.mean_flow"});
  fails({{"filter.cutoff", "0.0"}}, {"solver.filter.cutoff", "positive"});
  fails({{"filter.strength", "-1.0"}}, {"solver.filter.strength", "negative"});
  fails({{"stepper.name", "ab4"}}, {"solver.stepper.name", "ab3", "rk4"});
  fails({{"stepper.startup", "exact"}}, {"solver.stepper.startup", "euler", "runge_kutta"});
  fails({{"stepper.name", "rk4"}, {"stepper.startup", "euler"}}, {"startup"});
  fails({{"stepper.dt", "0.0"}}, {"solver.stepper.dt", "positive"});
  fails({{"deformaton_radius", "1.0"}}, {"deformaton_radius", "deformation_radius"});
  fails({{"viscosity", "1.0"}}, {"viscosity"});
  fails({{"initial", "{kind: pyqg, path: 'q.h5:/q'}"}}, {"solver.initial.path", "kind: pyqg reads no file"});
  fails({{"initial", "{kind: rest, amplitude: 1.0e-7}"}}, {"solver.initial.amplitude", "kind: rest"});
  fails({{"initial", "{kind: perturbed, wavenumber: [3, 0]}"}},
        {"solver.initial.wavenumber", "kind: perturbed"});
}

TEST_CASE("the solver says what it solves") {
  auto solver = make_case(small(), {{"precision", "float32"}}, 3);
  const SolverInfo& info = solver->info();
  CHECK(info.system == "qg2layer");
  CHECK(info.precision == "float32");
  REQUIRE(info.fields.size() == 2);
  CHECK(info.fields[0].name == "q_upper");
  CHECK(info.fields[1].name == "q_lower");
  CHECK(info.axes[0].name == "y");
  CHECK(info.axes[1].name == "x");
  CHECK(info.axes[1].units == "m");
  CHECK(info.axes[1].coordinates[0] == test::relative(0.5e6 / 32));
  CHECK(solver->state_size() == 2 * 32 * 32);
  CHECK(info.diagnostics.size() == solver->diagnostics(0).size());
}

TEST_CASE("layers, and x along the last axis") {
  // Zonal flow in the upper layer alone: q varies with y (axis 0), has no zonal variation, and is steady.
  Params p = small();
  p.bottom_drag = 0;
  std::vector<double> q(2 * 32 * 32, 0.0);
  for (int y = 0; y < 32; ++y)
    for (int x = 0; x < 32; ++x)
      q[static_cast<std::size_t>(32 * y + x)] = 1e-5 * std::cos(6.283185307179586 * 2 * y / 32);
  auto solver = make_case(p, {});
  solver->set_state(0, q);
  solver->advance(50);
  CHECK(relative_error(state_of(*solver), q) < tolerance::kRounding);
}

TEST_CASE("members do not depend on threads, batch or how a run is cut") {
  for (const char* precision : {"float64", "float32"})
    for (const char* startup : {"euler", "runge_kutta"}) {
      const Overrides overrides{{"precision", precision}, {"stepper.startup", startup}};
      std::vector<std::vector<double>> runs;
      for (const int threads : {1, 3}) {
        auto solver = make_case(small(), overrides, 5, threads);
        for (int m = 0; m < 5; ++m) solver->initialise(m, static_cast<std::uint64_t>(10 + m));
        solver->advance(35);
        runs.push_back(state_of(*solver, 3));
      }
      CHECK(runs[0] == runs[1]);
      auto alone = make_case(small(), overrides);
      alone->initialise(0, 13);
      for (const int steps : {1, 1, 0, 2, 10, 21}) {
        alone->advance(steps);
        alone->diagnostics(0);
      }
      CHECK(alone->step(0) == 35);
      CHECK(state_of(*alone) == runs[0]);
    }
}

TEST_CASE("saved members go on bit for bit from any step of the start") {
  for (const auto& [stepper, startup] :
       {std::pair{"ab3", "euler"}, std::pair{"ab3", "runge_kutta"}, std::pair{"rk4", ""}})
    for (const char* precision : {"float64", "float32"})
      for (const int steps : {0, 1, 2, 3, 33}) {
        CAPTURE(steps);
        Overrides overrides{{"precision", precision}, {"stepper.name", stepper}};
        if (*startup != '\0') overrides.emplace_back("stepper.startup", startup);
        auto original = make_case(small(), overrides, 2);
        for (int m = 0; m < 2; ++m) original->initialise(m, static_cast<std::uint64_t>(m));
        original->advance(steps);
        const auto bytes = original->save(1);
        auto resumed = make_case(small(), overrides);
        resumed->initialise(0, 7);
        resumed->advance(5);
        resumed->restore(0, bytes);
        CHECK(resumed->step(0) == steps);
        original->advance(10);
        resumed->advance(10);
        CHECK(state_of(*original, 1) == state_of(*resumed, 0));
        CHECK(original->save(1) == resumed->save(0));

        Params other_physics = small();
        other_physics.beta = 1e-11;
        auto other = make_case(other_physics, overrides);
        CHECK_THROWS_WITH_AS(other->restore(0, bytes), doctest::Contains("another configuration"), Error);
        CHECK_THROWS_AS(resumed->restore(0, std::span(bytes).first(bytes.size() - 1)), Error);
      }
  auto euler = make_case(small(), {});
  auto runge_kutta = make_case(small(), {{"stepper.startup", "runge_kutta"}});
  CHECK_THROWS_WITH_AS(runge_kutta->restore(0, euler->save(0)), doctest::Contains("another configuration"),
                       Error);
}

TEST_CASE("a new state starts the multistep scheme anew") {
  auto used = make_case(small(), {}), fresh = make_case(small(), {});
  const auto q = noise(32, 3, 1e-6);
  used->initialise(0, 0);
  used->advance(9);
  used->set_state(0, q);
  fresh->set_state(0, q);
  used->advance(4);
  fresh->advance(4);
  CHECK(used->step(0) == 4);
  CHECK(state_of(*used) == state_of(*fresh));
}

TEST_CASE("line transforms and FFTW agree on any grid, Nyquist modes included") {
  for (const auto& [stepper, startup] : {std::pair{qg2layer::StepperName::ab3, qg2layer::Startup::euler},
                                         std::pair{qg2layer::StepperName::ab3, qg2layer::Startup::runge_kutta},
                                         std::pair{qg2layer::StepperName::rk4, qg2layer::Startup::euler}})
    for (const int n : {8, 14, 20, 30, 64}) {
      CAPTURE(n);
      Params p = small();
      p.grid.n = n;
      p.stepper = stepper;
      p.startup = startup;
      p.filter.strength = 0.01;  // leaves the largest wavenumbers alive
      const spectral::FftwBackend<double> backend;
      Lanes lanes(backend, p, 2, 2, 1);
      Reals reals(backend, p, 2, 2, 1);
      for (int m = 0; m < 2; ++m) {
        const auto q = noise(n, static_cast<std::uint64_t>(m), 1e-6);
        lanes.set_state(m, q.data());
        reals.set_state(m, q.data());
      }
      lanes.advance(0, 0, 6);
      reals.advance(0, 0, 6);
      for (int m = 0; m < 2; ++m)
        CHECK(relative_error(state_of(lanes, m, n), state_of(reals, m, n)) < tolerance::kRounding);
    }
}

TEST_CASE("members of one batch may be at different steps of their start") {
  for (const auto startup : {qg2layer::Startup::euler, qg2layer::Startup::runge_kutta}) {
    Params p = small();
    p.startup = startup;
    const spectral::FftwBackend<double> backend;
    Reals together(backend, p, 3, 3, 1);
    for (int m = 0; m < 3; ++m) together.set_state(m, noise(32, static_cast<std::uint64_t>(m), 1e-6).data());
    together.advance(0, 0, 1);
    together.set_state(1, noise(32, 7, 1e-6).data());
    together.advance(0, 0, 1);
    together.set_state(2, noise(32, 8, 1e-6).data());
    together.advance(0, 0, 4);
    for (const auto& [member, seed, steps] : {std::tuple{0, 0, 6}, std::tuple{1, 7, 5}, std::tuple{2, 8, 4}}) {
      CAPTURE(member);
      Reals alone(backend, p, 1, 1, 1);
      alone.set_state(0, noise(32, static_cast<std::uint64_t>(seed), 1e-6).data());
      alone.advance(0, 0, steps);
      CHECK(state_of(together, member, 32) == state_of(alone, 0, 32));
    }
  }
}

TEST_CASE("the Courant limit is where the scheme loses stability") {
  Params p = small();
  CHECK(qg2layer::stable_courant(p) == test::relative(0.32425).epsilon(1e-3));
  p.filter.strength = 0;  // the limits on the imaginary axis, at the corner of the spectrum
  CHECK(qg2layer::stable_courant(p) == test::relative(0.72363 / 4.44288).epsilon(1e-4));
  p.stepper = qg2layer::StepperName::rk4;
  CHECK(qg2layer::stable_courant(p) == test::relative(2.82843 / 4.44288).epsilon(1e-4));

  // A uniform flow carries noise of every wavenumber along x.
  p = small();
  p.grid.n = 64;
  p.beta = p.bottom_drag = 0;
  const auto row = noise(64, 5, 1e-12);
  std::vector<double> q(2 * 64 * 64);
  for (std::size_t i = 0; i < q.size(); ++i) q[i] = row[i % 64];
  const auto growth = [&](double courant) {
    Params carried = p;
    carried.mean_flow[0] = carried.mean_flow[1] = courant * p.grid.spacing() / p.dt;
    auto solver = make_case(carried, {{"max_courant", "10.0"}});
    solver->set_state(0, q);
    solver->advance(800);
    double largest = 0;
    for (const double value : state_of(*solver)) largest = std::max(largest, std::abs(value));
    return largest / 1e-12;
  };
  CHECK(growth(0.99 * qg2layer::stable_courant(p)) < 5);
  CHECK(growth(1.05 * qg2layer::stable_courant(p)) > 100);
}

TEST_CASE("a member beyond the Courant limit stops, and the mean flow counts") {
  // Uniform flow at Courant number 0.4: nothing moves relative to it, and yet the step is too long.
  Params p = small();
  p.mean_flow[0] = p.mean_flow[1] = 0.4 * p.grid.spacing() / p.dt;
  auto solver = make_case(p, {});
  CHECK_THROWS_WITH_AS(solver->set_state(0, std::vector<double>(2 * 32 * 32, 0.0)),
                       doctest::Contains("Courant number 0.4 > max_courant 0.324;"), Error);
  auto lenient = make_case(p, {{"stepper.name", "rk4"}});
  lenient->set_state(0, std::vector<double>(2 * 32 * 32, 0.0));

  // With the guard out of the way a fast member turns non-finite alone.
  auto pair = make_case(small(), {{"max_courant", "1.0e9"}}, 2, 2);
  pair->set_state(0, noise(32, 1, 1e-2));
  pair->initialise(1, 1);
  pair->advance(400);
  CHECK_FALSE(pair->status(0).alive);
  CHECK(pair->status(0).failed_step % spectral::kGuardInterval == 0);
  CHECK(pair->status(0).reason.find("not finite") != std::string::npos);
  CHECK(pair->status(1).alive);
  auto calm = make_case(small(), {{"max_courant", "1.0e9"}});
  calm->initialise(0, 1);
  calm->advance(400);
  CHECK(state_of(*pair, 1) == state_of(*calm));

  // A growing member is stopped by the guard before that, at a fixed step whatever the cuts.
  std::vector<std::int64_t> failed;
  for (const int cut : {1000, 7}) {
    Params unstable = small();
    unstable.mean_flow[0] = 0.4;
    unstable.bottom_drag = 0;
    auto growing = make_case(unstable, {});
    growing->set_state(0, noise(32, 2, 1e-5));
    while (growing->status(0).alive && growing->step(0) < 1000) growing->advance(cut);
    CHECK(growing->status(0).reason.find("Courant number") != std::string::npos);
    failed.push_back(growing->status(0).failed_step);
  }
  CHECK(failed[0] == failed[1]);
}
