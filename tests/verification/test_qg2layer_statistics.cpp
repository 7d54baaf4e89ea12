// Stationary statistics of the jet and eddy cases at 64^2, from rest-like noise, against pyqg's runs.
#include "core/parallel.hpp"
#include "solvers/qg2layer/diagnostics.hpp"
#include "tests/support/qg2layer_cases.hpp"

#include <doctest/doctest.h>

#include <array>
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

constexpr std::int64_t kBlocks = 10;  ///< of a run, as in the recorded statistics

/// Time means of one run, and of its consecutive blocks.
struct Means {
  Values whole;
  std::array<Values, kBlocks> block;

  /// Standard error of whole.at(name)[i] from the scatter of the blocks.
  double error(const std::string& name, std::size_t i) const {
    double square = 0;
    for (const Values& one : block) square += std::pow(one.at(name)[i] - whole.at(name)[i], 2);
    return std::sqrt(square / (kBlocks * (kBlocks - 1)));
  }
};

void add(Values& sum, const std::string& name, const std::vector<double>& value, double weight) {
  auto& mean = sum[name];
  mean.resize(value.size(), 0.0);
  for (std::size_t i = 0; i < value.size(); ++i) mean[i] += weight * value[i];
}

/// `members` runs from pyqg's initial state.
std::vector<Means> run(const h5::Group& reference, int members, int spinup_years, int years) {
  const Params p = params_of(reference);
  auto solver = make_case(p, {{"initial.kind", "pyqg"}}, members, default_threads());
  for (int m = 0; m < members; ++m) solver->initialise(m, static_cast<std::uint64_t>(m));
  solver->advance(spinup_years * kStepsPerYear);
  std::vector<Means> means(static_cast<std::size_t>(members));
  FieldDiagnostics fields(p);
  const auto samples = years * kStepsPerYear / kStepsPerSample / kBlocks * kBlocks;
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
      Means& sums = means[static_cast<std::size_t>(m)];
      for (const auto& [name, value] : values) {
        add(sums.whole, name, value, 1.0 / static_cast<double>(samples));
        add(sums.block[static_cast<std::size_t>(s * kBlocks / samples)], name, value,
            static_cast<double>(kBlocks) / static_cast<double>(samples));
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
/// Below 4.9 * 2 pi/L lie the jets, which change over years.
constexpr std::size_t kSlowBins = 3;

}  // namespace

TEST_CASE("eddy statistics agree with pyqg's within block errors") {
  const auto reference = golden("eddy");
  constexpr int kMembers = 4;
  const auto means = run(reference, kMembers, 8, 12);
  for (const auto& [name, first] : means[0].whole) {
    const auto expected = reference.dataset("mean/" + name).read<double>();
    const auto error = reference.dataset("block_stderr/" + name).read<double>();
    REQUIRE(first.size() == expected.size());
    for (std::size_t i = 0; i < first.size(); ++i) {
      if (name == "kespec" && i % kBins >= kResolvedBins) continue;
      double mean = 0, square = 0;
      for (const Means& member : means) {
        mean += member.whole.at(name)[i] / kMembers;
        square += std::pow(member.error(name, i) / kMembers, 2);
      }
      const double distance = (mean - expected[i]) / std::sqrt(error[i] * error[i] + square);
      CAPTURE(name);
      CAPTURE(i);
      INFO(mean, " against ", expected[i]);
      CHECK(std::abs(distance) <
            (name == "kespec" && i % kBins < kSlowBins ? tolerance::kFewBlocks : tolerance::kStandardErrors));
      MESSAGE(name, " ", i, ": ", mean, " against ", expected[i], ": ", distance);
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
    for (const Means& member : means) mean += member.whole.at(name)[i] / kMembers;
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
      if (b >= kSlowBins) {
        check("kespec", i, tolerance::kJetSpectrum);
        continue;
      }
      double mean = 0;
      for (const Means& member : means) mean += member.whole.at("kespec")[i] / kMembers;
      CAPTURE(i);
      CHECK(std::abs(std::log2(mean / expected[i])) < 1);
    }
  }
}
