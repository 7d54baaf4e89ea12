#pragma once
// Short vectors of the machine ("lanes") and complex arithmetic on them.
#include "solvers/spectral/complex.hpp"

#include <cstring>
#include <utility>

namespace sns::spectral {

#if defined(__AVX512F__)
inline constexpr int kVectorBytes = 64;
#elif defined(__AVX__)
inline constexpr int kVectorBytes = 32;
#else
inline constexpr int kVectorBytes = 16;
#endif

template <class Real>
struct Lanes {
  static constexpr int kCount = kVectorBytes / static_cast<int>(sizeof(Real));
  typedef Real Vector __attribute__((vector_size(kVectorBytes)));

  static Vector load(const Real* from) {
    Vector v;
    std::memcpy(&v, from, sizeof v);
    return v;
  }
  static void store(Real* to, Vector v) { std::memcpy(to, &v, sizeof v); }

  /// kCount complex numbers, real and imaginary parts apart.
  static void load_complex(const Complex<Real>* from, Vector& re, Vector& im) {
    split(load(&from->re), load(&from->re + kCount), re, im, std::make_integer_sequence<int, kCount>{});
  }
  static void store_complex(Complex<Real>* to, Vector re, Vector im) {
    join(re, im, to, std::make_integer_sequence<int, kCount>{});
  }

  /// Transposes the kCount x kCount matrix whose rows are m[0..kCount-1], by swapping off-diagonal blocks of
  /// halving size.
  static void transpose(Vector* m) { swap_blocks<kCount / 2>(m, std::make_integer_sequence<int, kCount>{}); }

 private:
  template <int... l>
  static void split(Vector a, Vector b, Vector& re, Vector& im, std::integer_sequence<int, l...>) {
    re = __builtin_shufflevector(a, b, (2 * l)...);
    im = __builtin_shufflevector(a, b, (2 * l + 1)...);
  }
  template <int... l>
  static void join(Vector re, Vector im, Complex<Real>* to, std::integer_sequence<int, l...>) {
    store(&to->re, __builtin_shufflevector(re, im, (l / 2 + l % 2 * kCount)...));
    store(&to->re + kCount, __builtin_shufflevector(re, im, ((l + kCount) / 2 + l % 2 * kCount)...));
  }

  /// For source lanes 0..kCount-1 of a and kCount.. of b: what lane l of the first or second result takes.
  static constexpr int first(int l, int s) { return (l & s) == 0 ? l : kCount + l - s; }
  static constexpr int second(int l, int s) { return (l & s) == 0 ? l + s : kCount + l; }

  template <int s, int... l>
  static void swap_blocks(Vector* m, std::integer_sequence<int, l...> lanes) {
    if constexpr (s > 0) {
#pragma GCC unroll 16
      for (int i = 0; i < kCount; ++i) {
        if ((i & s) != 0) continue;
        const Vector a = m[i], b = m[i + s];
        m[i] = __builtin_shufflevector(a, b, first(l, s)...);
        m[i + s] = __builtin_shufflevector(a, b, second(l, s)...);
      }
      swap_blocks<s / 2>(m, lanes);
    }
  }
};

}  // namespace sns::spectral
