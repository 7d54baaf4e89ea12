#include "bench/fft_floor.hpp"

#include <fftw3.h>

#include <complex>
#include <cstring>
#include <ctime>
#include <functional>
#include <memory>
#include <type_traits>
#include <vector>

namespace sns::bench {
namespace {

/// FFTW's double and single interfaces under one name.
template <class Real>
struct Fftw;
template <>
struct Fftw<double> {
  using Plan = fftw_plan;
  using Complex = fftw_complex;
  static constexpr auto execute = fftw_execute;
  static constexpr auto destroy = fftw_destroy_plan;
  static constexpr auto malloc = fftw_malloc;
  static constexpr auto free = fftw_free;
  static constexpr auto dft_2d = fftw_plan_dft_2d;
  static constexpr auto r2c_2d = fftw_plan_dft_r2c_2d;
  static constexpr auto c2r_2d = fftw_plan_dft_c2r_2d;
  static constexpr auto many = fftw_plan_many_dft;
  static constexpr auto forget = fftw_forget_wisdom;
};
template <>
struct Fftw<float> {
  using Plan = fftwf_plan;
  using Complex = fftwf_complex;
  static constexpr auto execute = fftwf_execute;
  static constexpr auto destroy = fftwf_destroy_plan;
  static constexpr auto malloc = fftwf_malloc;
  static constexpr auto free = fftwf_free;
  static constexpr auto dft_2d = fftwf_plan_dft_2d;
  static constexpr auto r2c_2d = fftwf_plan_dft_r2c_2d;
  static constexpr auto c2r_2d = fftwf_plan_dft_c2r_2d;
  static constexpr auto many = fftwf_plan_many_dft;
  static constexpr auto forget = fftwf_forget_wisdom;
};

double thread_seconds() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

template <class Real>
using PlanPointer = std::unique_ptr<std::remove_pointer_t<typename Fftw<Real>::Plan>,
                                    std::remove_const_t<decltype(Fftw<Real>::destroy)>>;

/// Plans `attempts` times from scratch and keeps the plan that runs fastest.
template <class Real>
PlanPointer<Real> best_plan(const std::function<typename Fftw<Real>::Plan(unsigned)>& make, int attempts = 3) {
  PlanPointer<Real> best(nullptr, Fftw<Real>::destroy);
  double best_time = 1e30;
  for (int attempt = 0; attempt < attempts; ++attempt) {
    Fftw<Real>::forget();
    PlanPointer<Real> plan(make(FFTW_MEASURE), Fftw<Real>::destroy);
    Fftw<Real>::execute(plan.get());
    for (int repeat = 0; repeat < 5; ++repeat) {
      const double start = thread_seconds();
      for (int k = 0; k < 3; ++k) Fftw<Real>::execute(plan.get());
      const double time = thread_seconds() - start;
      if (time < best_time) {
        best_time = time;
        best = std::move(plan);
        break;
      }
    }
  }
  return best;
}

}  // namespace

template <class Real>
void transforms_of_a_step(benchmark::State& state, Transforms variant) {
  using F = Fftw<Real>;
  using C = typename F::Complex;
  const int n = static_cast<int>(state.range(0));
  const int kept = 2 * ((2 * n / 3) / 2) + 1;  // columns -n/3..n/3
  const std::size_t points = static_cast<std::size_t>(n) * static_cast<std::size_t>(n);
  auto* a = static_cast<C*>(F::malloc(sizeof(C) * points));
  auto* b = static_cast<C*>(F::malloc(sizeof(C) * points));
  std::memset(a, 0, sizeof(C) * points);
  std::memset(b, 0, sizeof(C) * points);

  std::vector<PlanPointer<Real>> stage;  // the plans of one stage, in order
  const auto add = [&](const std::function<typename F::Plan(unsigned)>& make) {
    stage.push_back(best_plan<Real>(make));
  };
  switch (variant) {
    case Transforms::real:
      for (int k = 0; k < 2; ++k)
        add([&](unsigned f) { return F::c2r_2d(n, n, a, reinterpret_cast<Real*>(b), f); });
      for (int k = 0; k < 2; ++k)
        add([&](unsigned f) { return F::r2c_2d(n, n, reinterpret_cast<Real*>(b), a, f); });
      break;
    case Transforms::packed:
      add([&](unsigned f) { return F::dft_2d(n, n, a, b, FFTW_BACKWARD, f); });
      add([&](unsigned f) { return F::dft_2d(n, n, b, a, FFTW_FORWARD, f); });
      break;
    case Transforms::packed_pruned: {
      const int length[1] = {n};
      // Columns that the 2/3 rule keeps, along the first axis; then all rows. Forward in the opposite order.
      const auto columns = [&](int sign, C* x, unsigned f) {
        return F::many(1, length, kept, x, nullptr, n, 1, x, nullptr, n, 1, sign, f);
      };
      const auto rows = [&](int sign, C* x, unsigned f) {
        return F::many(1, length, n, x, nullptr, 1, n, x, nullptr, 1, n, sign, f);
      };
      add([&](unsigned f) { return columns(FFTW_BACKWARD, a, f); });
      add([&](unsigned f) { return rows(FFTW_BACKWARD, a, f); });
      add([&](unsigned f) { return rows(FFTW_FORWARD, a, f); });
      add([&](unsigned f) { return columns(FFTW_FORWARD, a, f); });
      break;
    }
  }
  std::memset(a, 0,
              sizeof(C) * points);  // planning left rubbish behind; zeros neither overflow nor go subnormal
  std::memset(b, 0, sizeof(C) * points);
  for (auto _ : state) {
    for (int s = 0; s < 5; ++s)
      for (const auto& plan : stage) F::execute(plan.get());
    benchmark::ClobberMemory();
  }
  stage.clear();
  F::free(a);
  F::free(b);
}

template void transforms_of_a_step<double>(benchmark::State&, Transforms);
template void transforms_of_a_step<float>(benchmark::State&, Transforms);

}  // namespace sns::bench
