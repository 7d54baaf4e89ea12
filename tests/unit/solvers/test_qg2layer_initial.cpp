// Initial states of two-layer quasi-geostrophic flow.
#include "core/hdf5.hpp"
#include "solvers/qg2layer/initial.hpp"
#include "solvers/qg2layer/stability.hpp"
#include "solvers/spectral/real_transform.hpp"
#include "tests/support/qg2layer_cases.hpp"
#include "tests/support/relative.hpp"
#include "tests/support/scratch.hpp"
#include "tests/support/worst_of.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>

using namespace sns;
using namespace sns::test;
using qg2layer::InitialConfig;
using qg2layer::Params;

namespace {

Params small() {
  Params p;
  p.grid.n = 32;
  return p;
}

std::vector<double> state(const InitialConfig& config, std::uint64_t trajectory = 0, std::uint64_t seed = 1) {
  std::vector<double> q(2 * 32 * 32, 7.0);
  qg2layer::initial_state(small(), config, seed, trajectory, q);
  return q;
}

double mean(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

InitialConfig read(const std::string& yaml) {
  const Config config = Config::parse("initial: " + yaml);
  return qg2layer::read_initial(config.root().child("initial"), small());
}

}  // namespace

TEST_CASE("pyqg's initial state, drawn from a stream of seed and trajectory") {
  const auto q = state({});
  CHECK(q == state({}));
  CHECK(q != state({}, 1));
  CHECK(q != state({}, 0, 2));
  CHECK(std::all_of(q.begin() + 1024, q.end(), [](double v) { return v == 0; }));
  // Stripes along y of 0 to 1e-6, and noise of 0 to 1e-7 on them.
  std::vector<double> stripes;
  for (std::size_t x = 0; x < 32; ++x) {
    double lowest = 1, highest = 0;
    for (std::size_t y = 0; y < 32; ++y) {
      lowest = std::min(lowest, q[y * 32 + x]);
      highest = std::max(highest, q[y * 32 + x]);
    }
    CHECK(highest - lowest > 0.6e-7);
    CHECK(highest - lowest < 1e-7);
    stripes.push_back(lowest);
  }
  const auto [least, most] = std::minmax_element(stripes.begin(), stripes.end());
  CHECK(*least < 2e-7);
  CHECK(*most > 8e-7);
  CHECK(*most < 1.01e-6);
}

TEST_CASE("perturbations have zero mean, the given amplitude and one sign per layer, and reach the solver") {
  const InitialConfig base{};
  InitialConfig config = read("{kind: perturbed, amplitude: 1.0e-5}");
  auto q = state(config);
  const auto unperturbed = state(base);
  for (std::size_t i = 0; i < q.size(); ++i) q[i] -= unperturbed[i];
  for (std::size_t z = 0; z < 2; ++z) {
    const auto layer = std::span<const double>(q).subspan(z * 1024, 1024);
    CHECK(std::abs(mean(layer)) < 1e-20);
    double square = 0;
    for (const double v : layer) square += v * v / 1024;
    CHECK(std::sqrt(square) == test::relative(1e-5).epsilon(0.1));
  }
  // The same noise at another amplitude is proportional: layers have a sign each and draw in a fixed order.
  auto twice = state(read("{kind: perturbed, amplitude: 2.0e-5}"));
  for (std::size_t i = 0; i < q.size(); ++i) twice[i] -= unperturbed[i];
  for (double& v : q) v *= 2;
  CHECK(relative_error(twice, q) < 1e-10);
  CHECK(!read("{kind: perturbed}").amplitude);

  // All of it is in the state that is advanced.
  auto solver = make_case(small(), {{"initial", "{kind: perturbed, amplitude: 1.0e-5}"}});
  solver->initialise(0, 0);
  CHECK(relative_error(state_of(*solver), state(config)) < tolerance::kRounding);

  // Around the state of a file.
  ScratchFolder folder;
  std::vector<double> stored(2 * 2 * 1024);
  for (std::size_t i = 0; i < stored.size(); ++i) stored[i] = 1e-9 * static_cast<double>(i);
  h5::File::create(folder / "q.h5").write<double>("q", {2, 2, 32, 32}, stored);
  const std::string address = (folder / "q.h5").string() + ":/q";
  CHECK(state({.kind = "file", .amplitude = {}, .wavenumber = {}, .path = address}, 1) ==
        std::vector<double>(stored.begin() + 2048, stored.end()));
  config.path = address;
  auto around = state(config, 1);
  for (std::size_t i = 0; i < around.size(); ++i) around[i] -= stored[2048 + i];
  CHECK(std::abs(mean(std::span<const double>(around).first(1024))) < 1e-18);
  CHECK(*std::max_element(around.begin(), around.end()) > 2e-5);
  CHECK_THROWS_WITH_AS(state(config, 2), doctest::Contains("trajectory 2"), Error);
}

TEST_CASE("the eigenmode has the wavenumber, amplitude and structure that the stability analysis gives") {
  const auto q = state(read("{kind: eigenmode, amplitude: 1.0e-9, wavenumber: [3, -2]}"));
  const auto mode = qg2layer::unstable_mode(small(), 30, 3);
  spectral::RealTransform transform(32);
  const auto at_first_centre = std::polar(1.0, std::numbers::pi * (3 - 2) / 32);  // x = y = half a cell
  for (std::size_t z = 0; z < 2; ++z) {
    const auto spectrum = transform.forward(std::span<const double>(q).subspan(z * 1024, 1024));
    double rest = 0;
    for (std::size_t at = 0; at < spectrum.size(); ++at) {
      if (at == 30 * 17 + 3)
        CHECK(std::abs(spectrum[at] / (512e-9 * mode.q[z] * at_first_centre) - 1.0) < 1e-12);
      else
        rest = test::worst_of({rest, std::abs(spectrum[at])});
    }
    CHECK(rest < 1e-18);
  }
  CHECK(state({.kind = "rest", .amplitude = {}, .wavenumber = {}, .path = {}}) ==
        std::vector<double>(2048, 0.0));
}

TEST_CASE("a state of another grid is resampled to the solver's cell centres") {
  ScratchFolder folder;
  std::vector<double> stored(2 * 1024);
  for (std::size_t i = 0; i < stored.size(); ++i)
    stored[i] = 1e-6 * std::sin(0.37 * static_cast<double>(i * i % 101));
  h5::File::create(folder / "q.h5").write<double>("q", {2, 32, 32}, stored);
  // Every third of 96 cells has the centre of one of 32.
  Params fine = small();
  fine.grid.n = 96;
  const std::string block =
      fmt::format("{{kind: file, path: '{}:/q', resample: spectral}}", (folder / "q.h5").string());
  auto solver = make_case(fine, {{"initial", block}, {"max_courant", "100"}});
  solver->initialise(0, 0);
  const auto q = state_of(*solver);
  std::vector<double> shared;
  for (std::size_t z = 0; z < 2; ++z)
    for (std::size_t y = 1; y < 96; y += 3)
      for (std::size_t x = 1; x < 96; x += 3) shared.push_back(q[(z * 96 + y) * 96 + x]);
  CHECK(relative_error(shared, stored) < tolerance::kRounding);
}

TEST_CASE("bad initial blocks are refused") {
  CHECK_THROWS_WITH_AS(read("{kind: random}"), doctest::Contains("pyqg"), ConfigError);
  CHECK_THROWS_WITH_AS(read("{kind: file}"), doctest::Contains("path"), ConfigError);
  for (const char* wavenumber : {"[16, 0]", "[0, 1]", "[3]", "[3, 16]", "[3, -16]"})
    CHECK_THROWS_WITH_AS(read(fmt::format("{{kind: eigenmode, wavenumber: {}}}", wavenumber)),
                         doctest::Contains("[k, l]"), ConfigError);
  CHECK_THROWS_AS(read("{kind: perturbed, amplitude: -1}"), ConfigError);
  CHECK_THROWS_WITH_AS(read("{kind: rest, amplitude: 1.0e-6}"), doctest::Contains("kind: rest"), ConfigError);
  CHECK_THROWS_WITH_AS(read("{kind: perturbed, resample: spectral}"), doctest::Contains("no path"),
                       ConfigError);
}
