// Stationary statistics of the jet and eddy cases at 64^2, from rest-like noise, against pyqg's runs.
#include "core/parallel.hpp"
#include "solvers/qg2layer/diagnostics.hpp"
#include "tests/support/qg2layer_cases.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <map>

using namespace sns;
using namespace sns::test;
using qg2layer::FieldDiagnostics;
using qg2layer::Params;

namespace {

constexpr std::int64_t kStepsPerYear = 360 * 24;  // of 360 days, dt = 3600 s
constexpr std::int64_t kStepsPerSample = 240;     // 10 days

using Values = std::map<std::string, std::vector<double>>;

/// Standard deviations of a state's layers, with and without the zonal mean.
void add_deviations(Values& values, const std::vector<double>& state, std::size_t n) {
  for (std::size_t z = 0; z < 2; ++z) {
    double square = 0, eddy = 0;
    for (std::size_t y = 0; y < n; ++y) {
      const double* row = &state[(z * n + y) * n];
      double mean = 0;
      for (std::size_t x = 0; x < n; ++x) mean += row[x] / static_cast<double>(n);
      for (std::size_t x = 0; x < n; ++x) {
        square += row[x] * row[x];
        eddy += (row[x] - mean) * (row[x] - mean);
      }
    }
    values["q_std"].push_back(std::sqrt(square / static_cast<double>(n * n)));
    values["q_eddy_std"].push_back(std::sqrt(eddy / static_cast<double>(n * n)));
  }
}

/// Time means of each of `members` runs from pyqg's initial state.
std::vector<Values> run(const h5::Group& reference, int members, int spinup_years, int years) {
  const Params p = params_of(reference);
  auto solver = make_case(p, {{"initial.kind", "pyqg"}}, members, default_threads());
  for (int m = 0; m < members; ++m) solver->initialise(m, static_cast<std::uint64_t>(m));
  solver->advance(spinup_years * kStepsPerYear);
  std::vector<Values> means(static_cast<std::size_t>(members));
  FieldDiagnostics fields(p);
  const auto samples = years * kStepsPerYear / kStepsPerSample;
  for (std::int64_t s = 0; s < samples; ++s) {
    solver->advance(kStepsPerSample);
    for (int m = 0; m < members; ++m) {
      REQUIRE(solver->status(m).alive);
      const auto state = state_of(*solver, m);
      const auto now = fields.integrals(state);
      Values values{{"ke_layer", {now.kinetic_layer[0], now.kinetic_layer[1]}}, {"ke_total", {now.kinetic}}};
      for (int z = 0; z < 2; ++z) {
        const auto spectrum = fields.kinetic_rings(state, z).value;
        values["kespec"].insert(values["kespec"].end(), spectrum.begin(), spectrum.end());
      }
      add_deviations(values, state, static_cast<std::size_t>(p.grid.n));
      for (const auto& [name, value] : values) {
        auto& mean = means[static_cast<std::size_t>(m)][name];
        mean.resize(value.size(), 0.0);
        for (std::size_t i = 0; i < value.size(); ++i) mean[i] += value[i] / static_cast<double>(samples);
      }
    }
  }
  return means;
}

h5::Group golden(const char* name) {
  return h5::File::open_read(std::string(SNS_SOURCE_DIR) + "/tests/golden/data/qg2layer_stats_n64.h5")
      .group(name);
}

/// Bins beyond 0.65 pi are the filter's doing.
constexpr std::size_t kBins = 23, kResolvedBins = 15;

}  // namespace

TEST_CASE("eddy statistics agree with pyqg's within its block errors") {
  const auto reference = golden("eddy");
  constexpr int kMembers = 2;
  const auto means = run(reference, kMembers, 8, 12);
  for (const auto& [name, first] : means[0]) {
    const auto expected = reference.dataset("mean/" + name).read<double>();
    const auto error = reference.dataset("block_stderr/" + name).read<double>();
    REQUIRE(first.size() == expected.size());
    for (std::size_t i = 0; i < first.size(); ++i) {
      if (name == "kespec" && i % kBins >= kResolvedBins) continue;
      double mean = 0;
      for (const Values& member : means) mean += member.at(name)[i] / kMembers;
      // Each of our runs is as long as the recorded one, and has its error.
      const double distance = (mean - expected[i]) / (error[i] * std::sqrt(1 + 1.0 / kMembers));
      CAPTURE(name);
      CAPTURE(i);
      INFO(mean, " against ", expected[i]);
      CHECK(std::abs(distance) < tolerance::kBlockErrors);
      if (name != "kespec") MESSAGE(name, " ", mean, " against ", expected[i], ": ", distance);
    }
  }
}

TEST_CASE("jet statistics agree with pyqg's four runs") {
  // The number of jets, three or four, depends on the initial noise and lasts for decades, so that block errors
  // say little: the tolerances are several times the spread of pyqg's seeds.
  const auto reference = golden("jet");
  constexpr int kMembers = 2;
  const auto means = run(reference, kMembers, 15, 20);
  const auto check = [&](const std::string& name, std::size_t i, double tolerance) {
    double mean = 0;
    for (const Values& member : means) mean += member.at(name)[i] / kMembers;
    const double expected = reference.dataset("mean/" + name).read<double>()[i];
    CAPTURE(name);
    CAPTURE(i);
    CHECK(mean == doctest::Approx(expected).epsilon(tolerance));
    if (name != "kespec") MESSAGE(name, " ", mean, " against ", expected);
  };
  check("ke_total", 0, tolerance::kJetEnergy);
  for (std::size_t z = 0; z < 2; ++z) {
    check("ke_layer", z, tolerance::kJetEnergy);
    check("q_std", z, tolerance::kJetDeviation);
    check("q_eddy_std", z, tolerance::kJetDeviation);
    const auto expected = reference.dataset("mean/kespec").read<double>();
    for (std::size_t b = 0; b < kResolvedBins; ++b) {
      const std::size_t i = z * kBins + b;
      if (b >= 3) {
        check("kespec", i, tolerance::kJetSpectrum);
        continue;
      }
      double mean = 0;
      for (const Values& member : means) mean += member.at("kespec")[i] / kMembers;
      CAPTURE(i);
      CHECK(std::abs(std::log2(mean / expected[i])) < 1);
    }
  }
}
