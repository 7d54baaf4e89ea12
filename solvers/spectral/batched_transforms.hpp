#pragma once
// Batched real transforms for backends whose library wants Hermitian half spectra (cuFFT), and pairs of fields
// by them. A Backend offers for_each, for_each_mode, Buffer and
//   HermitianPlan(backend, n, batch, direction)   forward(fields, spectra) or inverse(spectra, fields), both
//                                                 unnormalised and free to destroy their input
#include "solvers/spectral/grid.hpp"
#include "solvers/spectral/resample_kernels.hpp"
#include "solvers/spectral/traffic.hpp"

namespace sns::spectral {

/// 2-D real transforms of `batch` contiguous n x n fields in one direction; the other function may not be
/// called.
template <class Backend>
class BatchedRealTransforms {
 public:
  using Real = typename Backend::Real;

  BatchedRealTransforms(const Backend& backend, int n, int batch, Direction direction)
      : backend_(backend), n_(n), plan_(backend, n, batch, direction) {}

  /// `count` is the batch in both directions.
  void forward(Real* spent, Complex<Real>* out, int /*count*/) const { plan_.forward(spent, out); }
  /// The dealiasing mask leaves edge columns un-Hermitian: their Hermitian part is taken, as numpy and FFTW do.
  void inverse(Complex<Real>* spent, Real* out, int count) const {
    backend_.for_each(static_cast<std::size_t>(count) * static_cast<std::size_t>(n_ / 2 + 1),
                      SymmetriseEdgeColumns<Real>{spent, n_});
    plan_.inverse(spent, out);
  }

 private:
  Backend backend_;
  int n_;
  typename Backend::HermitianPlan plan_;
};

/// View of whole half spectra [a, b][batch][n][n/2+1] as pairs of modes.
template <class Real>
struct WholePairSpectra {
  Complex<Real>* data;
  std::size_t stride;  ///< elements of all members' a
  int n, columns;

  struct Pair {
    Complex<Real> a, b;
  };
  SNS_HD Complex<Real>* mode(int batch, int i, int j) const {
    return data + (static_cast<std::size_t>(batch) * n + i) * columns + j;
  }
  SNS_HD Pair get(int batch, int i, int j) const {
    const Complex<Real>* a = mode(batch, i, j);
    return {spectral::get(a[0]), spectral::get(a[stride])};
  }
  SNS_HD void set(int batch, int i, int j, const Complex<Real>& a, const Complex<Real>& b) const {
    Complex<Real>* target = mode(batch, i, j);
    put(target[0], a);
    put(target[stride], b);
  }
};

/// Makes half spectra of pairs whose kept modes are set ready for an inverse transform: zeroes the others, and
/// takes the Hermitian part of column 0 (kept columns end below n/2). Rows 0..n/2 of column 0 write their
/// mirror rows too, so that no element has two writers.
template <class Real>
struct CompletePairs {
  WholePairSpectra<Real> pairs;
  KeptModes kept;

  SNS_HD typename WholePairSpectra<Real>::Pair kept_part(int b, int i, int j) const {
    if (kept.contains(i, j, pairs.n)) return pairs.get(b, i, j);
    return {{0, 0}, {0, 0}};
  }
  SNS_HD void operator()(int b, int i, int j) const {
    if (j > 0) {
      if (!kept.contains(i, j, pairs.n)) pairs.set(b, i, j, {0, 0}, {0, 0});
      return;
    }
    const int mirror = i == 0 ? 0 : pairs.n - i;
    if (mirror < i) return;
    const auto here = kept_part(b, i, 0), there = kept_part(b, mirror, 0);
    const Complex<Real> first = Real(0.5) * (here.a + conj(there.a)),
                        second = Real(0.5) * (here.b + conj(there.b));
    pairs.set(b, i, 0, first, second);
    pairs.set(b, mirror, 0, conj(first), conj(second));
  }
};

/// Applies op to the pairs at every point of fields [a, b][batch][n][n].
template <class Real, class Op>
struct ApplyToPairs {
  Real* fields;
  std::size_t stride;  ///< values of all members' a
  Op op;

  SNS_HD void operator()(std::size_t at) const {
    const Complex<Real> result = op(fields[at], fields[stride + at]);
    fields[at] = result.re;
    fields[stride + at] = result.im;
  }
};

/// Pairs of dealiased fields (a, b) to physical space and back; the interface of LanePairTransforms. Updates
/// work on the transforms' own input and output, without copies in between.
template <class Backend>
class BatchedPairTransforms {
 public:
  using Real = typename Backend::Real;

  BatchedPairTransforms(const Backend& backend, int n, const KeptModes& kept, int batch)
      : backend_(backend),
        grid_{n, 1},
        kept_(kept),
        spectra_(2 * grid_.modes() * static_cast<std::size_t>(batch)),
        fields_(2 * grid_.points() * static_cast<std::size_t>(batch)),
        to_physical_(backend, n, 2 * batch, Direction::inverse),
        to_spectral_(backend, n, 2 * batch, Direction::forward) {}

  WholePairSpectra<Real> spectra() { return {spectra_.data(), spectra_.size() / 2, grid_.n, grid_.columns()}; }

  /// op(a, b) -> Complex{a', b'} at every grid point. `batch` is the constructor's.
  template <class Op>
  void apply(int batch, Op op) {
    backend_.for_each_mode(batch, grid_.n, all_modes(grid_), CompletePairs<Real>{spectra(), kept_});
    to_physical_.inverse(spectra_.data(), fields_.data());
    const std::size_t stride = fields_.size() / 2;
    backend_.for_each(stride, ApplyToPairs<Real, Op>{fields_.data(), stride, op});
    to_spectral_.forward(fields_.data(), spectra_.data());
  }

  /// Of apply(), in Reals per member:
  ///   CompletePairs   writes 2 (S - K)
  ///   transforms      2 fields there, 2 back
  ///   ApplyToPairs    reads 2 P, writes 2 P
  double apply_values() const {
    const FieldValues of(grid_, kept_);
    return 2 * (of.spectrum - of.kept) + 4 * of.transform() + 4 * of.points;
  }

 private:
  Backend backend_;
  Grid grid_;
  KeptModes kept_;
  typename Backend::template Buffer<Complex<Real>> spectra_;
  typename Backend::template Buffer<Real> fields_;
  typename Backend::HermitianPlan to_physical_, to_spectral_;
};

}  // namespace sns::spectral
