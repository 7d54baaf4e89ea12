#pragma once
// Pairs of dealiased fields through physical space and back on one CPU core.
#include "solvers/spectral/grid.hpp"
#include "solvers/spectral/host_buffer.hpp"
#include "solvers/spectral/lane_fft.hpp"
#include "solvers/spectral/pair_block.hpp"
#include "solvers/spectral/pair_spectra.hpp"

#include <algorithm>

namespace sns::spectral {

/// Takes pairs of real fields (a, b) from their kept modes to physical space, applies an operation at every
/// grid point, and takes the result back; all unnormalised. Packed as a + i b, a pair costs one complex
/// transform each way. Only kept columns are transformed along axis 0, several at once in the lanes of a
/// vector; along axis 1, as many rows go there and back while they are in the first-level cache. Rows that are
/// not kept count as zero on the way in and are left untouched on the way out.
template <class Real>
class LanePairTransforms {
 public:
  LanePairTransforms(int n, const KeptModes& kept, int batch)
      : n_(n),
        kept_(kept),
        width_(std::max(round_up(2 * kept.columns), round_up(kept.columns + round_up(kept.columns)))),
        fft_(n),
        values_(static_cast<std::size_t>(batch) * n * 2 * width_),
        line_(n) {}

  PairSpectra<Real> spectra() { return {values_.data(), n_, kept_.columns, width_}; }

  /// op(a, b) -> Complex{a', b'} for T = a vector of Real, at every grid point.
  template <class Op>
  void apply(int batch, Op op) {
    for (int b = 0; b < batch; ++b) {
      Real* member = spectra().row(b, 0);
      for (int first = 0; first < 2 * kept_.columns; first += kLanes) columns_to_physical(member + first);
      for (int first = 0; first < n_; first += kLanes) rows_there_and_back(member, first, op);
      for (int first = 0; first < 2 * kept_.columns; first += kLanes) columns_to_spectral(member + first);
    }
  }

 private:
  using L = Lanes<Real>;
  using V = typename L::Vector;
  using Z = Complex<V>;
  static constexpr int kLanes = L::kCount;

  static int round_up(int x) { return (x + kLanes - 1) / kLanes * kLanes; }
  Real* at(Real* base, int i) const { return base + static_cast<std::ptrdiff_t>(i) * 2 * width_; }

  void columns_to_physical(Real* base) {
    fft_.inverse(
        line_.data(),
        [&](int i) {
          if (!kept_.has_row(i, n_)) return Z{V{}, V{}};
          return Z{L::load(at(base, i)), L::load(at(base, i) + width_)};
        },
        [&](int p, Z z) {
          L::store(at(base, p), z.re);
          L::store(at(base, p) + width_, z.im);
        });
  }

  void columns_to_spectral(Real* base) {
    fft_.forward(
        line_.data(),
        [&](int p) {
          return Z{L::load(at(base, p)), L::load(at(base, p) + width_)};
        },
        [&](int i, Z z) {
          if (!kept_.has_row(i, n_)) return;
          L::store(at(base, i), z.re);
          L::store(at(base, i) + width_, z.im);
        });
  }

  /// One row per lane. The rows' own order (digit reversed after the columns) does not matter.
  template <class Op>
  void rows_there_and_back(Real* member, int first, Op op) {
    Z* line = line_.data();
    pack(member, first, line);
    fft_.inverse(
        line, [line](int i) { return line[i]; }, [line, op](int p, Z z) { line[p] = op(z.re, z.im); });
    fft_.forward(
        line, [line](int p) { return line[p]; }, [line](int i, Z z) { line[i] = z; });
    unpack(line, member, first);
  }

  /// A pair's kept columns to whole lines a + i b.
  void pack(Real* member, int first, Z* line) const {
    const int m = kept_.columns;
    for (int j = 0; j < m; j += kLanes) {
      PairBlock<Real> block;
      for (int l = 0; l < kLanes; ++l) {
        const Real* row = at(member, std::min(first + l, n_ - 1)) + j;
        block.a_re[l] = L::load(row);
        block.b_re[l] = L::load(row + m);
        block.a_im[l] = L::load(row + width_);
        block.b_im[l] = L::load(row + width_ + m);
      }
      block.transpose();
      const int count = std::min(kLanes, m - j);
      for (int l = j == 0 ? 1 : 0; l < count; ++l) block.pack(l, line[j + l], line[n_ - j - l]);
      if (j == 0) block.pack_mean(0, line[0]);
    }
    for (int k = m; k <= n_ - m; ++k) line[k] = {V{}, V{}};
  }

  /// The inverse of pack. Chunks go from the last to the first, because a's last one may reach into b's.
  void unpack(const Z* line, Real* member, int first) const {
    const int m = kept_.columns;
    for (int j = (m - 1) / kLanes * kLanes; j >= 0; j -= kLanes) {
      PairBlock<Real> block;
      for (int l = 0; l < kLanes; ++l) {
        const int k = j + l;
        if (k < m)
          block.unpack(l, line[k], line[k == 0 ? 0 : n_ - k]);
        else
          block.clear(l);
      }
      block.transpose();
      for (int l = 0; l < std::min(kLanes, n_ - first); ++l) {
        Real* row = at(member, first + l) + j;
        L::store(row, block.a_re[l]);
        L::store(row + m, block.b_re[l]);
        L::store(row + width_, block.a_im[l]);
        L::store(row + width_ + m, block.b_im[l]);
      }
    }
  }

  int n_;
  KeptModes kept_;
  int width_;
  LaneFft<Real> fft_;
  HostBuffer<Real> values_;
  HostBuffer<Z> line_;
};

}  // namespace sns::spectral
