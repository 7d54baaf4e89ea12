#pragma once
// From potential vorticity to streamfunction and velocity, mode by mode, on hosts and devices. Fields are
// [layer][y][x]; of a half spectrum [n][n/2+1], row i holds the meridional wavenumber l (all), column j the
// zonal one k >= 0. Hats are unnormalised transforms.
#include "solvers/qg2layer/params.hpp"

namespace sns::qg2layer {

using spectral::Complex;

/// A value per layer.
template <class T>
struct Layers {
  T upper, lower;
};

/// The inverse at one mode, shared by the real and imaginary parts. Each sum has one product at most, so that
/// compilers that fuse multiplication and addition have no choice and every caller gets the same bits.
template <class T, class Real>
struct ModeInversion {
  T ratio;     ///< K^2 / F1
  T gain;      ///< -F1 / D, 0 for the mean [m^2]
  Real delta;  ///< F2 / F1

  SNS_HD Layers<Complex<T>> operator()(Complex<T> q1, Complex<T> q2) const {
    const Complex<T> both{delta * q1.re + q2.re, delta * q1.im + q2.im};
    return {{gain * (ratio * q1.re + both.re), gain * (ratio * q1.im + both.im)},
            {gain * (ratio * q2.re + both.re), gain * (ratio * q2.im + both.im)}};
  }
};

/// Streamfunction of a mode: the inverse of
///   q1_hat = -(K^2 + F1) psi1_hat + F1 psi2_hat,  q2_hat = F2 psi1_hat - (K^2 + F2) psi2_hat
/// expanded by hand with determinant D = K^2 (K^2 + F1 + F2) and F2 = delta F1:
///   psi1_hat = -(K^2 q1_hat + F1 (delta q1_hat + q2_hat)) / D
///   psi2_hat = -(K^2 q2_hat + F1 (delta q1_hat + q2_hat)) / D.
/// The mean (K = 0) has no streamfunction.
template <class Real>
struct Inversion {
  Real f1;     ///< F1 [1/m^2]
  Real delta;  ///< F2 / F1
  Real unit2;  ///< (2 pi / length)^2 [1/m^2]
  Real scale;  ///< of the result: 1, or 1/n^2 ahead of an unnormalised inverse transform
  int n;

  /// K^2 = k^2 + l^2 [1/m^2] for integer wavenumbers. T is Real or a vector of them.
  template <class T>
  SNS_HD T k2(T row, T column) const {
    return unit2 * (row * row + column * column);
  }
  template <class T>
  SNS_HD ModeInversion<T, Real> at(T k_squared) const {
    const T zero{}, ratio = k_squared * (Real(1) / f1);
    const T gain = k_squared > zero ? (-scale / f1) / (ratio * (ratio + (Real(1) + delta))) : zero;
    return {ratio, gain, delta};
  }
  SNS_HD Layers<Complex<Real>> operator()(int i, int j, Complex<Real> q1, Complex<Real> q2) const {
    return at(k2(static_cast<Real>(spectral::row_wavenumber(i, n)), static_cast<Real>(j)))(q1, q2);
  }
};

/// u = -dpsi/dy and v = dpsi/dx of a mode.
template <class T>
struct ModeVelocity {
  Complex<T> u, v;
};
/// k and l carry units and normalisation. T is Real or a vector of them.
template <class T>
SNS_HD ModeVelocity<T> mode_velocity(T k, T l, Complex<T> psi) {
  return {{l * psi.im, -l * psi.re}, {-k * psi.im, k * psi.re}};
}

/// The same of mode (i, j).
template <class Real>
struct Velocity {
  Real unit;  ///< 2 pi / length [1/m]
  int n;

  SNS_HD ModeVelocity<Real> operator()(int i, int j, Complex<Real> psi) const {
    return mode_velocity(unit * static_cast<Real>(j), unit * static_cast<Real>(spectral::row_wavenumber(i, n)),
                         psi);
  }
};

template <class Real>
Inversion<Real> inversion(const Params& params, double scale = 1) {
  const double unit = params.grid.unit();
  return {static_cast<Real>(params.stretching(0)), static_cast<Real>(params.depth_ratio),
          static_cast<Real>(unit * unit), static_cast<Real>(scale), params.grid.n};
}
template <class Real>
Velocity<Real> velocity(const Params& params) {
  return {static_cast<Real>(params.grid.unit()), params.grid.n};
}

}  // namespace sns::qg2layer
