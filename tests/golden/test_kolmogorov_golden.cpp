// Against jax-cfd in double precision: every stored intermediate of one evaluation, trajectories of both
// initial conditions at 64^2 and 128^2, the other steppers, coarsening and spectra.
#include "core/hdf5.hpp"
#include "solvers/kolmogorov/equation.hpp"
#include "solvers/kolmogorov/initial.hpp"
#include "solvers/spectral/fftw_backend.hpp"
#include "solvers/spectral/real_transform.hpp"
#include "tests/support/golden_samples.hpp"
#include "tests/support/kolmogorov_cases.hpp"
#include "tests/support/relative.hpp"
#include "tests/support/worst_of.hpp"

#include <doctest/doctest.h>

using namespace sns;
using namespace sns::test;
using kolmogorov::AdvectiveForm;
using spectral::Complex;
using Backend = spectral::FftwBackend<double>;

namespace {

constexpr const char* kFiles[] = {"kolmogorov_n64.h5", "kolmogorov_n128.h5"};
constexpr const char* kStarts[] = {"ic_random", "ic_developed"};

template <class F>
void for_each_run(F f) {
  for (const char* name : kFiles)
    for (const char* start : kStarts) {
      INFO(std::string(name), " ", std::string(start));
      const h5::File file = golden(name);
      f(recorded_flow(file), file.group(start), std::string(name) + " " + start);
    }
}

/// Values of f(i, j) over the half plane as [n][n/2+1][re, im].
template <class F>
std::vector<double> half_plane(const spectral::Grid& grid, F f) {
  std::vector<double> out;
  for (int i = 0; i < grid.n; ++i)
    for (int j = 0; j < grid.columns(); ++j) {
      const Complex<double> z = f(i, j);
      out.insert(out.end(), {z.re, z.im});
    }
  return out;
}

}  // namespace

TEST_CASE("one evaluation agrees with every stored intermediate") {
  for_each_run([](const kolmogorov::Params& p, const h5::Group& group, const std::string&) {
    const spectral::Grid grid = p.grid;
    const int columns = grid.columns();
    const auto compare = [&](const std::string& key, const std::vector<double>& value) {
      CAPTURE(key);
      CHECK(golden_error(value, group, key) < tolerance::kOneEvaluation);
    };
    const auto w0 = group.dataset("w0").read<double>();
    spectral::RealTransform transform(grid.n);
    const auto spectrum = transform.forward(w0);
    const std::vector<Complex<double>> w(
        reinterpret_cast<const Complex<double>*>(spectrum.data()),
        reinterpret_cast<const Complex<double>*>(spectrum.data()) + grid.modes());
    const auto at = [&](int i, int j) { return w[static_cast<std::size_t>(i * columns + j)]; };
    compare("what0", half_plane(grid, at));

    AdvectiveForm<Backend> form({}, p, 1);
    Backend{}.for_each_mode(1, grid.n, all_modes(grid),
                            kolmogorov::PrepareInputs<double, AdvectiveForm<Backend>::Inputs>{
                                form.inputs(), w.data(), grid.n, columns});
    form.evaluate();
    const auto tendency = form.tendency();
    const auto linear = form.linear();
    const auto forcing = kolmogorov::forcing<double>(p);
    compare("explicit_hat", half_plane(grid, [&](int i, int j) { return tendency(0, i, j); }));
    compare("advection_hat", half_plane(grid, [&](int i, int j) {
              return tendency(0, i, j) - Complex<double>{forcing(i, j), 0};
            }));
    compare("implicit_hat", half_plane(grid, [&](int i, int j) { return linear(i, j) * at(i, j); }));
    compare("implicit_solve_hat",
            half_plane(grid, [&](int i, int j) { return (1 / (1 - 0.5 * p.dt * linear(i, j))) * at(i, j); }));

    std::vector<double> u(grid.points()), v(grid.points());
    kolmogorov::FieldDiagnostics(grid).velocity(w0, u, v);
    compare("u", u);
    compare("v", v);
  });
}

TEST_CASE("mask, linear term and forcing are jax-cfd's") {
  for (const char* name : kFiles) {
    INFO(std::string(name));
    const h5::File file = golden(name);
    const kolmogorov::Params p = recorded_flow(file);
    const auto kept = kept_modes(p.grid.n, spectral::Dealiasing::jaxcfd);
    const auto mask = file.dataset("filter_brick_wall").read<double>();
    REQUIRE(mask.size() == p.grid.modes());
    const auto forcing = kolmogorov::forcing<double>(p);
    const auto linear = kolmogorov::linear_term<double>(p);
    std::vector<double> rate;
    int wrong = 0;
    for (int i = 0; i < p.grid.n; ++i)
      for (int j = 0; j < p.grid.columns(); ++j) {
        wrong +=
            kept.contains(i, j, p.grid.n) != (mask[static_cast<std::size_t>(i * p.grid.columns() + j)] == 1.0);
        rate.push_back(linear(i, j));
      }
    CHECK(wrong == 0);
    CHECK(golden_error(rate, file, "linear_term") < tolerance::kOneEvaluation);
    const auto forced = half_plane(p.grid, [&](int i, int j) { return Complex<double>{forcing(i, j), 0}; });
    CHECK(golden_error(forced, file, "forcing_curl_hat") < tolerance::kOneEvaluation);
    if (!has_record(file, "forcing_x")) {
      CHECK_FALSE(whole_golden());  // these have it
      continue;
    }
    spectral::RealTransform transform(p.grid.n);
    const auto velocity = transform.forward(file.dataset("forcing_x").read<double>());
    const auto curl = half_plane(p.grid, [&](int i, int j) {
      const auto z = std::complex<double>(0, -j * p.grid.unit()) *
                     velocity[static_cast<std::size_t>(i * p.grid.columns() + j)];
      return Complex<double>{z.real(), z.imag()};
    });
    CHECK(relative_error(forced, curl) < tolerance::kOneEvaluation);
  }
}

TEST_CASE("a value that is not a number is no match, wherever it stands") {
  const h5::Group group = golden("kolmogorov_n64.h5").group("ic_random");
  std::vector<double> field = group.dataset("w0").read<double>();
  CHECK(golden_error(field, group, "w0") == 0);
  const double kept = field[1];
  field[1] = NAN;  // between the points of a record that is a sample
  CHECK(golden_error(field, group, "w0") == INFINITY);
  field[1] = kept;
  field[0] = NAN;
  CHECK(golden_error(field, group, "w0") == INFINITY);
  CHECK(worst_of({0.1, NAN, 0.2}) == INFINITY);
  CHECK(worst_of({0.1, 0.3, 0.2}) == 0.3);
}

TEST_CASE("trajectories reproduce jax-cfd step by step") {
  for_each_run([](const kolmogorov::Params& p, const h5::Group& group, const std::string& label) {
    for (const char* precision : {"float64", "float32"}) {
      auto solver = make_case(p, {{"advection", "advective"}, {"precision", precision}});
      solver->set_state(0, group.dataset("w0").read<double>());
      const bool wide = std::string(precision) == "float64";
      const auto follow = [&](const h5::Group& record) {
        const auto steps = record.dataset("steps").read<std::int64_t>();
        const Record expected(record.dataset("w"));
        for (std::size_t s = 0; s < steps.size(); ++s) {
          solver->advance(steps[s] - solver->step(0));
          REQUIRE(solver->status(0).alive);
          const double error = expected.error(state_of(*solver), s);
          const bool late = steps[s] > 100;
          MESSAGE(label, " ", std::string(precision), " step ", steps[s], ": ", error);
          CHECK(error < (wide ? (late ? tolerance::kParity1000 : tolerance::kParity100)
                              : (late ? tolerance::kSingle1000 : tolerance::kSingle100)));
        }
      };
      follow(group);
      if (label.ends_with("ic_random") && has_record(group, "late")) follow(group.group("late"));
    }
  });
}

TEST_CASE("ten steps of every stepper reproduce jax-cfd") {
  for_each_run([](const kolmogorov::Params& p, const h5::Group& group, const std::string&) {
    for (const auto& [ours, theirs] :
         {std::pair{"imex_euler", "backward_forward_euler"}, std::pair{"cn_rk2", "crank_nicolson_rk2"},
          std::pair{"cn_rk3", "crank_nicolson_rk3"}, std::pair{"cn_rk4", "crank_nicolson_rk4"},
          std::pair{"imex_rk_sil3", "imex_rk_sil3"}}) {
      INFO(std::string(ours));
      auto solver = make_case(p, {{"advection", "advective"}, {"stepper.name", ours}});
      solver->set_state(0, group.dataset("w0").read<double>());
      solver->advance(10);
      CHECK(golden_error(state_of(*solver), group, std::string("after10/") + theirs) < tolerance::kParity100);
    }
  });
}

TEST_CASE("the un-symmetrised ky = 0 column of the state is jax-cfd's") {
  for_each_run([](const kolmogorov::Params& p, const h5::Group& group, const std::string& label) {
    auto engine = kolmogorov::make_fftw_engine(p, 1, 1);
    engine->set_state(0, group.dataset("w0").read<double>().data());
    const std::int64_t last = group.dataset("steps").read<std::int64_t>().back();
    engine->advance(0, 0, last);
    std::vector<double> spectrum(engine->state_bytes() / sizeof(double));
    engine->save(0, reinterpret_cast<std::byte*>(spectrum.data()));
    const double error = golden_error(spectrum, group, "what_last");
    MESSAGE(label, ": ", error);
    CHECK(error < (last > 100 ? tolerance::kParity1000 : tolerance::kParity100));
  });
}

TEST_CASE("order of accuracy and errors are those of jax-cfd's steppers") {
  const h5::File file = golden("kolmogorov_n64.h5");
  const auto dt = file.dataset("convergence/dt").read<double>();
  const auto reference = file.dataset("convergence/reference_w").read<double>();
  const auto w0 = file.dataset("ic_developed/w0").read<double>();
  struct Case {
    const char *ours, *theirs;
    double order;
  };
  for (const auto& [ours, theirs, order] :
       {Case{"cn_rk4", "crank_nicolson_rk4", 4}, Case{"cn_rk3", "crank_nicolson_rk3", 3},
        Case{"cn_rk2", "crank_nicolson_rk2", 2}, Case{"imex_rk_sil3", "imex_rk_sil3", 3}}) {
    INFO(std::string(ours));
    const auto stored = file.dataset(std::string("convergence/rel_l2/") + theirs).read<double>();
    std::vector<double> error;
    for (std::size_t k = 0; k < dt.size(); ++k) {
      kolmogorov::Params p = recorded_flow(file);
      p.dt = dt[k];
      auto solver = make_case(p, {{"advection", "advective"}, {"stepper.name", ours}, {"max_courant", "100"}});
      solver->set_state(0, w0);
      solver->advance(std::lround(0.4 / dt[k]));
      error.push_back(relative_error(state_of(*solver), reference));
      CHECK(error[k] == test::relative(stored[k]).epsilon(tolerance::kConvergenceTable));
    }
    // Second and third refinement: beyond the coarsest steps, before the reference's own error shows.
    for (std::size_t k = 1; k < 3; ++k) {
      MESSAGE(std::string(ours), " order ", std::log2(error[k] / error[k + 1]));
      CHECK(std::abs(std::log2(error[k] / error[k + 1]) - order) <
            (order == 4 ? tolerance::kOrderRk4 : tolerance::kOrder));
    }
  }
}

TEST_CASE("coarsening agrees with jax-cfd's downsample_spectral and with cell means") {
  const h5::File file = golden_data("kolmogorov_downsample.h5");
  const auto fine = file.dataset("w_fine").read<double>();
  const auto expected = file.dataset("w_spectral").read<double>();
  CHECK(relative_error(spectral::resample(fine, 256, 64), expected) < tolerance::kOneEvaluation);
  spectral::RealTransform coarse(64);
  // The coarse field's transform is the stored spectrum but for its Nyquist row and column, of which the
  // inverse transform keeps the Hermitian part.
  const auto stored = file.dataset("what_spectral").read<double>();
  const auto spectrum = coarse.forward(expected);
  double worst = 0;
  for (int i = 0; i < 64; ++i)
    for (int j = 1; j < 32; ++j) {
      if (i == 32) continue;
      const auto at = static_cast<std::size_t>(i * 33 + j);
      worst =
          worst_of({worst, std::abs(spectrum[at] - std::complex<double>(stored[2 * at], stored[2 * at + 1]))});
    }
  CHECK(worst < 1e-9);

  kolmogorov::Params p;
  p.grid.n = 256;
  auto solver = make_case(p, {});
  solver->set_state(0, fine);
  std::vector<float> frame(64 * 64);
  solver->frame(0, {4, Coarsening::spectral}, frame);
  CHECK(relative_error(frame, expected) < tolerance::kStoredSingle);
  solver->frame(0, {4, Coarsening::block_mean}, frame);
  CHECK(relative_error(frame, file.dataset("w_block").read<double>()) < tolerance::kStoredSingle);
}

TEST_CASE("spectra in both conventions agree with numpy") {
  const h5::File file = golden_data("kolmogorov_n64.h5");
  const auto w = file.dataset("ic_developed/w0").read<double>();
  kolmogorov::KolmogorovSpectrum spectrum(64);
  CHECK(relative_error(spectrum.shells(w).value, file.dataset("spectra/shells").read<double>()) < 1e-13);
  const auto paper = spectrum.paper(w);
  CHECK(relative_error(paper.k, file.dataset("spectra/paper_k").read<double>()) < 1e-15);
  CHECK(relative_error(paper.value, file.dataset("spectra/paper").read<double>()) < 1e-13);
  const auto normalised = spectrum.paper(std::vector<float>(w.begin(), w.end()), 4.44);
  CHECK(normalised.value[3] == test::relative(paper.value[3] / (4.44 * 4.44)).epsilon(1e-6));
}

TEST_CASE("staggered velocity fields: projection, scaling and curl are jax-cfd's") {
  for (const char* name : kFiles) {
    INFO(std::string(name));
    const h5::File file = golden(name);
    if (!has_record(file, "ic_random/u0_staggered")) {
      CHECK(recorded_flow(file).grid.n == 128);  // of the reduced files, that of 64^2 has it
      CHECK_FALSE(whole_golden());
      continue;
    }
    const spectral::Grid grid = recorded_flow(file).grid;
    kolmogorov::StaggeredVelocity velocity{file.dataset("ic_random/u0_staggered").read<double>(),
                                           file.dataset("ic_random/v0_staggered").read<double>()};
    const auto u0 = velocity.u, v0 = velocity.v;
    CHECK(relative_error(curl(velocity, grid), file.dataset("ic_random/w0").read<double>()) <
          tolerance::kOneEvaluation);
    // The stored field is the fixed point of projection and scaling; a gradient added to it is removed again.
    std::size_t at = 0;
    for (int i = 0; i < grid.n; ++i)
      for (int j = 0; j < grid.n; ++j, ++at) {
        const auto phi = [&](int a, int b) {
          return std::cos(grid.spacing() * (3 * a + 5 * b)) * grid.spacing();
        };
        velocity.u[at] += (phi(i + 1, j) - phi(i, j)) / grid.spacing();
        velocity.v[at] += (phi(i, j + 1) - phi(i, j)) / grid.spacing();
      }
    CHECK(max_divergence(velocity, grid) > 0.1);
    project(velocity, grid);
    scale_to_max_speed(velocity, 7);
    CHECK(max_divergence(velocity, grid) < 1e-12);
    CHECK(relative_error(velocity.u, u0) < 1e-13);
    CHECK(relative_error(velocity.v, v0) < 1e-13);
  }
}
