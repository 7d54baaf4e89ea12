// The spectral engine's parts: masks, steppers, kernels, spectra, resampling.
#include "solvers/spectral/batch_engine.hpp"
#include "solvers/spectral/fftw_backend.hpp"
#include "solvers/spectral/real_transform.hpp"
#include "solvers/spectral/spectra.hpp"
#include "solvers/spectral/stepper.hpp"
#include "tests/support/kolmogorov_cases.hpp"
#include "tests/support/relative.hpp"

#include "core/random.hpp"
#include "tests/support/worst_of.hpp"

#include <doctest/doctest.h>

#include <numeric>

using namespace sns;
using namespace sns::spectral;
using namespace sns::test;

namespace {

std::vector<double> noise(std::size_t size, std::uint64_t seed = 3) {
  std::vector<double> values(size);
  RandomStream(seed, Purpose::initial_condition).fill_normal(std::span<double>(values));
  return values;
}

std::vector<Complex<double>> complex_noise(std::size_t size) {
  const auto values = noise(2 * size);
  std::vector<Complex<double>> z(size);
  for (std::size_t i = 0; i < size; ++i) z[i] = {values[2 * i], values[2 * i + 1]};
  return z;
}

struct Squares {
  template <class T>
  Complex<T> operator()(T a, T b) const {
    return {a * a - b * b, a * b + b * a};
  }
};

}  // namespace

TEST_CASE("the brick wall keeps jax-cfd's rows and columns") {
  struct Row {
    int n, low, high, columns;
  };
  for (const auto& [n, low, high, columns] :
       {Row{32, 10, 11, 11}, Row{48, 16, 16, 16}, Row{64, 21, 21, 22}, Row{96, 32, 32, 32},
        Row{128, 42, 43, 43}, Row{256, 85, 85, 86}, Row{512, 170, 171, 171}}) {
    CAPTURE(n);
    const KeptModes kept = kept_modes(n, Dealiasing::jaxcfd);
    CHECK(kept.low == low);
    CHECK(kept.high == high);
    CHECK(kept.columns == columns);
    const KeptModes symmetric = kept_modes(n, Dealiasing::symmetric);
    CHECK(symmetric.high == symmetric.low - 1);
    CHECK(symmetric.contains(0, 0, n));
    CHECK_FALSE(symmetric.contains(symmetric.low, 0, n));
    CHECK_FALSE(symmetric.contains(n - symmetric.low, 0, n));
    CHECK(symmetric.contains(n - symmetric.low + 1, columns - 1, n));
    CHECK_FALSE(symmetric.contains(0, columns, n));
    // No product of two kept modes may alias onto a kept one.
    for (int p = -kept.high; p < kept.low; ++p)
      for (int q = -kept.high; q < kept.low; ++q) {
        const int sum = p + q, folded = sum < -n / 2 ? sum + n : sum >= n / 2 ? sum - n : sum;
        if (sum != folded) CHECK_FALSE(kept.has_row((folded + n) % n, n));
      }
    CHECK(3 * (kept.columns - 1) < n);
  }
}

TEST_CASE("low-storage stages are consistent") {
  for (const StepperName name :
       {StepperName::cn_rk4, StepperName::cn_rk3, StepperName::cn_rk2, StepperName::imex_euler}) {
    // y' = 1 with carry and weights must move by exactly one step; y' = x y must match exp(x) to the order of
    // Crank-Nicolson (2) or Euler (1).
    double h = 0, y = 0;
    for (const LowStorageStage& stage : low_storage_stages(name)) {
      h = 1 + stage.carry * h;
      y = y + stage.weight * h;
    }
    CHECK(y == test::relative(1).epsilon(1e-9));
  }
  for (const StepperName name : {StepperName::cn_rk4, StepperName::cn_rk3, StepperName::cn_rk2,
                                 StepperName::imex_euler, StepperName::imex_rk_sil3}) {
    const auto error = [&](double x) { return std::abs(linear_amplification(name, x) - std::exp(x)); };
    const double order = std::log2(error(-0.02) / error(-0.01)) - 1;
    CHECK(order == test::relative(name == StepperName::imex_euler ? 1 : 2).epsilon(0.03));
    CHECK(std::abs(linear_amplification(name, -1e9)) <= 1.0 + 1e-6);
    CHECK(linear_amplification(name, 0) == 1.0);
  }
}

TEST_CASE("turns up to which the explicit parts amplify nothing") {
  CHECK(stable_turn(StepperName::cn_rk3) == test::relative(std::sqrt(3.0)).epsilon(1e-9));
  CHECK(stable_turn(StepperName::imex_rk_sil3) == test::relative(std::sqrt(3.0)).epsilon(1e-9));
  const double rk4 = stable_turn(StepperName::cn_rk4);
  CHECK(rk4 ==
        test::relative(3.34).epsilon(1e-3));  // Carpenter and Kennedy's five stages; the classical four: 2.83
  CHECK(explicit_amplification(StepperName::cn_rk4, 0.99 * rk4) < 1);
  CHECK(explicit_amplification(StepperName::cn_rk4, 1.01 * rk4) > 1);
  const double turn = 0.1;
  CHECK(stable_turn(StepperName::cn_rk2) == 0);
  CHECK(explicit_amplification(StepperName::cn_rk2, turn) ==
        test::relative(std::sqrt(1 + std::pow(turn, 4) / 4)).epsilon(1e-12));
  CHECK(stable_turn(StepperName::imex_euler) == 0);
  CHECK(explicit_amplification(StepperName::imex_euler, turn) ==
        test::relative(std::sqrt(1 + turn * turn)).epsilon(1e-12));
}

TEST_CASE("pairs go to physical space and back as two real transforms would") {
  for (const int n : {8, 10, 12, 14, 16, 30, 32, 48, 64, 66, 128}) {
    for (const Dealiasing rule : {Dealiasing::jaxcfd, Dealiasing::symmetric}) {
      CAPTURE(n);
      const Grid grid{n, 1};
      const KeptModes kept = kept_modes(n, rule);
      const auto values = complex_noise(static_cast<std::size_t>(n * 2 * kept.columns));
      const auto value = [&](int field, int i, int j) {
        return values[static_cast<std::size_t>((i * 2 + field) * kept.columns + j)];
      };
      FftwBackend<double>::PairTransforms transforms({}, n, kept, 1);
      const auto pairs = transforms.spectra();
      for (int i = 0; i < n; ++i)
        for (int j = 0; j < kept.columns; ++j) pairs.set(0, i, j, value(0, i, j), value(1, i, j));

      // Reference: whole half spectra through real transforms.
      HostBuffer<Complex<double>> spectra(2 * grid.modes());
      HostBuffer<double> fields(2 * grid.points());
      for (int field = 0; field < 2; ++field)
        for (int i = 0; i < n; ++i)
          for (int j = 0; j < kept.columns; ++j)
            if (kept.has_row(i, n))
              spectra.data()[field * grid.modes() + i * grid.columns() + j] = value(field, i, j);
      FftwBackend<double>::RealTransforms real({}, n, 2, Direction::inverse),
          back({}, n, 2, Direction::forward);
      real.inverse(spectra.data(), fields.data(), 2);
      for (std::size_t p = 0; p < grid.points(); ++p) {
        double &a = fields.data()[p], &b = fields.data()[grid.points() + p];
        const Complex<double> z = Squares{}(a, b);
        a = z.re;
        b = z.im;
      }
      back.forward(fields.data(), spectra.data(), 2);

      transforms.apply(1, Squares{});
      double worst = 0, largest = 0;
      for (int field = 0; field < 2; ++field)
        for (int i = 0; i < n; ++i)
          for (int j = 0; j < kept.columns; ++j) {
            if (!kept.has_row(i, n)) continue;
            const Complex<double> want = spectra.data()[field * grid.modes() + i * grid.columns() + j];
            const Complex<double> got = field == 0 ? pairs.get(0, i, j).a : pairs.get(0, i, j).b;
            worst = test::worst_of({worst, std::abs(want.re - got.re), std::abs(want.im - got.im)});
            largest = std::max({largest, std::abs(want.re), std::abs(want.im)});
          }
      CHECK(worst < tolerance::kRounding * largest);
    }
  }
}

TEST_CASE("symmetrised edge columns give the same real field") {
  // What a transform that demands Hermitian input is fed, checked with one that does not.
  const Grid grid{32, 1};
  const auto values = complex_noise(2 * grid.modes());
  HostBuffer<Complex<double>> plain(values.size()), hermitian(values.size());
  std::copy(values.begin(), values.end(), plain.data());
  std::copy(values.begin(), values.end(), hermitian.data());
  const FftwBackend<double> backend;
  backend.for_each(2 * static_cast<std::size_t>(grid.columns()),
                   SymmetriseEdgeColumns<double>{hermitian.data(), grid.n});
  for (int b = 0; b < 2; ++b)
    for (int i = 0; i < grid.n; ++i)
      for (const int j : {0, grid.n / 2}) {
        const auto* spectrum = hermitian.data() + b * grid.modes();
        const auto z = spectrum[i * grid.columns() + j],
                   mirror = spectrum[(grid.n - i) % grid.n * grid.columns() + j];
        CHECK(z.re == mirror.re);
        CHECK(z.im == -mirror.im);
      }
  std::vector<double> a(2 * grid.points()), b(2 * grid.points());
  HostBuffer<double> out(2 * grid.points());
  FftwBackend<double>::RealTransforms transforms(backend, grid.n, 2, Direction::inverse);
  transforms.inverse(plain.data(), out.data(), 2);
  a.assign(out.data(), out.data() + out.size());
  transforms.inverse(hermitian.data(), out.data(), 2);
  b.assign(out.data(), out.data() + out.size());
  CHECK(relative_error(a, b) < 1e-15);
}

TEST_CASE("resampling keeps what both grids resolve") {
  const int n = 32, m = 48;
  const auto field = noise(n * n);
  const auto fine = resample(field, n, m);
  CHECK(relative_error(resample(fine, m, n, {.filtered = true}), resample(field, n, n)) >
        1e-3);  // the Nyquist modes are gone
  // A band-limited field survives the way up and down unchanged, and takes the right values in between.
  for (const double offset : {0.0, 0.5}) {
    CAPTURE(offset);
    const auto wave = [offset](int size) {
      std::vector<double> values;
      for (int i = 0; i < size; ++i)
        for (int j = 0; j < size; ++j)
          values.push_back(
              std::cos(6.283185307179586 * (3.0 * (i + offset) - 5.0 * (j + offset)) / size + 0.3));
      return values;
    };
    CHECK(relative_error(resample(wave(n), n, m, {.offset = offset}), wave(m)) < tolerance::kRounding);
    CHECK(relative_error(resample(wave(m), m, n, {.filtered = true, .offset = offset}), wave(n)) <
          tolerance::kRounding);
    if (offset == 0) CHECK(relative_error(resample(wave(m), m, n), wave(n)) < tolerance::kRounding);
  }
  // "filtered" leaves no power at the coarse Nyquist wavenumber; the plain rule does.
  RealTransform coarse(n);
  for (const bool filtered : {false, true}) {
    const auto reduced = resample(noise(m * m), m, n, {.filtered = filtered});
    const auto spectrum = coarse.forward(reduced);
    double nyquist = 0;
    for (int j = 0; j <= n / 2; ++j)
      nyquist += std::abs(spectrum[static_cast<std::size_t>(n / 2 * (n / 2 + 1) + j)]);
    CHECK((nyquist < 1e-10) == filtered);
  }
}

TEST_CASE("a finer grid interpolates all of a field, its Nyquist modes included") {
  // Of a grid three times as fine, every third point is one of the field's own, from the first or the second
  // on.
  const int n = 16;
  const auto field = noise(n * n);
  for (const double offset : {0.0, 0.5}) {
    CAPTURE(offset);
    const int first = offset == 0 ? 0 : 1;
    const auto fine = resample(field, n, 3 * n, {.offset = offset});
    std::vector<double> shared;
    for (int i = 0; i < n; ++i)
      for (int j = 0; j < n; ++j)
        shared.push_back(fine[static_cast<std::size_t>((3 * i + first) * 3 * n + 3 * j + first)]);
    CHECK(relative_error(shared, field) < tolerance::kRounding);
  }
  // The next finer grid shares points (0, 0) and (n/2, n/2) with it.
  const auto next = resample(field, n, n + 2);
  CHECK(next[0] == test::relative(field[0]).epsilon(tolerance::kRounding));
  CHECK(next[static_cast<std::size_t>((n / 2 + 1) * (n + 2) + n / 2 + 1)] ==
        test::relative(field[static_cast<std::size_t>(n / 2 * n + n / 2)]).epsilon(tolerance::kRounding));
  CHECK_THROWS_WITH_AS(resample(field, n, 8, {.offset = 0.5}), doctest::Contains("Nyquist"), Error);
}

TEST_CASE("cells are averaged") {
  std::vector<double> in(2 * 4 * 4), out(2 * 2 * 2);
  std::iota(in.begin(), in.end(), 0.0);
  FftwBackend<double>{}.for_each(out.size(), BlockMean<double>{in.data(), out.data(), 4, 2});
  CHECK(out == std::vector<double>{2.5, 4.5, 10.5, 12.5, 18.5, 20.5, 26.5, 28.5});
}

TEST_CASE("maxima report what is not finite") {
  std::vector<double> u{1, -3, 2, 0}, v{0, 4, 1, 0};
  const SquaredSpeed<double> squared{u.data(), v.data(), 2};
  FftwBackend<double>::Maxima maxima({}, 3);
  double out[3];
  maxima.find(1, 2, 2, squared);
  maxima.read(3, out);
  CHECK(out[0] == 0);
  CHECK(out[1] == 25);
  CHECK(out[2] == 5);
  for (const double bad : {NAN, INFINITY, -INFINITY}) {
    v[2] = bad;
    maxima.find(0, 2, 2, squared);
    maxima.read(2, out);
    CHECK(out[0] == 25);
    CHECK(std::isnan(out[1]));
  }
}

TEST_CASE("shells count every mode of the full plane once") {
  const Grid grid{16, 4.0};
  std::vector<double> density(grid.modes(), 1.0);
  const Spectrum shells = shell_spectrum(density, grid.n, grid.unit());
  CHECK(shells.value.size() == 9);
  CHECK(shells.value[0] == 1);
  CHECK(shells.value[1] == 8);   // (+-1, 0), (0, +-1), (+-1, +-1)
  CHECK(shells.value[2] == 12);  // |k| = 2 (4), sqrt 5 (8); sqrt 8 rounds to 3
  CHECK(shells.k[3] == test::relative(3 * 2 * 3.141592653589793 / 4));
  // Up to the corners, |k| = sqrt(128), nothing is left out; the first shells are the same.
  const Spectrum all = shell_spectrum(density, grid.n, grid.unit(), Shells::to_corners);
  CHECK(all.value.size() == 12);
  CHECK(all.k == shell_wavenumbers(grid.n, grid.unit(), Shells::to_corners));
  CHECK(std::equal(shells.value.begin(), shells.value.end(), all.value.begin()));
  CHECK(std::accumulate(all.value.begin(), all.value.end(), 0.0) == 256);
  CHECK_THROWS_WITH_AS(shell_spectrum(density, 14, 1.0), doctest::Contains("is not 14 x 8"), Error);
}

TEST_CASE("buffers lie apart, so that no core fetches ahead what another one writes") {
  struct Place {
    const std::byte *begin, *end;
  };
  std::vector<HostBuffer<std::byte>> buffers;
  std::vector<Place> places;
  for (const std::size_t size : {64u, 4096u, 65536u, 65536u, 100u, 300000u, 65536u}) {
    HostBuffer<std::byte>& buffer = buffers.emplace_back(size);
    places.push_back({buffer.data(), buffer.data() + size});
    CHECK(reinterpret_cast<std::uintptr_t>(buffer.data()) % 64 == 0);
    CHECK(std::all_of(buffer.data(), buffer.data() + size, [](std::byte x) { return x == std::byte{0}; }));
  }
  std::sort(places.begin(), places.end(), [](Place a, Place b) { return a.begin < b.begin; });
  for (std::size_t i = 1; i < places.size(); ++i)
    CHECK(places[i].begin - places[i - 1].end >= static_cast<std::ptrdiff_t>(kBufferGap));
}

TEST_CASE("denormal numbers are flushed within a session only") {
  volatile double tiny = 1e-310;
  {
    const FlushDenormals session(0);
    CHECK(tiny * 1.0 == 0.0);
  }
  CHECK(tiny * 1.0 != 0.0);
}
