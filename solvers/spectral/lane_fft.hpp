#pragma once
// One-dimensional complex transforms of several lines at once, one line per vector lane, so that no
// arithmetic crosses lanes. In place, decimation in frequency one way and in time the other: in between, values
// are in digit-reversed order, which costs nothing where every value is treated alike. No planner: the same
// operations in the same order in every process.
#include "solvers/spectral/lanes.hpp"

#include <cmath>
#include <cstddef>
#include <vector>

namespace sns::spectral {

/// Radices of an n-point transform, largest blocks first: powers of two as 8s and 4s, then odd primes.
std::vector<int> fft_radices(int n);
/// Position that decimation in frequency by these radices gives to index i.
std::vector<int> digit_reversal(int n, const std::vector<int>& radices);

template <class Real>
class LaneFft {
 public:
  using V = typename Lanes<Real>::Vector;
  using Z = Complex<V>;

  explicit LaneFft(int n) : n_(n) {
    int length = n;
    for (const int radix : fft_radices(n)) {
      Pass pass{radix, length, {}, {}};
      const double angle = 2 * 3.14159265358979323846 / length;
      for (int k = 0; k < length / radix; ++k)
        for (int m = 1; m < radix; ++m)
          pass.twiddles.push_back(
              {static_cast<Real>(std::cos(angle * k * m)), static_cast<Real>(std::sin(angle * k * m))});
      for (int m = 0; m < radix; ++m)
        pass.roots.push_back({static_cast<Real>(std::cos(2 * 3.14159265358979323846 * m / radix)),
                              static_cast<Real>(std::sin(2 * 3.14159265358979323846 * m / radix))});
      passes_.push_back(std::move(pass));
      length /= radix;
    }
  }

  /// sum_k x(k) exp(+2 pi i j k / n): values from load(k), k in natural order; results to store(p, z) at
  /// digit-reversed positions p. `buffer` holds n values and may be what load and store use.
  template <class Load, class Store>
  [[gnu::flatten]] void inverse(Z* buffer, Load load, Store store) const {
    const auto keep = [buffer](int i, Z z) { buffer[i] = z; };
    const auto take = [buffer](int i) { return buffer[i]; };
    const std::size_t count = passes_.size();
    if (count == 1) return run<+1>(passes_[0], load, store);
    run<+1>(passes_[0], load, keep);
    for (std::size_t p = 1; p + 1 < count; ++p) run<+1>(passes_[p], take, keep);
    run<+1>(passes_[count - 1], take, store);
  }

  /// sum_j x(j) exp(-2 pi i j k / n): load(p) takes digit-reversed positions, store(k, z) natural ones.
  template <class Load, class Store>
  [[gnu::flatten]] void forward(Z* buffer, Load load, Store store) const {
    const auto keep = [buffer](int i, Z z) { buffer[i] = z; };
    const auto take = [buffer](int i) { return buffer[i]; };
    const std::size_t count = passes_.size();
    if (count == 1) return run<-1>(passes_[0], load, store);
    run<-1>(passes_[count - 1], load, keep);
    for (std::size_t p = count - 2; p > 0; --p) run<-1>(passes_[p], take, keep);
    run<-1>(passes_[0], take, store);
  }

 private:
  struct Pass {
    int radix, length;                    ///< blocks of `length` points
    std::vector<Complex<Real>> twiddles;  ///< [length / radix][radix - 1]
    std::vector<Complex<Real>> roots;     ///< exp(2 pi i m / radix)
  };

  static Z add(Z a, Z b) { return {a.re + b.re, a.im + b.im}; }
  static Z subtract(Z a, Z b) { return {a.re - b.re, a.im - b.im}; }
  /// a times sign i.
  template <int sign>
  static Z turn(Z a) {
    if constexpr (sign > 0)
      return {-a.im, a.re};
    else
      return {a.im, -a.re};
  }
  /// a times (c + sign i s).
  template <int sign>
  static Z rotate(Z a, Complex<Real> w) {
    if constexpr (sign > 0)
      return {a.re * w.re - a.im * w.im, a.im * w.re + a.re * w.im};
    else
      return {a.re * w.re + a.im * w.im, a.im * w.re - a.re * w.im};
  }

  template <int sign>
  static void butterfly4(Z& a, Z& b, Z& c, Z& d) {
    const Z p = add(a, c), q = subtract(a, c), r = add(b, d), s = turn<sign>(subtract(b, d));
    a = add(p, r);
    b = add(q, s);
    c = subtract(p, r);
    d = subtract(q, s);
  }

  /// In place x(m) <- sum_j x(j) exp(sign 2 pi i j m / radix); `roots` are exp(2 pi i m / radix).
  template <int radix, int sign>
  static void butterfly(Z (&x)[radix], [[maybe_unused]] const Complex<Real>* roots) {
    if constexpr (radix == 2) {
      const Z a = x[0];
      x[0] = add(a, x[1]);
      x[1] = subtract(a, x[1]);
    } else if constexpr (radix == 4) {
      butterfly4<sign>(x[0], x[1], x[2], x[3]);
    } else if constexpr (radix % 2 == 1) {
      Z y[radix];
#pragma GCC unroll 8
      for (int m = 0; m < radix; ++m) {
        y[m] = x[0];
#pragma GCC unroll 8
        for (int j = 1; j < radix; ++j) y[m] = add(y[m], rotate<sign>(x[j], roots[j * m % radix]));
      }
#pragma GCC unroll 8
      for (int m = 0; m < radix; ++m) x[m] = y[m];
    } else {
      static_assert(radix == 8);
      constexpr Real kHalfRoot = static_cast<Real>(0.70710678118654752440);
      butterfly4<sign>(x[0], x[2], x[4], x[6]);
      butterfly4<sign>(x[1], x[3], x[5], x[7]);
      // Odd part times the 8th roots of unity.
      const Z one = x[1], i1 = turn<sign>(x[3]), i2 = turn<sign>(x[5]), i3 = turn<sign>(x[7]);
      const Z w1{kHalfRoot * (x[3].re + i1.re), kHalfRoot * (x[3].im + i1.im)};
      const Z w3{kHalfRoot * (i3.re - x[7].re), kHalfRoot * (i3.im - x[7].im)};
      const Z e0 = x[0], e1 = x[2], e2 = x[4], e3 = x[6];
      x[0] = add(e0, one);
      x[4] = subtract(e0, one);
      x[1] = add(e1, w1);
      x[5] = subtract(e1, w1);
      x[2] = add(e2, i2);
      x[6] = subtract(e2, i2);
      x[3] = add(e3, w3);
      x[7] = subtract(e3, w3);
    }
  }

  template <int radix, int sign, class Load, class Store>
  void fixed(const Pass& pass, Load load, Store store) const {
    const int part = pass.length / radix;
    const Complex<Real>* w = pass.twiddles.data();
    for (int k = 0; k < part; ++k, w += radix - 1)
      for (int i = k; i < n_; i += pass.length) {
        Z x[radix];
#pragma GCC unroll 8
        for (int m = 0; m < radix; ++m) x[m] = load(i + m * part);
        if (sign < 0 && k > 0)
#pragma GCC unroll 8
          for (int m = 1; m < radix; ++m) x[m] = rotate<sign>(x[m], w[m - 1]);
        butterfly<radix, sign>(x, pass.roots.data());
        if (sign > 0 && k > 0)
#pragma GCC unroll 8
          for (int m = 1; m < radix; ++m) x[m] = rotate<sign>(x[m], w[m - 1]);
#pragma GCC unroll 8
        for (int m = 0; m < radix; ++m) store(i + m * part, x[m]);
      }
  }

  /// Any radix, by its definition; for the larger prime factors of unusual grids.
  template <int sign, class Load, class Store>
  void general(const Pass& pass, Load load, Store store) const {
    const int radix = pass.radix, part = pass.length / radix;
    std::vector<Z> x(static_cast<std::size_t>(radix));
    for (int k = 0; k < part; ++k)
      for (int i = k; i < n_; i += pass.length) {
        const Complex<Real>* w = pass.twiddles.data() + k * (radix - 1);
        for (int m = 0; m < radix; ++m) {
          const Z value = load(i + m * part);
          x[static_cast<std::size_t>(m)] = sign < 0 && m > 0 ? rotate<sign>(value, w[m - 1]) : value;
        }
        for (int m = 0; m < radix; ++m) {
          Z sum = x[0];
          for (int j = 1; j < radix; ++j)
            sum = add(sum, rotate<sign>(x[static_cast<std::size_t>(j)],
                                        pass.roots[static_cast<std::size_t>(j * m % radix)]));
          store(i + m * part, sign > 0 && m > 0 ? rotate<sign>(sum, w[m - 1]) : sum);
        }
      }
  }

  template <int sign, class Load, class Store>
  void run(const Pass& pass, Load load, Store store) const {
    switch (pass.radix) {
      case 8:
        return fixed<8, sign>(pass, load, store);
      case 4:
        return fixed<4, sign>(pass, load, store);
      case 2:
        return fixed<2, sign>(pass, load, store);
      case 3:
        return fixed<3, sign>(pass, load, store);
      case 5:
        return fixed<5, sign>(pass, load, store);
      default:
        return general<sign>(pass, load, store);
    }
  }

  int n_;
  std::vector<Pass> passes_;
};

}  // namespace sns::spectral
