// Against pyqg in double precision, jet and eddy at 64^2 and 128^2, from pyqg's random start and from developed
// flow: inversion, velocities, tendency and spectra of one state, filter, and trajectories.
#include "core/hdf5.hpp"
#include "solvers/qg2layer/diagnostics.hpp"
#include "solvers/qg2layer/equation.hpp"
#include "tests/support/golden_samples.hpp"
#include "tests/support/qg2layer_cases.hpp"
#include "tests/support/relative.hpp"
#include "tests/support/worst_of.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <random>

using namespace sns;
using namespace sns::test;

namespace {

constexpr const char* kFiles[] = {"qg_jet_nx64.h5", "qg_eddy_nx64.h5", "qg_jet_nx128.h5", "qg_eddy_nx128.h5"};
constexpr const char* kStarts[] = {"ic_random", "ic_developed"};

/// numpy's random numbers of [0, 1) from a seed.
class NumpyUniform {
 public:
  explicit NumpyUniform(std::uint32_t seed) : words_(seed) {}
  double operator()() {
    const std::uint32_t a = static_cast<std::uint32_t>(words_()) >> 5,
                        b = static_cast<std::uint32_t>(words_()) >> 6;
    return (a * 67108864.0 + b) / 9007199254740992.0;
  }

 private:
  std::mt19937 words_;
};

/// A recorded run of pyqg.
struct Run {
  Run(const char* name, const char* start)
      : file(golden(name)), group(file.group(start)), params(params_of(file)), q0(initial_state()) {
    label = std::string(name) + " " + start;
  }

  h5::File file;
  h5::Group group;
  qg2layer::Params params;
  std::vector<double> q0;
  std::string label;

 private:
  /// The stored state, or pyqg's random start 1e-7 rand(n, n) + 1e-6 rand(1, n) from the file's seed.
  std::vector<double> initial_state() const {
    if (group.exists("q0")) return group.dataset("q0").read<double>();
    const auto n = static_cast<std::size_t>(params.grid.n);
    NumpyUniform random(static_cast<std::uint32_t>(file.attribute<std::int64_t>("seed")));
    std::vector<double> q(2 * n * n), stripes(n);
    for (std::size_t p = 0; p < n * n; ++p) q[p] = 1e-7 * random();
    for (double& stripe : stripes) stripe = 1e-6 * random();
    double square = 0;
    for (std::size_t p = 0; p < n * n; ++p) {
      q[p] += stripes[p % n];
      square += q[p] * q[p];
    }
    REQUIRE(std::sqrt(square) == test::relative(group.attribute<double>("q0_norm")).epsilon(1e-14));
    return q;
  }
};

template <class F>
void for_each_run(F f) {
  for (const char* name : kFiles)
    for (const char* start : kStarts) {
      INFO(std::string(name), " ", std::string(start));
      f(Run(name, start));
    }
}

double norm(const std::vector<double>& values) {
  return std::sqrt(std::inner_product(values.begin(), values.end(), values.begin(), 0.0));
}

void compare(const Run& run, const std::string& name, const std::vector<double>& value, double tolerance) {
  CAPTURE(name);
  const double error = golden_error(value, run.group, name);
  MESSAGE(run.label, " ", name, ": ", error);
  CHECK(error < tolerance);
}

}  // namespace

TEST_CASE("inversion and velocities are pyqg's") {
  for_each_run([](const Run& run) {
    const qg2layer::Params& p = run.params;
    const auto invert = qg2layer::inversion<double>(p);
    CHECK(invert.f1 == test::relative(run.file.attribute<double>("F1")).epsilon(1e-15));
    CHECK(invert.f1 * invert.delta == test::relative(run.file.attribute<double>("F2")).epsilon(1e-15));
    CHECK(p.weight(0) == test::relative(run.file.attribute<double>("del1")).epsilon(1e-15));
    CHECK(p.weight(1) == test::relative(run.file.attribute<double>("del2")).epsilon(1e-15));
    qg2layer::FieldDiagnostics fields(p);
    compare(run, "psi", fields.streamfunction(run.q0), tolerance::kOneEvaluation);
    std::vector<double> u(run.q0.size()), v(run.q0.size());
    fields.velocity(run.q0, u, v);
    compare(run, "u", u, tolerance::kOneEvaluation);
    compare(run, "v", v, tolerance::kOneEvaluation);
  });
}

TEST_CASE("the filter is pyqg's") {
  for (const char* name : kFiles) {
    INFO(std::string(name));
    const h5::File file = golden(name);
    const auto ours = qg2layer::filter_table(params_of(file));
    CHECK(golden_error(ours, file, "filtr") < tolerance::kOneEvaluation);
    const auto theirs = file.dataset("filtr").read<double>();
    if (ours.size() != theirs.size()) continue;  // a sample
    double worst = 0;  // mode by mode, where exp does not magnify its argument's rounding too much
    for (std::size_t i = 0; i < ours.size(); ++i)
      if (theirs[i] > 1e-12) worst = worst_of({worst, std::abs(ours[i] - theirs[i]) / theirs[i]});
    CHECK(worst < tolerance::kFilter);
  }
}

TEST_CASE("the tendency with drag is pyqg's") {
  for_each_run([](const Run& run) {
    auto engine = qg2layer::make_fftw_engine(run.params, 1, 1);
    engine->set_state(0, run.q0.data());
    engine->advance(0, 0, 1);
    std::vector<std::byte> saved(engine->state_bytes());
    engine->save(0, saved.data());
    // PV, then the tendency of the step just done.
    std::vector<double> tendency(4 * run.params.grid.modes());
    std::memcpy(tendency.data(), saved.data() + tendency.size() * sizeof(double),
                tendency.size() * sizeof(double));
    compare(run, "tendency", tendency, tolerance::kTendency);
  });
}

TEST_CASE("energies and isotropic spectra are pyqg's") {
  for_each_run([](const Run& run) {
    qg2layer::FieldDiagnostics fields(run.params);
    const auto values = [&](const std::string& name) { return run.group.dataset(name).read<double>(); };
    const auto k = run.file.dataset("k_iso").read<double>();
    const auto integrals = fields.integrals(run.q0);
    // Where a state reaches the Nyquist wavenumber, which velocities on the grid lose, pyqg's ke, a sum over
    // modes, and its ke_layer, means over points, are not the same.
    std::vector<double> u(run.q0.size()), v(run.q0.size());
    fields.velocity(run.q0, u, v);
    double on_grid[2] = {0, 0};
    for (std::size_t p = 0; p < u.size(); ++p)
      on_grid[p / (u.size() / 2)] += (u[p] * u[p] + v[p] * v[p]) / static_cast<double>(u.size());
    CHECK(integrals.kinetic == test::relative(values("ke").front()).epsilon(tolerance::kRounding));
    for (int z = 0; z < 2; ++z) {
      const std::string layer = "_layer" + std::to_string(z + 1);
      CAPTURE(layer);
      CHECK(on_grid[z] ==
            test::relative(values("ke_layer")[static_cast<std::size_t>(z)]).epsilon(tolerance::kRounding));
      const auto kinetic = fields.kinetic_rings(run.q0, z), enstrophy = fields.enstrophy_rings(run.q0, z);
      CHECK(relative_error(kinetic.k, k) < tolerance::kRounding);
      CHECK(relative_error(kinetic.value, values("kespec_iso" + layer)) < tolerance::kRounding);
      const auto expected = values("ensspec_iso" + layer);
      if (integrals.enstrophy[static_cast<std::size_t>(z)] > 0)
        CHECK(relative_error(enstrophy.value, expected) < tolerance::kRounding);
      else
        CHECK(enstrophy.value == expected);
      const auto sums =
          spectral::ring_spectrum(fields.kinetic_density(run.q0, z), run.params.grid.n, run.params.grid.unit(),
                                  {.averaging = false, .truncate = false});
      CHECK(relative_error(sums.value, values("kespec_iso_sum_notrunc" + layer)) < tolerance::kRounding);
    }
  });
}

TEST_CASE("spectral terms of the energy budget are pyqg's") {
  int compared = 0;
  for_each_run([&compared](const Run& run) {
    if (!has_record(run.group, "diag")) return;
    ++compared;
    qg2layer::FieldDiagnostics fields(run.params);
    const auto budget = fields.budget(run.q0);
    compare(run, "diag/APEflux", budget.ape_flux, tolerance::kRounding);
    compare(run, "diag/KEflux", budget.kinetic_flux, tolerance::kRounding);
    compare(run, "diag/KEfrictionspec", budget.bottom_drag, tolerance::kRounding);
    const auto lower = run.q0.begin() + static_cast<std::ptrdiff_t>(run.q0.size() / 2);
    if (std::any_of(lower, run.q0.end(), [](double q) { return q != 0; })) {
      compare(run, "diag/APEgenspec", budget.ape_generation, tolerance::kRounding);
    } else {
      // PV of the upper layer alone moves both layers in phase, which generates nothing.
      CHECK(norm(budget.ape_generation) < tolerance::kRounding * norm(budget.bottom_drag));
    }
    // pyqg takes the mean over grid points, where the shortest waves have lost a part: 3.2e-7 of a random
    // start's drag (as much lies between pyqg's own mean and its own spectrum), nothing of a developed state's.
    constexpr double kShortestWaves = 1e-6;
    CHECK(fields.integrals(run.q0).bottom_drag ==
          test::relative(run.group.dataset("diag/EKEdiss").read<double>().front()).epsilon(kShortestWaves));
  });
  CHECK(compared == (whole_golden() ? 6 : 4));  // of eight runs: pyqg's diagnostics were kept for these
}

TEST_CASE("trajectories reproduce pyqg step by step") {
  for_each_run([](const Run& run) {
    const auto steps = run.group.dataset("steps").read<std::int64_t>();
    const Record expected(run.group.dataset("q"));
    for (const char* precision : {"float64", "float32"}) {
      auto solver = make_case(run.params, {{"precision", precision}});
      solver->set_state(0, run.q0);
      for (std::size_t s = 0; s < steps.size(); ++s) {
        solver->advance(steps[s] - solver->step(0));
        REQUIRE(solver->status(0).alive);
        const double error = expected.error(state_of(*solver), 2 * s);
        MESSAGE(run.label, " ", std::string(precision), " step ", steps[s], ": ", error);
        if (std::string(precision) == "float64")
          CHECK(error < (steps[s] > 100  ? tolerance::kParity1000
                         : steps[s] > 10 ? tolerance::kParity100
                                         : tolerance::kParity10));
        else
          CHECK(error < (steps[s] > 100 ? tolerance::kQgSingle1000 : tolerance::kQgSingle100));
      }
    }
  });
}
