#include "bench/fft_floor.hpp"

#include <fftw3.h>

#include <algorithm>
#include <complex>
#include <cstring>
#include <ctime>
#include <functional>
#include <limits>
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
  static constexpr auto many_c2r = fftw_plan_many_dft_c2r;
  static constexpr auto many_r2c = fftw_plan_many_dft_r2c;
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
  static constexpr auto many_c2r = fftwf_plan_many_dft_c2r;
  static constexpr auto many_r2c = fftwf_plan_many_dft_r2c;
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

/// The least time of a few runs in a row, which leaves out what disturbed the others.
template <class Real>
double shortest_time(typename Fftw<Real>::Plan plan) {
  double shortest = std::numeric_limits<double>::infinity();
  for (int repeat = 0; repeat < 5; ++repeat) {
    const double start = thread_seconds();
    for (int k = 0; k < 3; ++k) Fftw<Real>::execute(plan);
    shortest = std::min(shortest, thread_seconds() - start);
  }
  return shortest;
}

/// Plans `attempts` times from scratch and keeps the plan that runs fastest. `clear` empties the arrays, in
/// which planning leaves numbers that are slow to compute with.
template <class Real>
PlanPointer<Real> best_plan(const std::function<typename Fftw<Real>::Plan(unsigned)>& make,
                            const std::function<void()>& clear, int attempts = 3) {
  PlanPointer<Real> best(nullptr, Fftw<Real>::destroy);
  double best_time = std::numeric_limits<double>::infinity();
  for (int attempt = 0; attempt < attempts; ++attempt) {
    Fftw<Real>::forget();
    PlanPointer<Real> plan(make(FFTW_MEASURE), Fftw<Real>::destroy);
    clear();
    Fftw<Real>::execute(plan.get());  // warms the caches
    const double time = shortest_time<Real>(plan.get());
    if (time < best_time) {
      best_time = time;
      best = std::move(plan);
    }
  }
  return best;
}

/// Two arrays and the plans between them that make up a step.
template <class Real>
class Floor {
 public:
  using F = Fftw<Real>;
  using C = typename F::Complex;

  explicit Floor(int n) : n_(n), points_(static_cast<std::size_t>(n) * static_cast<std::size_t>(n)) {
    a_ = static_cast<C*>(F::malloc(sizeof(C) * points_));
    b_ = static_cast<C*>(F::malloc(sizeof(C) * points_));
    clear();
  }
  ~Floor() {
    plans_.clear();
    F::free(a_);
    F::free(b_);
  }
  Floor(const Floor&) = delete;
  Floor& operator=(const Floor&) = delete;

  void add(const std::function<typename F::Plan(unsigned)>& make) {
    plans_.push_back(best_plan<Real>(make, [this] { clear(); }));
  }
  void complex_back() {
    add([this](unsigned f) { return F::dft_2d(n_, n_, a_, b_, FFTW_BACKWARD, f); });
  }
  void complex_forward() {
    add([this](unsigned f) { return F::dft_2d(n_, n_, b_, a_, FFTW_FORWARD, f); });
  }
  void real_back() {
    add([this](unsigned f) { return F::c2r_2d(n_, n_, a_, reinterpret_cast<Real*>(b_), f); });
  }
  void real_forward() {
    add([this](unsigned f) { return F::r2c_2d(n_, n_, reinterpret_cast<Real*>(b_), a_, f); });
  }
  /// `count` transforms along the rows, or the first columns of rows `row` elements apart, of array a.
  void rows(int count, int sign) { lines(count, 1, n_, sign); }
  void columns(int count, int row, int sign) { lines(count, row, 1, sign); }
  /// Rows of half spectra in array a to rows of reals in b, and back.
  void real_rows_back() {
    add([this](unsigned f) {
      return F::many_c2r(1, &n_, n_, a_, nullptr, 1, n_ / 2 + 1, reinterpret_cast<Real*>(b_), nullptr, 1, n_,
                         f);
    });
  }
  void real_rows_forward() {
    add([this](unsigned f) {
      return F::many_r2c(1, &n_, n_, reinterpret_cast<Real*>(b_), nullptr, 1, n_, a_, nullptr, 1, n_ / 2 + 1,
                         f);
    });
  }

  /// All plans in order, `times` over.
  void time(benchmark::State& state, int times) {
    clear();  // planning left rubbish behind; zeros neither overflow nor go subnormal
    for (auto _ : state) {
      for (int s = 0; s < times; ++s)
        for (const auto& plan : plans_) F::execute(plan.get());
      benchmark::ClobberMemory();
    }
  }

 private:
  void lines(int count, int stride, int distance, int sign) {
    add([=, this](unsigned f) {
      return F::many(1, &n_, count, a_, nullptr, stride, distance, a_, nullptr, stride, distance, sign, f);
    });
  }
  void clear() {
    std::memset(a_, 0, sizeof(C) * points_);
    std::memset(b_, 0, sizeof(C) * points_);
  }

  int n_;
  std::size_t points_;
  C *a_, *b_;
  std::vector<PlanPointer<Real>> plans_;
};

}  // namespace

template <class Real>
void transforms_of_a_step(benchmark::State& state, Transforms variant) {
  const int n = static_cast<int>(state.range(0));
  const int kept = 2 * ((2 * n / 3) / 2) + 1;  // columns -n/3..n/3
  Floor<Real> floor(n);
  switch (variant) {
    case Transforms::real:
      for (int k = 0; k < 2; ++k) floor.real_back();
      for (int k = 0; k < 2; ++k) floor.real_forward();
      break;
    case Transforms::packed:
      floor.complex_back();
      floor.complex_forward();
      break;
    case Transforms::packed_pruned:
      // Columns that the 2/3 rule keeps, along the first axis; then all rows. Forward in the opposite order.
      floor.columns(kept, n, FFTW_BACKWARD);
      floor.rows(n, FFTW_BACKWARD);
      floor.rows(n, FFTW_FORWARD);
      floor.columns(kept, n, FFTW_FORWARD);
      break;
    case Transforms::real_pruned:
      for (int k = 0; k < 2; ++k) {
        floor.columns(n / 3 + 1, n / 2 + 1, FFTW_BACKWARD);
        floor.real_rows_back();
      }
      for (int k = 0; k < 2; ++k) {
        floor.real_rows_forward();
        floor.columns(n / 3 + 1, n / 2 + 1, FFTW_FORWARD);
      }
      break;
  }
  floor.time(state, 5);
}

template <class Real>
void transforms_of_a_two_layer_step(benchmark::State& state, Transforms variant) {
  Floor<Real> floor(static_cast<int>(state.range(0)));
  const bool real = variant == Transforms::real;
  for (int k = 0; k < (real ? 6 : 3); ++k) real ? floor.real_back() : floor.complex_back();
  for (int k = 0; k < (real ? 4 : 2); ++k) real ? floor.real_forward() : floor.complex_forward();
  floor.time(state, 1);
}

template void transforms_of_a_step<double>(benchmark::State&, Transforms);
template void transforms_of_a_step<float>(benchmark::State&, Transforms);
template void transforms_of_a_two_layer_step<double>(benchmark::State&, Transforms);
template void transforms_of_a_two_layer_step<float>(benchmark::State&, Transforms);

}  // namespace sns::bench
