#include "solvers/spectral/fftw_backend.hpp"

#include "core/error.hpp"

#include <fftw3.h>

#include <mutex>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace sns::spectral {
namespace {

std::mutex planner;

/// FFTW's functions of one precision.
template <class Real>
struct Api;
template <>
struct Api<double> {
  using Plan = fftw_plan;
  using Z = fftw_complex;
  static constexpr auto r2c = fftw_plan_dft_r2c_2d;
  static constexpr auto c2r = fftw_plan_dft_c2r_2d;
  static constexpr auto run_r2c = fftw_execute_dft_r2c;
  static constexpr auto run_c2r = fftw_execute_dft_c2r;
  static constexpr auto destroy = fftw_destroy_plan;
};
template <>
struct Api<float> {
  using Plan = fftwf_plan;
  using Z = fftwf_complex;
  static constexpr auto r2c = fftwf_plan_dft_r2c_2d;
  static constexpr auto c2r = fftwf_plan_dft_c2r_2d;
  static constexpr auto run_r2c = fftwf_execute_dft_r2c;
  static constexpr auto run_c2r = fftwf_execute_dft_c2r;
  static constexpr auto destroy = fftwf_destroy_plan;
};

unsigned planning_flag(FftPlanning planning) {
  return planning == FftPlanning::measure ? FFTW_MEASURE : FFTW_ESTIMATE;
}

template <class Real>
typename Api<Real>::Z* as_fftw(Complex<Real>* z) {
  return reinterpret_cast<typename Api<Real>::Z*>(z);
}

template <class Plan>
void* checked(Plan plan, int n) {
  require(plan != nullptr, "FFTW could not plan a transform of {} points", n);
  return plan;
}

}  // namespace

template <class Real>
FftwPlan<Real> FftwPlan<Real>::real_to_complex_2d(int n, FftPlanning planning) {
  const Grid grid{n, 1};
  HostBuffer<Real> in(grid.points());
  HostBuffer<Complex<Real>> out(grid.modes());
  const std::lock_guard lock(planner);
  return FftwPlan(checked(
      Api<Real>::r2c(n, n, in.data(), as_fftw(out.data()), planning_flag(planning) | FFTW_DESTROY_INPUT), n));
}

template <class Real>
FftwPlan<Real> FftwPlan<Real>::complex_to_real_2d(int n, FftPlanning planning) {
  const Grid grid{n, 1};
  HostBuffer<Complex<Real>> in(grid.modes());
  HostBuffer<Real> out(grid.points());
  const std::lock_guard lock(planner);
  return FftwPlan(checked(
      Api<Real>::c2r(n, n, as_fftw(in.data()), out.data(), planning_flag(planning) | FFTW_DESTROY_INPUT), n));
}

template <class Real>
FftwPlan<Real>::~FftwPlan() {
  if (plan_ == nullptr) return;
  const std::lock_guard lock(planner);
  Api<Real>::destroy(static_cast<typename Api<Real>::Plan>(plan_));
}

template <class Real>
void FftwPlan<Real>::execute(Real* in, Complex<Real>* out) const {
  Api<Real>::run_r2c(static_cast<typename Api<Real>::Plan>(plan_), in, as_fftw(out));
}
template <class Real>
void FftwPlan<Real>::execute(Complex<Real>* in, Real* out) const {
  Api<Real>::run_c2r(static_cast<typename Api<Real>::Plan>(plan_), as_fftw(in), out);
}

template class FftwPlan<float>;
template class FftwPlan<double>;

#if defined(__SSE2__)
FlushDenormals::FlushDenormals() : saved_(_mm_getcsr()) {
  constexpr unsigned kFlushToZero = 0x8000, kDenormalsAreZero = 0x0040;
  _mm_setcsr(saved_ | kFlushToZero | kDenormalsAreZero);
}
FlushDenormals::~FlushDenormals() {
  _mm_setcsr(saved_);
}
#else
FlushDenormals::FlushDenormals() = default;
FlushDenormals::~FlushDenormals() = default;
#endif

}  // namespace sns::spectral
