#pragma once
// From potential vorticity to streamfunction and velocity, mode by mode, on hosts and devices. Fields are
// [layer][y][x]; of a half spectrum [n][n/2+1], row i holds the meridional wavenumber l (all), column j the
// zonal one k >= 0. Hats are unnormalised transforms.
#include "solvers/qg2layer/params.hpp"

namespace sns::qg2layer {

using spectral::Complex;
using spectral::times_i;

/// A value per layer.
template <class T>
struct Layers {
  T upper, lower;
};

/// psi_hat = M q_hat of a mode, for both layers.
template <class T>
struct InversionMatrix {
  T upper_upper, upper_lower, lower_upper, lower_lower;  ///< [m^2]

  SNS_HD Layers<Complex<T>> operator()(Complex<T> q1, Complex<T> q2) const {
    return {{upper_upper * q1.re + upper_lower * q2.re, upper_upper * q1.im + upper_lower * q2.im},
            {lower_upper * q1.re + lower_lower * q2.re, lower_upper * q1.im + lower_lower * q2.im}};
  }
};

/// Streamfunction of a mode: the inverse of
///   q1_hat = -(K^2 + F1) psi1_hat + F1 psi2_hat,  q2_hat = F2 psi1_hat - (K^2 + F2) psi2_hat
/// expanded by hand, with determinant D = K^2 (K^2 + F1 + F2). The mean (K = 0) has no streamfunction.
template <class Real>
struct Inversion {
  Real f1, f2;  ///< [1/m^2]
  Real unit2;   ///< (2 pi / length)^2
  Real scale;   ///< of the result: 1, or 1/n^2 ahead of an unnormalised inverse transform
  int n;

  /// K^2 = k^2 + l^2 [1/m^2].
  SNS_HD Real k2(int i, int j) const {
    const int l = spectral::row_wavenumber(i, n);
    return unit2 * static_cast<Real>(j * j + l * l);
  }
  /// T is Real or a vector of them.
  template <class T>
  SNS_HD InversionMatrix<T> matrix(T k_squared) const {
    const T zero{}, determinant = k_squared * (k_squared + (f1 + f2));
    const T factor = k_squared > zero ? -scale / determinant : zero;
    return {factor * (k_squared + f2), factor * f1, factor * f2, factor * (k_squared + f1)};
  }
  SNS_HD Layers<Complex<Real>> operator()(int i, int j, Complex<Real> q1, Complex<Real> q2) const {
    return matrix(k2(i, j))(q1, q2);
  }
};

/// u = -dpsi/dy, v = dpsi/dx of a mode.
template <class Real>
struct Velocity {
  Real unit;  ///< 2 pi / length [1/m]
  int n;

  struct Pair {
    Complex<Real> u, v;
  };
  SNS_HD Pair operator()(int i, int j, Complex<Real> psi) const {
    const Real l = unit * static_cast<Real>(spectral::row_wavenumber(i, n)), k = unit * static_cast<Real>(j);
    return {times_i(-l, psi), times_i(k, psi)};
  }
};

template <class Real>
Inversion<Real> inversion(const Params& params, double scale = 1) {
  const double unit = params.grid.unit();
  return {static_cast<Real>(params.stretching(0)), static_cast<Real>(params.stretching(1)),
          static_cast<Real>(unit * unit), static_cast<Real>(scale), params.grid.n};
}
template <class Real>
Velocity<Real> velocity(const Params& params) {
  return {static_cast<Real>(params.grid.unit()), params.grid.n};
}

}  // namespace sns::qg2layer
