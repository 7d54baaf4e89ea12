// Stationary statistics at 64^2 and 128^2, nu = 1e-3, and at 192^2, nu = 1e-4, against jax-cfd's runs of 250,
// 200 and 90 time units: ensembles of longer total length, with the files' time step.
#include "core/hdf5.hpp"
#include "core/parallel.hpp"
#include "tests/support/kolmogorov_cases.hpp"

#include <doctest/doctest.h>

#include <map>

using namespace sns;
using namespace sns::test;

namespace {

struct Case {
  const char* file;
  int members;
  double length;       ///< time over which each member is averaged
  std::size_t shells;  ///< the last bin of either spectrum that lies within the mask: beyond, it is the decayed
  std::size_t rings;   ///< initial state, not a statistic of the flow
};

void compare_statistics(const Case& c) {
  const auto file = h5::File::open_read(std::string(SNS_SOURCE_DIR) + "/tests/golden/data/" + c.file);
  kolmogorov::Params p;
  p.grid.n = static_cast<int>(file.attribute<std::int64_t>("n"));
  p.viscosity = file.attribute<double>("nu");
  p.drag = file.attribute<double>("drag");
  p.dt = file.attribute<double>("dt");
  // Members are independent, so their means are the blocks of the error estimate. The flow forgets its start
  // within 25 time units and decorrelates in 10.
  constexpr double kSpinUp = 40, kEvery = 0.5;
  auto solver =
      make_case(p, {{"advection", "basdevant"}, {"precision", "float32"}}, c.members, default_threads());
  for (int m = 0; m < c.members; ++m) solver->initialise(m, static_cast<std::uint64_t>(m));
  solver->advance(std::lround(kSpinUp / p.dt));

  std::map<std::string, std::vector<std::vector<double>>> sums;  // quantity -> member -> values
  kolmogorov::KolmogorovSpectrum spectrum(p.grid.n);
  const auto add = [&](const std::string& name, int member, const std::vector<double>& values) {
    auto& sum = sums[name];
    sum.resize(static_cast<std::size_t>(c.members), std::vector<double>(values.size(), 0.0));
    for (std::size_t i = 0; i < values.size(); ++i) sum[static_cast<std::size_t>(member)][i] += values[i];
  };
  const int samples = static_cast<int>(c.length / kEvery);
  for (int s = 0; s < samples; ++s) {
    solver->advance(std::lround(kEvery / p.dt));
    for (int m = 0; m < c.members; ++m) {
      const auto d = solver->diagnostics(m);
      const auto w = state_of(*solver, m);
      for (const auto& [name, index] :
           {std::pair{"E", 0}, std::pair{"Z", 1}, std::pair{"P", 2}, std::pair{"inj", 3}, std::pair{"umax", 5}})
        add(name, m, {d[static_cast<std::size_t>(index)]});
      add("w_std", m, {std::sqrt(2 * d[1])});
      add("spec_shell", m, spectrum.shells(w).value);
      add("spec_sns", m, spectrum.paper(w).value);
    }
  }
  for (int m = 0; m < c.members; ++m) REQUIRE(solver->status(m).alive);

  std::map<std::string, double> means;
  for (auto& [name, sum] : sums) {
    const auto expected = file.dataset("mean/" + name).read<double>();
    const auto expected_error = file.dataset("block_stderr/" + name).read<double>();
    REQUIRE(expected.size() == sum[0].size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      if (name == "spec_shell" && (i == 0 || i > c.shells)) continue;
      if (name == "spec_sns" && i > c.rings) continue;
      double mean = 0, variance = 0;
      for (auto& member : sum) mean += member[i] / samples / c.members;
      for (auto& member : sum) variance += std::pow(member[i] / samples - mean, 2) / (c.members - 1);
      if (i == 0) means[name] = mean;
      const double error = std::hypot(std::sqrt(variance / c.members), expected_error[i]);
      const double distance = (mean - expected[i]) / error;
      CAPTURE(name);
      CAPTURE(i);
      INFO(mean, " against ", expected[i], ": ", distance, " standard errors");
      CHECK(std::abs(distance) < tolerance::kStandardErrors);
      if (name.starts_with("spec") == false) MESSAGE(name, " ", mean, " against ", expected[i], ": ", distance);
    }
  }
  // Mean budgets: what is injected is dissipated.
  const double energy = means["inj"] - 2 * p.viscosity * means["Z"] - 2 * p.drag * means["E"];
  const double enstrophy = 16 * means["inj"] - 2 * p.viscosity * means["P"] - 2 * p.drag * means["Z"];
  CHECK(std::abs(energy) < 0.03 * means["inj"]);
  CHECK(std::abs(enstrophy) < 0.03 * 16 * means["inj"]);
}

}  // namespace

TEST_CASE("stationary statistics at 64^2 agree with jax-cfd's within three standard errors") {
  compare_statistics({"kolmogorov_stats_n64.h5", 24, 60, 20, 13});
}

TEST_CASE("stationary statistics at 128^2 agree with jax-cfd's within three standard errors") {
  compare_statistics({"kolmogorov_stats_n128.h5", 12, 40, 41, 28});
}

TEST_CASE("stationary statistics at 192^2 and nu = 1e-4 agree with jax-cfd's within three standard errors") {
  compare_statistics({"kolmogorov_stats_n192.h5", 6, 40, 62, 42});
}
