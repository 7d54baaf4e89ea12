// Stationary statistics of the jet and eddy cases at 64^2, from rest-like noise, against pyqg's runs.
#include "core/parallel.hpp"
#include "solvers/qg2layer/diagnostics.hpp"
#include "tests/support/qg2layer_cases.hpp"
#include "tests/support/relative.hpp"

#include <doctest/doctest.h>

#include <algorithm>
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

/// Time means of one run.
struct Run {
  Values means;
  std::map<int, std::int64_t> jets;  ///< how many samples had so many jets in the upper layer

  /// The number of jets that most samples had.
  int usual_jets() const {
    return std::max_element(jets.begin(), jets.end(), [](auto& a, auto& b) { return a.second < b.second; })
        ->first;
  }
};

void add(Values& sum, const std::string& name, const std::vector<double>& value, double weight) {
  auto& mean = sum[name];
  mean.resize(value.size(), 0.0);
  for (std::size_t i = 0; i < value.size(); ++i) mean[i] += weight * value[i];
}

/// `members` runs from pyqg's initial state.
std::vector<Run> run(const h5::Group& reference, int members, int spinup_years, int years) {
  const Params p = params_of(reference);
  auto solver = make_case(p, {{"initial.kind", "pyqg"}}, members, default_threads());
  for (int m = 0; m < members; ++m) solver->initialise(m, static_cast<std::uint64_t>(m));
  solver->advance(spinup_years * kStepsPerYear);
  std::vector<Run> runs(static_cast<std::size_t>(members));
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
      Run& one = runs[static_cast<std::size_t>(m)];
      ++one.jets[fields.jets(state).wavenumber[0]];
      for (const auto& [name, value] : values) add(one.means, name, value, 1.0 / static_cast<double>(samples));
    }
  }
  return runs;
}

h5::Group golden(const char* name) {
  return h5::File::open_read(std::string(SNS_SOURCE_DIR) + "/tests/golden/data/qg2layer_stats_n64.h5")
      .group(name);
}

/// Bins beyond 0.65 pi are the filter's doing.
constexpr std::size_t kBins = 23, kResolvedBins = 15;
/// Below 4.9 * 2 pi/L lie the jets, which change over years.
constexpr std::size_t kSlowBins = 3;

}  // namespace

TEST_CASE("eddy statistics agree with pyqg's runs") {
  // The recorded numbers are means over pyqg's runs from different noise, and the scatter of the runs: blocks
  // of one run say too little of the largest scales, whose energy changes over years.
  const auto reference = golden("eddy");
  constexpr int kMembers = 4;
  const auto runs = run(reference, kMembers, 8, 12);
  const auto count = static_cast<double>(reference.attribute<std::int64_t>("runs"));
  for (const auto& [name, first] : runs[0].means) {
    const auto expected = reference.dataset("mean/" + name).read<double>();
    const auto scatter = reference.dataset("run_std/" + name).read<double>();
    REQUIRE(first.size() == expected.size());
    for (std::size_t i = 0; i < first.size(); ++i) {
      if (name == "kespec" && i % kBins >= kResolvedBins) continue;
      double mean = 0;
      for (const Run& one : runs) mean += one.means.at(name)[i] / kMembers;
      const double distance = (mean - expected[i]) / (scatter[i] * std::sqrt(1 / count + 1.0 / kMembers));
      CAPTURE(name);
      CAPTURE(i);
      INFO(mean, " against ", expected[i]);
      CHECK(std::abs(distance) < tolerance::kStandardErrors);
      MESSAGE(name, " ", i, ": ", mean, " against ", expected[i], ": ", distance);
    }
  }
}

TEST_CASE("jet statistics agree with pyqg's four runs") {
  // The number of jets, three or four, depends on the initial noise and lasts for decades, so that block errors
  // say little: the tolerances are several times the spread of pyqg's seeds.
  const auto reference = golden("jet");
  constexpr int kMembers = 2;
  const auto runs = run(reference, kMembers, 15, 20);
  for (const Run& one : runs) {
    const int jets = one.usual_jets();
    MESSAGE(jets, " jets in ", one.jets.at(jets), " samples");
    CHECK((jets == 3 || jets == 4));
  }
  const auto check = [&](const std::string& name, std::size_t i, double tolerance) {
    double mean = 0;
    for (const Run& one : runs) mean += one.means.at(name)[i] / kMembers;
    const double expected = reference.dataset("mean/" + name).read<double>()[i];
    CAPTURE(name);
    CAPTURE(i);
    CHECK(mean == test::relative(expected).epsilon(tolerance));
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
      if (b >= kSlowBins) {
        check("kespec", i, tolerance::kJetSpectrum);
        continue;
      }
      double mean = 0;
      for (const Run& one : runs) mean += one.means.at("kespec")[i] / kMembers;
      CAPTURE(i);
      CHECK(std::abs(std::log2(mean / expected[i])) < 1);
    }
  }
}
