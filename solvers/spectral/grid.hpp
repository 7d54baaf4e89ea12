#pragma once
// The doubly periodic square grid and its half spectrum, and which modes a dealiasing rule keeps.
#include "solvers/spectral/complex.hpp"

#include <cstddef>

namespace sns::spectral {

/// n x n points on a periodic square of side `length`. Fields are row-major [axis 0][axis 1]; spectra are the
/// unnormalised real-to-complex transform [n][n/2+1]: axis 0 holds all wavenumbers 0..n/2-1, -n/2..-1, axis 1
/// the non-negative ones 0..n/2. Which physical axis is which is the system's business (Kolmogorov flow: x, y;
/// quasi-geostrophic flow: y, x).
struct Grid {
  int n = 0;
  double length = 0;

  SNS_HD int columns() const { return n / 2 + 1; }
  SNS_HD std::size_t points() const { return static_cast<std::size_t>(n) * static_cast<std::size_t>(n); }
  SNS_HD std::size_t modes() const { return static_cast<std::size_t>(n) * static_cast<std::size_t>(columns()); }
  SNS_HD double spacing() const { return length / n; }
  /// Smallest wavenumber, 2 pi / length.
  SNS_HD double unit() const { return 6.283185307179586 / length; }
};

/// Integer wavenumber of row i of axis 0, in numpy's convention: row n/2 is -n/2.
SNS_HD inline int row_wavenumber(int i, int n) {
  return i < n / 2 ? i : i - n;
}

/// Of transforms: to spectra, or back.
enum class Direction { forward, inverse };

enum class Dealiasing {
  jaxcfd,    ///< jax-cfd's "brick wall": 2/3 rule whose integer arithmetic keeps one or two extra negative rows
  symmetric  ///< the same without the extra rows
};

/// The modes that a 2/3 rule keeps: rows 0..low-1 and n-high..n-1 of axis 0, columns 0..columns-1 of axis 1.
struct KeptModes {
  int low = 0, high = 0, columns = 0;

  SNS_HD bool has_row(int i, int n) const { return i < low || i >= n - high; }
  SNS_HD bool contains(int i, int j, int n) const { return j < columns && has_row(i, n); }
};

/// Kept modes of an n x n grid. Truncation follows Python's int(2/3*n)//2, (-int(2/3*n))//2 and
/// int(2/3*(n//2+1)) in double arithmetic (jax_cfd/spectral/utils.py, brick_wall_filter_2d).
inline KeptModes kept_modes(int n, Dealiasing rule) {
  const int width = static_cast<int>(2.0 / 3.0 * n);
  KeptModes kept{width / 2, (width + 1) / 2, static_cast<int>(2.0 / 3.0 * (n / 2 + 1))};
  if (rule == Dealiasing::symmetric) kept.high = kept.low - 1;
  return kept;
}

/// A rectangle of modes that a kernel visits: all rows or the kept ones, and columns 0..columns-1.
struct Region {
  KeptModes rows;  ///< rows.low + rows.high = n visits every row
  int columns = 0;
};
inline Region all_modes(const Grid& grid) {
  return {{grid.n, 0, grid.columns()}, grid.columns()};
}
inline Region only(const KeptModes& kept) {
  return {kept, kept.columns};
}

}  // namespace sns::spectral
