#pragma once
// Spectra of pairs of dealiased real fields (a, b): only the kept columns, real and imaginary parts apart.
#include "solvers/spectral/complex.hpp"

namespace sns::spectral {

/// View of [batch][n][re, im][width] values: a's kept columns, then b's, then padding up to `width`.
template <class Real>
struct PairSpectra {
  Real* data;
  int n, columns, width;

  struct Pair {
    Complex<Real> a, b;
  };
  SNS_HD Real* row(int batch, int i) const {
    return data + (static_cast<std::size_t>(batch) * n + i) * 2 * width;
  }
  SNS_HD Pair get(int batch, int i, int j) const {
    const Real *re = row(batch, i), *im = re + width;
    return {{re[j], im[j]}, {re[columns + j], im[columns + j]}};
  }
  SNS_HD void set(int batch, int i, int j, const Complex<Real>& a, const Complex<Real>& b) const {
    Real *re = row(batch, i), *im = re + width;
    re[j] = a.re;
    re[columns + j] = b.re;
    im[j] = a.im;
    im[columns + j] = b.im;
  }
};

}  // namespace sns::spectral
