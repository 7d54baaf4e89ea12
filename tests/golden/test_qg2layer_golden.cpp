// Against pyqg in double precision: inversion, velocities, tendency and filter of one state, and trajectories
// of jet and eddy at 64^2 and 128^2 from pyqg's random start and from developed flow.
#include "core/hdf5.hpp"
#include "solvers/qg2layer/equation.hpp"
#include "solvers/spectral/real_transform.hpp"
#include "tests/support/qg2layer_cases.hpp"

#include <doctest/doctest.h>

#include <cstring>

using namespace sns;
using namespace sns::test;
using spectral::Complex;

namespace {

h5::File golden(const std::string& name) {
  return h5::File::open_read(std::string(SNS_SOURCE_DIR) + "/tests/golden/data/" + name);
}

/// Spectra of both layers of q[layer][y][x].
std::vector<Complex<double>> spectra(const std::vector<double>& q, int n) {
  spectral::RealTransform transform(n);
  std::vector<Complex<double>> hat;
  for (int layer = 0; layer < 2; ++layer)
    for (const auto& z :
         transform.forward(std::span(q).subspan(q.size() / 2 * static_cast<std::size_t>(layer), q.size() / 2)))
      hat.push_back({z.real(), z.imag()});
  return hat;
}

/// Every second value along y and x of both layers, as the recorded trajectories hold them.
std::vector<double> every_second(const std::vector<double>& q, int n) {
  std::vector<double> out;
  for (int layer = 0; layer < 2; ++layer)
    for (int y = 0; y < n; y += 2)
      for (int x = 0; x < n; x += 2) out.push_back(q[static_cast<std::size_t>((layer * n + y) * n + x)]);
  return out;
}

}  // namespace

TEST_CASE("inversion and velocities are pyqg's") {
  const h5::File file = golden("qg2layer_jet_n64.h5");
  const qg2layer::Params p = params_of(file);
  const auto invert = qg2layer::inversion<double>(p);
  const auto velocity = qg2layer::velocity<double>(p);
  CHECK(invert.f1 == doctest::Approx(file.attribute<double>("F1")).epsilon(1e-15));
  CHECK(invert.f1 * invert.delta == doctest::Approx(file.attribute<double>("F2")).epsilon(1e-15));
  CHECK(p.weight(0) == doctest::Approx(file.attribute<double>("del1")).epsilon(1e-15));
  CHECK(p.weight(1) == doctest::Approx(file.attribute<double>("del2")).epsilon(1e-15));
  spectral::RealTransform transform(p.grid.n);
  for (const char* start : {"ic_random", "ic_developed"}) {
    CAPTURE(start);
    const h5::Group group = file.group(start);
    const auto q = spectra(group.dataset("q0").read<double>(), p.grid.n);
    std::vector<std::complex<double>> hat[3];  // psi, u, v: [layer][n][columns]
    for (auto& h : hat) h.resize(q.size());
    std::size_t at = 0;
    for (int i = 0; i < p.grid.n; ++i)
      for (int j = 0; j < p.grid.columns(); ++j, ++at) {
        const auto psi = invert(i, j, q[at], q[at + p.grid.modes()]);
        for (const auto& [layer, value] : {std::pair{0, psi.upper}, std::pair{1, psi.lower}}) {
          const auto pair = velocity(i, j, value);
          const std::size_t mode = at + static_cast<std::size_t>(layer) * p.grid.modes();
          hat[0][mode] = {value.re, value.im};
          hat[1][mode] = {pair.u.re, pair.u.im};
          hat[2][mode] = {pair.v.re, pair.v.im};
        }
      }
    const char* names[] = {"psi", "u", "v"};
    for (int field = 0; field < 3; ++field) {
      std::vector<double> physical(2 * p.grid.points());
      for (std::size_t layer = 0; layer < 2; ++layer)
        transform.inverse(std::span(hat[field]).subspan(layer * p.grid.modes(), p.grid.modes()),
                          std::span(physical).subspan(layer * p.grid.points(), p.grid.points()));
      CAPTURE(names[field]);
      const double error = relative_error(physical, group.dataset(names[field]).read<double>());
      MESSAGE(std::string(start), " ", std::string(names[field]), ": ", error);
      CHECK(error < tolerance::kOneEvaluation);
    }
  }
}

TEST_CASE("the filter is pyqg's") {
  const h5::File file = golden("qg2layer_jet_n64.h5");
  const auto ours = qg2layer::filter_table(params_of(file)), theirs = file.dataset("filtr").read<double>();
  REQUIRE(ours.size() == theirs.size());
  CHECK(relative_error(ours, theirs) < tolerance::kOneEvaluation);
  double worst = 0;  // mode by mode, where exp does not magnify its argument's rounding too much
  for (std::size_t i = 0; i < ours.size(); ++i)
    if (theirs[i] > 1e-12) worst = std::max(worst, std::abs(ours[i] - theirs[i]) / theirs[i]);
  CHECK(worst < tolerance::kFilter);
}

TEST_CASE("the tendency with drag is pyqg's") {
  for (const char* name : {"qg2layer_jet_n64.h5", "qg2layer_eddy_n64.h5"})
    for (const char* start : {"ic_random", "ic_developed"}) {
      const h5::File file = golden(name);
      const h5::Group group = file.group(start);
      if (!group.exists("tendency")) continue;
      const qg2layer::Params p = params_of(file);
      auto engine = qg2layer::make_fftw_engine(p, 1, 1);
      engine->set_state(0, group.dataset("q0").read<double>().data());
      engine->advance(0, 0, 1);
      std::vector<std::byte> saved(engine->state_bytes());
      engine->save(0, saved.data());
      // PV, then the tendency of the step just done.
      const auto expected = group.dataset("tendency").read<double>();
      std::vector<double> tendency(4 * p.grid.modes());
      std::memcpy(tendency.data(), saved.data() + tendency.size() * sizeof(double),
                  tendency.size() * sizeof(double));
      for (std::size_t layer = 0; layer < 2; ++layer) {
        const auto one = [&](const std::vector<double>& all) {
          return std::vector<double>(all.begin() + static_cast<std::ptrdiff_t>(layer * all.size() / 2),
                                     all.begin() + static_cast<std::ptrdiff_t>((layer + 1) * all.size() / 2));
        };
        const double error = relative_error(one(tendency), one(expected));
        MESSAGE(std::string(name), " ", std::string(start), " layer ", layer, ": ", error);
        CHECK(error < tolerance::kTendency);
      }
    }
}

TEST_CASE("trajectories reproduce pyqg step by step") {
  for (const char* name :
       {"qg2layer_jet_n64.h5", "qg2layer_eddy_n64.h5", "qg2layer_jet_n128.h5", "qg2layer_eddy_n128.h5"}) {
    const h5::File file = golden(name);
    for (const char* start : {"ic_random", "ic_developed"}) {
      if (!file.exists(start)) continue;
      for (const char* precision : {"float64", "float32"}) {
        const bool wide = std::string(precision) == "float64";
        const h5::Group group = file.group(start);
        const auto steps = group.dataset("steps").read<std::int64_t>();
        const auto expected = group.dataset("q").read<double>();
        const qg2layer::Params p = params_of(file);
        auto solver = make_case(p, {{"precision", precision}});
        solver->set_state(0, group.dataset("q0").read<double>());
        const std::size_t values = expected.size() / steps.size();
        for (std::size_t s = 0; s < steps.size(); ++s) {
          solver->advance(steps[s] - solver->step(0));
          const double error =
              relative_error(every_second(state_of(*solver), p.grid.n),
                             {expected.begin() + static_cast<std::ptrdiff_t>(s * values),
                              expected.begin() + static_cast<std::ptrdiff_t>((s + 1) * values)});
          MESSAGE(std::string(name), " ", std::string(start), " ", std::string(precision), " step ", steps[s],
                  ": ", error);
          if (wide)
            CHECK(error < (steps[s] > 100  ? tolerance::kParity1000
                           : steps[s] > 10 ? tolerance::kParity100
                                           : tolerance::kParity10));
          else
            CHECK(error < (steps[s] > 100 ? tolerance::kQgSingle1000 : tolerance::kQgSingle100));
        }
      }
    }
  }
}
