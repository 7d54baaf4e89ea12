#pragma once
// Two real fields a and b in one complex transform a + i b along rows.
#include "solvers/spectral/complex.hpp"
#include "solvers/spectral/lanes.hpp"

namespace sns::spectral {

/// A square block of the spectra of a pair (a, b): as many rows as columns as a vector has lanes, on its way
/// between one column per lane and one row per lane.
template <class Real>
struct PairBlock {
  using L = Lanes<Real>;
  using V = typename L::Vector;
  using Z = Complex<V>;
  static constexpr int kLanes = L::kCount;

  V a_re[kLanes], a_im[kLanes], b_re[kLanes], b_im[kLanes];

  void transpose() {
    L::transpose(a_re);
    L::transpose(b_re);
    L::transpose(a_im);
    L::transpose(b_im);
  }
  void clear(int l) { a_re[l] = a_im[l] = b_re[l] = b_im[l] = V{}; }

  /// Writes a + i b of entry l at wavenumber k > 0 and at -k, where a(-k) = conj a(k) and b likewise.
  void pack(int l, Z& positive, Z& negative) const {
    positive = {a_re[l] - b_im[l], a_im[l] + b_re[l]};
    negative = {a_re[l] + b_im[l], b_re[l] - a_im[l]};
  }
  /// The same at k = 0, where only real parts count, as in any complex-to-real transform.
  void pack_mean(int l, Z& mean) const { mean = {a_re[l], b_re[l]}; }
  /// The inverse of pack.
  void unpack(int l, const Z& positive, const Z& negative) {
    const Real half = Real(0.5);
    a_re[l] = half * (positive.re + negative.re);
    b_re[l] = half * (positive.im + negative.im);
    a_im[l] = half * (positive.im - negative.im);
    b_im[l] = half * (negative.re - positive.re);
  }
};

}  // namespace sns::spectral
