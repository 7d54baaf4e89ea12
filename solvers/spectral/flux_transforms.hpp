#pragma once
// Fields through physical space and back as fluxes, with an update of the state in between: what a
// pseudo-spectral time step of several coupled real fields is made of. A Shape names the sizes,
//   kStateFields   complex fields of the state (layers)
//   kFieldPairs    pairs (a, b) of real fields that go to physical space
//   kFluxPairs     pairs that come back, at most kFieldPairs
// and physics enters as two kinds of functor:
//   op(fields, fluxes)                         at a grid point: Complex{a, b} of each pair in, of each flux
//   pair out update(batch, mode, state, flux, fields)   at a mode: reads the fluxes' transforms, reads and
//   writes the state,
//                                              writes what is to be transformed next, divided by n^2
// both for T = Real or a vector of Reals. Inverse transforms see of columns 0 and n/2 what numpy's irfft2 sees.
#include "solvers/spectral/complex.hpp"
#include "solvers/spectral/grid.hpp"
#include "solvers/spectral/traffic.hpp"

#include <cstddef>
#include <vector>

namespace sns::spectral {

/// A mode as an update sees it.
template <class T>
struct Mode {
  T row, column;  ///< integer wavenumbers along axis 0 (-n/2..n/2-1) and axis 1 (0..n/2)
  T factor;       ///< the mode's entry in the table that the transforms were made with
};

/// The arrays that updates read and write: `kept` ones belong to the member's state, `working` ones last for a
/// time step.
struct ArrayCounts {
  int kept = 1, working = 0;
};

/// One mode of the arrays [array][batch][field][n][columns].
template <class Real>
struct ModeState {
  Complex<Real>*kept, *working;
  std::size_t array_stride, field_stride;
  int kept_arrays;

  SNS_HD Complex<Real>& at(int array, int field) const {
    return (array < kept_arrays ? kept + array * array_stride
                                : working + (array - kept_arrays) * array_stride)[field * field_stride];
  }
  SNS_HD Complex<Real> get(int array, int field) const { return spectral::get(at(array, field)); }
  SNS_HD void set(int array, int field, Complex<Real> value) const { put(at(array, field), value); }
};

/// Calls an update for mode (i, j) of member b. Spectra are [pair member][batch][n][columns].
template <class Real, class Shape, class Update, bool with_fluxes>
struct UpdateMode {
  Update update;
  Complex<Real>*kept, *working, *spectra;
  const Real* factor;  ///< [n][columns]
  int kept_arrays, batch, n, columns;

  SNS_HD void operator()(int b, int i, int j) const {
    const std::size_t modes = static_cast<std::size_t>(n) * columns,
                      mode = static_cast<std::size_t>(i) * columns + j;
    const std::size_t first = b * Shape::kStateFields * modes + mode;
    const ModeState<Real> state{kept + first, working + first, modes * batch * Shape::kStateFields, modes,
                                kept_arrays};
    Complex<Real>* here = spectra + b * modes + mode;
    Complex<Real> flux[2 * Shape::kFluxPairs], fields[2 * Shape::kFieldPairs];
    if constexpr (with_fluxes)
      for (int f = 0; f < 2 * Shape::kFluxPairs; ++f) flux[f] = get(here[f * modes * batch]);
    update(b, Mode<Real>{static_cast<Real>(row_wavenumber(i, n)), static_cast<Real>(j), factor[mode]}, state,
           flux, fields);
    for (int f = 0; f < 2 * Shape::kFieldPairs; ++f) put(here[f * modes * batch], fields[f]);
  }
};

/// Applies op at point `at` of fields [pair member][batch][n][n]; fluxes replace the first fields.
template <class Real, class Shape, class Op>
struct FluxAtPoint {
  Op op;
  Real* fields;
  std::size_t stride;  ///< values of one pair member

  SNS_HD void operator()(std::size_t at) const {
    Complex<Real> in[Shape::kFieldPairs], out[Shape::kFluxPairs];
    for (int p = 0; p < Shape::kFieldPairs; ++p)
      in[p] = {fields[2 * p * stride + at], fields[(2 * p + 1) * stride + at]};
    op(in, out);
    for (int p = 0; p < Shape::kFluxPairs; ++p) {
      fields[2 * p * stride + at] = out[p].re;
      fields[(2 * p + 1) * stride + at] = out[p].im;
    }
  }
};

/// By a backend's real transforms, field by field; updates the state in place.
template <class Backend, class Shape>
class RealFluxTransforms {
 public:
  using Real = typename Backend::Real;

  /// `factor` is a table [n][columns].
  RealFluxTransforms(const Backend& backend, int n, const std::vector<double>& factor, ArrayCounts arrays,
                     int batch)
      : backend_(backend),
        grid_{n, 1},
        arrays_(arrays),
        batch_(batch),
        factor_(grid_.modes()),
        working_(arrays.working * Shape::kStateFields * grid_.modes() * batch),
        spectra_(2 * Shape::kFieldPairs * grid_.modes() * batch),
        fields_(2 * Shape::kFieldPairs * grid_.points() * batch),
        to_physical_(backend, n, 2 * Shape::kFieldPairs * batch, Direction::inverse),
        to_spectral_(backend, n, 2 * Shape::kFluxPairs * batch, Direction::forward) {
    backend_.upload(factor.data(), factor_.data(), factor.size());
  }

  /// Begins work on kept arrays [array][batch][field][n][columns].
  void load(Complex<Real>* kept) { kept_ = kept; }
  /// Writes the results of all updates since load().
  void store(Complex<Real>*) {}

  /// Calls update at every mode; there are no fluxes yet.
  template <class Update>
  void start(Update update) {
    visit<false>(update);
  }
  /// From the fields that the last update wrote to fluxes; then calls update at every mode.
  template <class Op, class Update>
  void step(Op op, Update update) {
    to_physical_.inverse(spectra_.data(), fields_.data(), 2 * Shape::kFieldPairs * batch_);
    const std::size_t stride = grid_.points() * batch_;
    backend_.for_each(stride, FluxAtPoint<Real, Shape, Op>{op, fields_.data(), stride});
    to_spectral_.forward(fields_.data(), spectra_.data(), 2 * Shape::kFluxPairs * batch_);
    visit<true>(update);
  }

  /// Of step() without the update's own accesses to the state, in Reals of all members:
  ///   transforms    2 kFieldPairs fields there, 2 kFluxPairs back
  ///   FluxAtPoint   reads 2 kFieldPairs P, writes 2 kFluxPairs P
  ///   UpdateMode    reads 2 kFluxPairs S, writes 2 kFieldPairs S
  double step_values() const {
    const FieldValues of(grid_);
    return batch_ * 2.0 * (Shape::kFieldPairs + Shape::kFluxPairs) * (of.transform() + of.points + of.spectrum);
  }

 private:
  template <bool with_fluxes, class Update>
  void visit(Update update) {
    backend_.for_each_mode(batch_, grid_.n, all_modes(grid_),
                           UpdateMode<Real, Shape, Update, with_fluxes>{
                               update, kept_, working_.data(), spectra_.data(), factor_.data(), arrays_.kept,
                               batch_, grid_.n, grid_.columns()});
  }

  Backend backend_;
  Grid grid_;
  ArrayCounts arrays_;
  int batch_;
  Complex<Real>* kept_ = nullptr;
  typename Backend::template Buffer<Real> factor_;
  typename Backend::template Buffer<Complex<Real>> working_, spectra_;
  typename Backend::template Buffer<Real> fields_;
  typename Backend::RealTransforms to_physical_, to_spectral_;
};

}  // namespace sns::spectral
