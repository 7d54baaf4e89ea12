#pragma once
// Arithmetic that host and device kernels share.
#include <cstddef>

#ifdef __CUDACC__
#define SNS_HD __host__ __device__
#define SNS_ALIGN_PAIR(Real) alignas(2 * sizeof(Real))
#else
#define SNS_HD
#define SNS_ALIGN_PAIR(Real)
#endif

namespace sns::spectral {

/// Complex number with the memory layout of fftw_complex, cufftComplex and std::complex. Devices move one whole
/// only where it is aligned as cufftComplex is.
template <class Real>
struct SNS_ALIGN_PAIR(Real) Complex {
  Real re, im;
};

/// to = z, member by member: compilers do not vectorise loops that assign whole structures.
template <class Real>
SNS_HD inline void put(Complex<Real>& to, Complex<Real> z) {
  to.re = z.re;
  to.im = z.im;
}
/// Reads member by member, for the same reason.
template <class Real>
SNS_HD inline Complex<Real> get(const Complex<Real>& from) {
  return {from.re, from.im};
}
template <class Real>
SNS_HD inline Complex<Real> operator+(Complex<Real> a, Complex<Real> b) {
  return {a.re + b.re, a.im + b.im};
}
template <class Real>
SNS_HD inline Complex<Real> operator-(Complex<Real> a, Complex<Real> b) {
  return {a.re - b.re, a.im - b.im};
}
template <class Real>
SNS_HD inline Complex<Real> operator*(Real s, Complex<Real> a) {
  return {s * a.re, s * a.im};
}
/// i s a, the transform of a derivative with wavenumber s.
template <class Real>
SNS_HD inline Complex<Real> times_i(Real s, Complex<Real> a) {
  return {-s * a.im, s * a.re};
}
template <class Real>
SNS_HD inline Complex<Real> conj(Complex<Real> a) {
  return {a.re, -a.im};
}

}  // namespace sns::spectral
