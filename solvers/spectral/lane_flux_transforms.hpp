#pragma once
// Flux transforms on one CPU core by vectorised line transforms of its own: RealFluxTransforms' interface and
// results (to rounding), in two sweeps over memory a step.
#include "solvers/spectral/flux_transforms.hpp"
#include "solvers/spectral/host_buffer.hpp"
#include "solvers/spectral/lane_fft.hpp"
#include "solvers/spectral/pair_block.hpp"

#include <algorithm>
#include <array>

namespace sns::spectral {

/// Spectra are kept column by column, as many columns side by side as a vector has lanes. One sweep takes such
/// a strip of columns of the fluxes to spectral space, updates the modes and takes the new fields' columns
/// back; the other takes as many rows to physical space, applies the op and returns, while they are in the
/// first-level cache. Pairs (a, b) share one complex transform a + i b along rows. Column n/2, whose rows would
/// fill one lane of a strip, travels apart: all fields' columns n/2 side by side.
///
/// Between load() and store() the member's arrays live here, in the order in which the sweeps read them.
template <class Real, class Shape>
class LaneFluxTransforms {
 public:
  template <class Backend>
  LaneFluxTransforms(const Backend&, int n, const std::vector<double>& factor, ArrayCounts arrays, int batch)
      : n_(n),
        half_(n / 2),
        strips_((half_ + kLanes - 1) / kLanes),
        field_stride_(n + kPad),
        arrays_(arrays),
        batch_(batch),
        fft_(n),
        columns_(strips_),
        factor_(static_cast<std::size_t>(strips_) * n),
        edge_factor_(n),
        values_(static_cast<std::size_t>(batch) * strips_ * kFields * field_stride_),
        edge_values_(static_cast<std::size_t>(batch) * kEdgeVectors * field_stride_),
        state_(static_cast<std::size_t>(batch) * strips_ * n * array_count()),
        edge_state_(static_cast<std::size_t>(batch) * n * array_count()),
        lines_(static_cast<std::size_t>(Shape::kFieldPairs) * field_stride_) {
    for (int s = 0; s < strips_; ++s) {
      std::array<Real, kLanes> wavenumbers{};
      for (int lane = 0; lane < kLanes; ++lane) wavenumbers[lane] = static_cast<Real>(s * kLanes + lane);
      columns_.data()[s] = L::load(wavenumbers.data());
      for (int i = 0; i < n; ++i) {
        std::array<Real, kLanes> row{};
        for (int lane = 0; lane < std::min(kLanes, half_ - s * kLanes); ++lane)
          row[lane] = static_cast<Real>(factor[static_cast<std::size_t>(i) * (half_ + 1) + s * kLanes + lane]);
        factor_.data()[static_cast<std::size_t>(s) * n + i] = L::load(row.data());
      }
    }
    for (int i = 0; i < n; ++i)
      edge_factor_.data()[i] = static_cast<Real>(factor[static_cast<std::size_t>(i) * (half_ + 1) + half_]);
  }

  void load(const Complex<Real>* kept) {
    for (int b = 0; b < batch_; ++b)
      for (int slot = 0; slot < arrays_.kept * Shape::kStateFields; ++slot)
        for (int i = 0; i < n_; ++i) {
          const Complex<Real>* row = kept + row_offset(b, slot, i);
          for (int s = 0; s < strips_; ++s) strip_state(b, s, i)[slot] = read(row, s);
          put(edge_state(b, i)[slot], get(row[half_]));
        }
  }
  void store(Complex<Real>* kept) {
    for (int b = 0; b < batch_; ++b)
      for (int slot = 0; slot < arrays_.kept * Shape::kStateFields; ++slot)
        for (int i = 0; i < n_; ++i) {
          Complex<Real>* row = kept + row_offset(b, slot, i);
          for (int s = 0; s < strips_; ++s) write(strip_state(b, s, i)[slot], row, s);
          put(row[half_], get(edge_state(b, i)[slot]));
        }
  }

  template <class Update>
  void start(Update update) {
    for (int b = 0; b < batch_; ++b) sweep_columns<false>(b, update);
  }
  template <class Op, class Update>
  void step(Op op, Update update) {
    for (int b = 0; b < batch_; ++b) {
      for (int first = 0; first < n_; first += kLanes) rows_there_and_back(b, first, op);
      sweep_columns<true>(b, update);
    }
  }

 private:
  using L = Lanes<Real>;
  using V = typename L::Vector;
  using Z = Complex<V>;
  static constexpr int kLanes = L::kCount;
  static constexpr int kFields = 2 * Shape::kFieldPairs, kFluxes = 2 * Shape::kFluxPairs;
  static constexpr int kEdgeVectors = (kFields + kLanes - 1) / kLanes;
  /// Keeps columns of different fields from falling on the same cache lines.
  static constexpr int kPad = 2;

  /// State of one strip and row, or of one row of column n/2.
  template <class T>
  struct State {
    Complex<T>* here;
    Complex<T> get(int array, int field) const { return here[array * Shape::kStateFields + field]; }
    void set(int array, int field, Complex<T> value) const {
      here[array * Shape::kStateFields + field] = value;
    }
  };

  int array_count() const { return (arrays_.kept + arrays_.working) * Shape::kStateFields; }
  std::size_t row_offset(int b, int slot, int i) const {
    const int array = slot / Shape::kStateFields, field = slot % Shape::kStateFields;
    return ((static_cast<std::size_t>(array * batch_ + b) * Shape::kStateFields + field) * n_ + i) *
           (half_ + 1);
  }
  Z* strip_state(int b, int s, int i) {
    return state_.data() + ((static_cast<std::size_t>(b) * strips_ + s) * n_ + i) * array_count();
  }
  Complex<Real>* edge_state(int b, int i) {
    return edge_state_.data() + (static_cast<std::size_t>(b) * n_ + i) * array_count();
  }
  Z* column(int b, int s, int field) {
    return values_.data() + ((static_cast<std::size_t>(b) * strips_ + s) * kFields + field) * field_stride_;
  }
  Z* edge(int b, int vector) {
    return edge_values_.data() + (static_cast<std::size_t>(b) * kEdgeVectors + vector) * field_stride_;
  }
  Z* line(int pair) { return lines_.data() + static_cast<std::size_t>(pair) * field_stride_; }

  Z read(const Complex<Real>* row, int s) const {
    const int first = s * kLanes;
    std::array<Complex<Real>, kLanes> padded{};
    const Complex<Real>* from = row + first;
    if (first + kLanes > half_) {
      std::copy(from, row + half_, padded.begin());
      from = padded.data();
    }
    Z z;
    L::load_complex(from, z.re, z.im);
    return z;
  }
  void write(Z z, Complex<Real>* row, int s) const {
    const int first = s * kLanes;
    if (first + kLanes <= half_) return L::store_complex(row + first, z.re, z.im);
    std::array<Complex<Real>, kLanes> padded;
    L::store_complex(padded.data(), z.re, z.im);
    std::copy(padded.begin(), padded.begin() + (half_ - first), row + first);
  }

  void to_spectral(Z* values) const {
    fft_.forward(
        values, [values](int p) { return values[p]; }, [values](int i, Z z) { values[i] = z; });
  }
  void to_physical(Z* values) const {
    fft_.inverse(
        values, [values](int i) { return values[i]; }, [values](int p, Z z) { values[p] = z; });
  }

  template <bool with_fluxes, class Update>
  void sweep_columns(int b, Update update) {
    for (int s = 0; s < strips_; ++s) {
      if constexpr (with_fluxes)
        for (int f = 0; f < kFluxes; ++f) to_spectral(column(b, s, f));
      update_strip<with_fluxes>(b, s, update);
      for (int f = 0; f < kFields; ++f) to_physical(column(b, s, f));
    }
    if constexpr (with_fluxes)
      for (int v = 0; v < kEdgeVectors; ++v) to_spectral(edge(b, v));
    update_edge<with_fluxes>(b, update);
    for (int v = 0; v < kEdgeVectors; ++v) to_physical(edge(b, v));
  }

  template <bool with_fluxes, class Update>
  [[gnu::flatten]] void update_strip(int b, int s, Update update) {
    Z* values = column(b, s, 0);
    const V* factor = factor_.data() + static_cast<std::size_t>(s) * n_;
    const V wavenumber = columns_.data()[s];
    for (int i = 0; i < n_; ++i) {
      Z flux[kFluxes], fields[kFields];
      if constexpr (with_fluxes)
        for (int f = 0; f < kFluxes; ++f) flux[f] = values[f * field_stride_ + i];
      const V row = V{} + static_cast<Real>(row_wavenumber(i, n_));
      update(b, Mode<V>{row, wavenumber, factor[i]}, State<V>{strip_state(b, s, i)}, flux, fields);
      for (int f = 0; f < kFields; ++f) values[f * field_stride_ + i] = fields[f];
    }
  }

  template <bool with_fluxes, class Update>
  [[gnu::flatten]] void update_edge(int b, Update update) {
    for (int i = 0; i < n_; ++i) {
      Complex<Real> flux[kFluxes], fields[kFields];
      if constexpr (with_fluxes)
        for (int f = 0; f < kFluxes; ++f) {
          const Z& z = edge(b, f / kLanes)[i];
          flux[f] = {z.re[f % kLanes], z.im[f % kLanes]};
        }
      update(b,
             Mode<Real>{static_cast<Real>(row_wavenumber(i, n_)), static_cast<Real>(half_),
                        edge_factor_.data()[i]},
             State<Real>{edge_state(b, i)}, flux, fields);
      for (int f = 0; f < kFields; ++f) {
        Z& z = edge(b, f / kLanes)[i];
        z.re[f % kLanes] = fields[f].re;
        z.im[f % kLanes] = fields[f].im;
      }
    }
  }

  /// One row per lane. The rows' own order (digit reversed after the columns) does not matter.
  template <class Op>
  void rows_there_and_back(int b, int first, Op op) {
    V at_edge[kEdgeVectors * kLanes];  // column n/2 of every field
    for (int v = 0; v < kEdgeVectors; ++v) {
      V* rows = at_edge + v * kLanes;
      for (int l = 0; l < kLanes; ++l) rows[l] = edge(b, v)[std::min(first + l, n_ - 1)].re;
      L::transpose(rows);
    }
    constexpr int last = Shape::kFieldPairs - 1;
    for (int p = 0; p <= last; ++p) {
      pack(b, first, p, line(p));
      line(p)[half_] = {at_edge[2 * p], at_edge[2 * p + 1]};
      if (p < last) to_physical(line(p));
    }
    cross_physical_space(op);
    V fluxes_at_edge[kEdgeVectors * kLanes] = {};
    for (int p = 0; p < Shape::kFluxPairs; ++p) {
      Z* z = line(p);
      to_spectral(z);
      fluxes_at_edge[2 * p] = z[half_].re;
      fluxes_at_edge[2 * p + 1] = z[half_].im;
      unpack(z, b, first, p);
    }
    for (int v = 0; v < kEdgeVectors; ++v) {
      V* rows = fluxes_at_edge + v * kLanes;
      L::transpose(rows);
      for (int l = 0; l < std::min(kLanes, n_ - first); ++l) edge(b, v)[first + l] = {rows[l], V{}};
    }
  }

  /// The last pair's transform, and op as soon as a grid point has all its values.
  template <class Op>
  [[gnu::flatten]] void cross_physical_space(Op op) {
    std::array<Z*, Shape::kFieldPairs> lines;
    for (int p = 0; p < Shape::kFieldPairs; ++p) lines[p] = line(p);
    Z* z = lines[Shape::kFieldPairs - 1];
    fft_.inverse(
        z, [z](int i) { return z[i]; },
        [lines, op](int at, Z value) {
          Z in[Shape::kFieldPairs], out[Shape::kFluxPairs];
          for (int p = 0; p + 1 < Shape::kFieldPairs; ++p) in[p] = lines[p][at];
          in[Shape::kFieldPairs - 1] = value;
          op(in, out);
          for (int p = 0; p < Shape::kFluxPairs; ++p) lines[p][at] = out[p];
        });
  }

  /// A pair's columns below n/2 to whole lines a + i b.
  void pack(int b, int first, int pair, Z* z) {
    for (int s = 0; s < strips_; ++s) {
      const int j = s * kLanes;
      const Z *a_column = column(b, s, 2 * pair), *b_column = column(b, s, 2 * pair + 1);
      PairBlock<Real> block;
      for (int l = 0; l < kLanes; ++l) {
        const int row = std::min(first + l, n_ - 1);
        block.a_re[l] = a_column[row].re;
        block.a_im[l] = a_column[row].im;
        block.b_re[l] = b_column[row].re;
        block.b_im[l] = b_column[row].im;
      }
      block.transpose();
      if (j == 0) block.pack_mean(0, z[0]);
      const int count = std::min(kLanes, half_ - j);
      for (int l = j == 0 ? 1 : 0; l < count; ++l) block.pack(l, z[j + l], z[n_ - j - l]);
    }
  }

  /// The inverse of pack.
  void unpack(const Z* z, int b, int first, int pair) {
    for (int s = 0; s < strips_; ++s) {
      const int j = s * kLanes, count = std::min(kLanes, half_ - j);
      PairBlock<Real> block;
      for (int l = 0; l < kLanes; ++l) {
        const int k = j + l;
        if (l < count)
          block.unpack(l, z[k], z[k == 0 ? 0 : n_ - k]);
        else
          block.clear(l);
      }
      block.transpose();
      Z *a_column = column(b, s, 2 * pair), *b_column = column(b, s, 2 * pair + 1);
      for (int l = 0; l < std::min(kLanes, n_ - first); ++l) {
        a_column[first + l] = {block.a_re[l], block.a_im[l]};
        b_column[first + l] = {block.b_re[l], block.b_im[l]};
      }
    }
  }

  int n_, half_, strips_, field_stride_;
  ArrayCounts arrays_;
  int batch_;
  LaneFft<Real> fft_;
  HostBuffer<V> columns_;                 ///< wavenumbers of each strip's lanes
  HostBuffer<V> factor_;                  ///< [strip][n]
  HostBuffer<Real> edge_factor_;          ///< [n], of column n/2
  HostBuffer<Z> values_;                  ///< [batch][strip][field][n + pad]
  HostBuffer<Z> edge_values_;             ///< [batch][vector of fields][n + pad], column n/2
  HostBuffer<Z> state_;                   ///< [batch][strip][n][array][field]
  HostBuffer<Complex<Real>> edge_state_;  ///< [batch][n][array][field], column n/2
  HostBuffer<Z> lines_;                   ///< [pair][n + pad], rows of one sweep
};

}  // namespace sns::spectral
