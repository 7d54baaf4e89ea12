#pragma once
// Kernels that move spectra between grids and average fields over cells.
#include "solvers/spectral/complex.hpp"

namespace sns::spectral {

/// Row of an n_from-row spectrum that lands in row i of an n_to-row one: that of the same integer wavenumber,
/// or -1 where there is none. The Nyquist row of a grid stands for both signs of its wavenumber: truncated to
/// it, -n_to/2 is taken, as in jax-cfd; padded from it, both rows of the finer grid come from it.
SNS_HD inline int source_row(int i, int n_from, int n_to) {
  if (n_to <= n_from) return i < n_to / 2 ? i : n_from - n_to + i;
  if (i <= n_from / 2) return i;
  return i >= n_to - n_from / 2 ? i - (n_to - n_from) : -1;
}

/// Copies [batch][n_from] spectra onto n_to-point grids: truncates or pads with zeros, and divides by n_from^2,
/// so that the unnormalised inverse on the new grid gives the field there. Padding halves the Nyquist row and
/// column, which become two, so that the new field interpolates the old one. `filtered` zeroes the smaller
/// grid's Nyquist row and column; without_mean (an axis, or -1) those modes that are constant along that axis.
template <class Real>
struct CopyModes {
  const Complex<Real>* from;
  Complex<Real>* to;
  int n_from, n_to;
  bool filtered;
  int without_mean = -1;

  SNS_HD void operator()(int b, int i, int j) const {
    const int half_from = n_from / 2, half_to = n_to / 2;
    const int half = half_from < half_to ? half_from : half_to;
    const int row = source_row(i, n_from, n_to);
    const std::size_t target = (static_cast<std::size_t>(b) * n_to + i) * (half_to + 1) + j;
    const bool nyquist_row = i == half || i == n_to - half, nyquist_column = j == half;
    const bool mean = (without_mean == 0 && i == 0) || (without_mean == 1 && j == 0);
    if (row < 0 || j > half_from || (filtered && (nyquist_row || nyquist_column)) || mean) {
      to[target] = {0, 0};
      return;
    }
    Real scale = Real(1) / (static_cast<Real>(n_from) * static_cast<Real>(n_from));
    if (n_to > n_from && nyquist_row) scale *= Real(0.5);
    if (n_to > n_from && nyquist_column) scale *= Real(0.5);
    to[target] = scale * from[(static_cast<std::size_t>(b) * n_from + row) * (half_from + 1) + j];
  }
};

/// Mean over disjoint factor x factor cells; `out` index [batch][n/factor][n/factor].
template <class Real>
struct BlockMean {
  const Real* in;
  Real* out;
  int n, factor;

  SNS_HD void operator()(std::size_t at) const {
    const std::size_t m = static_cast<std::size_t>(n / factor);
    const std::size_t b = at / (m * m), i = at / m % m, j = at % m;
    const Real* cell = in + (b * n + i * factor) * n + j * factor;
    Real sum = 0;
    for (int p = 0; p < factor; ++p)
      for (int q = 0; q < factor; ++q) sum += cell[p * n + q];
    out[at] = sum / static_cast<Real>(factor * factor);
  }
};

/// Fields as float32 frames of `values` numbers, `stride` apart.
template <class Real>
struct WriteFrames {
  const Real* in;
  float* out;
  std::size_t values, stride;

  SNS_HD void operator()(std::size_t at) const {
    out[at / values * stride + at % values] = static_cast<float>(in[at]);
  }
};
/// Modulus of value i of frame b.
struct FrameModulus {
  const float* frames;
  std::size_t stride;

  SNS_HD double operator()(int b, std::size_t i) const {
    const double x = static_cast<double>(frames[static_cast<std::size_t>(b) * stride + i]);
    return x < 0 ? -x : x;
  }
};
struct Fill {
  float* out;
  float value;

  SNS_HD void operator()(std::size_t at) const { out[at] = value; }
};

/// Replaces columns 0 and n/2 by their Hermitian part s(k) = (z(k) + conj z(-k)) / 2, which is all that a
/// complex-to-real transform in numpy or FFTW sees of them. For transforms that demand Hermitian input.
/// Visit rows 0..n/2 of each spectrum.
template <class Real>
struct SymmetriseEdgeColumns {
  Complex<Real>* spectra;
  int n;

  SNS_HD void operator()(std::size_t at) const {
    const std::size_t rows = static_cast<std::size_t>(n / 2 + 1);
    const std::size_t b = at / rows, i = at % rows, columns = rows;
    Complex<Real>* row = spectra + (b * n + i) * columns;
    Complex<Real>* mirror = spectra + (b * n + (n - i) % n) * columns;
    for (std::size_t j = 0; j < columns; j += columns - 1) {
      const Complex<Real> s = Real(0.5) * (row[j] + conj(mirror[j]));
      row[j] = s;
      mirror[j] = conj(s);
    }
  }
};

}  // namespace sns::spectral
