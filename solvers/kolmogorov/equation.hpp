#pragma once
// Kolmogorov flow as functors over modes and grid points, shared by all backends. Symbols: w vorticity, (u, v)
// velocity, k = (kx, ky) angular wavenumber, hat = unnormalised transform, axis 0 = x (all kx), axis 1 = y
// (ky >= 0). The stream function has lap psi = -w, so u_hat = i ky w_hat / k^2 and v_hat = -i kx w_hat / k^2.
#include "solvers/kolmogorov/params.hpp"
#include "solvers/spectral/pair_spectra.hpp"
#include "solvers/spectral/traffic.hpp"

#include <utility>

namespace sns::kolmogorov {

using spectral::Complex;
using spectral::FieldValues;
using spectral::KeptModes;
using spectral::times_i;

/// L = -nu k^2 - mu of mode (i, j) [1/time], which also damps the mean.
template <class Real>
struct LinearTerm {
  Real viscosity, drag;  ///< viscosity times (2 pi / length)^2
  int n;

  SNS_HD Real operator()(int i, int j) const {
    const int kx = spectral::row_wavenumber(i, n);
    return -viscosity * static_cast<Real>(kx * kx + j * j) - drag;
  }
};

/// Transform of curl(A sin(k_f y), 0) = -A k_f cos(k_f y): one real mode.
template <class Real>
struct Forcing {
  Real value;  ///< -A k_f n^2 / 2 [1/time^2]
  int column;

  SNS_HD Real operator()(int i, int j) const { return (i == 0) & (j == column) ? value : Real(0); }
};

/// Velocity of a mode: Biot-Savart in spectral space; `scale` carries units and normalisation.
template <class Real>
struct Velocity {
  Real scale;
  int n;

  struct Pair {
    Complex<Real> u, v;
  };
  SNS_HD Pair operator()(int i, int j, Complex<Real> w) const {
    const int kx = spectral::row_wavenumber(i, n);
    const int k2 = kx * kx + j * j;
    const Real per_k2 = scale / static_cast<Real>(k2 > 0 ? k2 : 1);
    return {times_i(per_k2 * static_cast<Real>(j), w), times_i(-per_k2 * static_cast<Real>(kx), w)};
  }
};

template <class Real>
LinearTerm<Real> linear_term(const Params& params) {
  const double unit = params.grid.unit();
  return {static_cast<Real>(params.viscosity * unit * unit), static_cast<Real>(params.drag), params.grid.n};
}
template <class Real>
Forcing<Real> forcing(const Params& params) {
  const double points = static_cast<double>(params.grid.points());
  return {static_cast<Real>(-params.forcing_amplitude * params.forcing_k() * points / 2),
          params.forcing_wavenumber};
}
/// Velocity whose unnormalised inverse transform is in physical units.
template <class Real>
Velocity<Real> velocity(const Params& params) {
  const double points = static_cast<double>(params.grid.points());
  return {static_cast<Real>(1 / (params.grid.unit() * points)), params.grid.n};
}

/// Writes u_hat and v_hat of whole spectra [batch][n][columns].
template <class Real>
struct VelocitySpectra {
  Velocity<Real> velocity;
  const Complex<Real>* w;
  Complex<Real>*u, *v;
  int n, columns;

  SNS_HD void operator()(int b, int i, int j) const {
    const std::size_t at = (static_cast<std::size_t>(b) * n + i) * columns + j;
    const auto pair = velocity(i, j, get(w[at]));
    put(u[at], pair.u);
    put(v[at], pair.v);
  }
};

/// Calls inputs(b, i, j, w) for a state [batch][n][columns].
template <class Real, class Inputs>
struct PrepareInputs {
  Inputs inputs;
  const Complex<Real>* w;
  int n, columns;

  SNS_HD void operator()(int b, int i, int j) const {
    inputs(b, i, j, get(w[(static_cast<std::size_t>(b) * n + i) * columns + j]));
  }
};

// ---- advective form: N = -mask rfft(u w_x + v w_y) + F ------------------------------------------------------

/// Writes u_hat, v_hat, i kx w_hat, i ky w_hat, each [batch][n][columns] and divided by n^2.
template <class Real>
struct AdvectiveInputs {
  Velocity<Real> velocity;
  Real gradient_scale;  ///< (2 pi / length) / n^2
  Complex<Real>* fields;
  std::size_t size;  ///< elements of one of the four
  int n, columns;

  SNS_HD void operator()(int b, int i, int j, Complex<Real> w) const {
    const std::size_t at = (static_cast<std::size_t>(b) * n + i) * columns + j;
    const auto pair = velocity(i, j, w);
    put(fields[at], pair.u);
    put(fields[size + at], pair.v);
    put(fields[2 * size + at], times_i(gradient_scale * static_cast<Real>(spectral::row_wavenumber(i, n)), w));
    put(fields[3 * size + at], times_i(gradient_scale * static_cast<Real>(j), w));
  }
};

/// u w_x + v w_y at one grid point [1/time^2]; the four fields are [batch][n][n], the result replaces u.
template <class Real>
struct AdvectVorticity {
  Real* fields;
  std::size_t size;

  SNS_HD void operator()(std::size_t at) const {
    fields[at] = fields[at] * fields[2 * size + at] + fields[size + at] * fields[3 * size + at];
  }
};

template <class Real>
struct AdvectiveTendency {
  KeptModes kept;
  Forcing<Real> forcing;
  const Complex<Real>* advection;
  int n, columns;

  SNS_HD Complex<Real> operator()(int b, int i, int j) const {
    const std::size_t at = (static_cast<std::size_t>(b) * n + i) * columns + j;
    const Real mask = kept.contains(i, j, n) ? Real(1) : Real(0);
    return {forcing(i, j) - mask * advection[at].re, -mask * advection[at].im};
  }
};

template <class Backend>
class AdvectiveForm {
 public:
  using Real = typename Backend::Real;
  using Linear = LinearTerm<Real>;
  using Tendency = AdvectiveTendency<Real>;
  using Inputs = AdvectiveInputs<Real>;

  AdvectiveForm(const Backend& backend, const Params& params, int batch)
      : backend_(backend),
        params_(params),
        batch_(batch),
        spectra_(4 * params.grid.modes() * batch),
        fields_(4 * params.grid.points() * batch),
        advection_(params.grid.modes() * batch),
        transforms_(backend, params.grid.n, 4 * batch, spectral::Direction::inverse),
        back_(backend, params.grid.n, batch, spectral::Direction::forward) {}

  const spectral::Grid& grid() const { return params_.grid; }
  spectral::Region region() const { return all_modes(params_.grid); }
  void evaluate() {
    transforms_.inverse(spectra_.data(), fields_.data(), 4 * batch_);
    const std::size_t points = params_.grid.points() * batch_;
    backend_.for_each(points, AdvectVorticity<Real>{fields_.data(), points});
    back_.forward(fields_.data(), advection_.data(), batch_);
  }
  /// Nothing is left to do after a step: all modes took part in it.
  void finish_step(Complex<Real>*) {}

  /// Of a stage without the sweep's accesses to the state, in Reals per member:
  ///   AdvectiveInputs     writes 4 S
  ///   transforms          4 fields there, 1 back
  ///   AdvectVorticity     reads 4 P, writes P
  ///   AdvectiveTendency   reads S
  double stage_values() const {
    const FieldValues of(params_.grid);
    return 5 * (of.spectrum + of.transform() + of.points);
  }
  /// Of one array of the state in a sweep.
  double swept_values() const { return FieldValues(params_.grid).spectrum; }
  double finish_values() const { return 0; }
  Linear linear() const { return linear_term<Real>(params_); }
  Tendency tendency() const {
    return {kept_modes(params_.grid.n, params_.dealiasing), forcing<Real>(params_), advection_.data(),
            params_.grid.n, params_.grid.columns()};
  }
  Inputs inputs() {
    const double n = params_.grid.n;
    return {velocity<Real>(params_), static_cast<Real>(params_.grid.unit() / (n * n)),
            spectra_.data(),         params_.grid.modes() * batch_,
            params_.grid.n,          params_.grid.columns()};
  }

 private:
  Backend backend_;
  Params params_;
  int batch_;
  typename Backend::template Buffer<Complex<Real>> spectra_;
  typename Backend::template Buffer<Real> fields_;
  typename Backend::template Buffer<Complex<Real>> advection_;
  typename Backend::RealTransforms transforms_, back_;
};

// ---- Basdevant form: N = (d_yy - d_xx)(uv) + d_xy(u^2 - v^2) + F
// ---------------------------------------------

/// Writes u_hat and v_hat of the kept modes, divided by n^2. Pairs is the backend's view of pairs of spectra.
template <class Real, class Pairs>
struct BasdevantInputs {
  Velocity<Real> velocity;
  Pairs pairs;

  SNS_HD void operator()(int b, int i, int j, Complex<Real> w) const {
    const auto pair = velocity(i, j, w);
    pairs.set(b, i, j, pair.u, pair.v);
  }
};

/// (u, v) -> (u^2 - v^2, 2 u v): the square of u + i v. T is Real or a vector of them.
struct SquareVelocity {
  template <class T>
  SNS_HD Complex<T> operator()(T u, T v) const {
    return {(u - v) * (u + v), (u + u) * v};
  }
};

/// (kx^2 - ky^2)/2 B - kx ky A + F with A, B the transforms of u^2 - v^2 and 2 u v.
template <class Real, class Pairs>
struct BasdevantTendency {
  Forcing<Real> forcing;
  Pairs pairs;
  Real unit2;  ///< (2 pi / length)^2

  SNS_HD Complex<Real> operator()(int b, int i, int j) const {
    const int kx = spectral::row_wavenumber(i, pairs.n);
    const Real strain = Real(0.5) * unit2 * static_cast<Real>(kx * kx - j * j);
    const Real shear = unit2 * static_cast<Real>(kx * j);
    const auto hat = pairs.get(b, i, j);
    return {strain * hat.b.re - shear * hat.a.re + forcing(i, j), strain * hat.b.im - shear * hat.a.im};
  }
};

/// Modes beyond the kept ones feel no advection in this form and only decay: w *= factor per step.
template <class Real>
struct DecayTruncated {
  KeptModes kept;
  const Real* factor;  ///< [n][columns]
  Complex<Real>* w;
  int n, columns;

  SNS_HD void operator()(int b, int i, int j) const {
    if (kept.contains(i, j, n)) return;
    const std::size_t mode = static_cast<std::size_t>(i) * columns + j;
    Complex<Real>& value = w[static_cast<std::size_t>(b) * n * columns + mode];
    put(value, factor[mode] * get(value));
  }
};

template <class Backend>
class BasdevantForm {
 public:
  using Real = typename Backend::Real;
  using Linear = LinearTerm<Real>;
  using Pairs = decltype(std::declval<typename Backend::PairTransforms&>().spectra());
  using Tendency = BasdevantTendency<Real, Pairs>;
  using Inputs = BasdevantInputs<Real, Pairs>;

  BasdevantForm(const Backend& backend, const Params& params, int batch)
      : backend_(backend),
        params_(params),
        kept_(kept_modes(params.grid.n, params.dealiasing)),
        batch_(batch),
        decay_(params.grid.modes()),
        transforms_(backend, params.grid.n, kept_, batch) {
    std::vector<double> factor(params.grid.modes());
    const LinearTerm<double> rate = linear_term<double>(params);
    for (int i = 0; i < params.grid.n; ++i)
      for (int j = 0; j < params.grid.columns(); ++j)
        factor[static_cast<std::size_t>(i) * params.grid.columns() + j] =
            linear_amplification(params.stepper, params.dt * rate(i, j));
    backend_.upload(factor.data(), decay_.data(), factor.size());
  }

  const spectral::Grid& grid() const { return params_.grid; }
  spectral::Region region() const { return only(kept_); }
  void evaluate() { transforms_.apply(batch_, SquareVelocity{}); }
  void finish_step(Complex<Real>* w) {
    backend_.for_each_mode(
        batch_, params_.grid.n, all_modes(params_.grid),
        DecayTruncated<Real>{kept_, decay_.data(), w, params_.grid.n, params_.grid.columns()});
  }

  /// Of a stage without the sweep's accesses to the state, in Reals per member:
  ///   BasdevantInputs     writes 2 K
  ///   PairTransforms      as apply_values() says
  ///   BasdevantTendency   reads 2 K
  double stage_values() const { return 4 * FieldValues(params_.grid, kept_).kept + transforms_.apply_values(); }
  /// Of one array of the state in a sweep.
  double swept_values() const { return FieldValues(params_.grid, kept_).kept; }
  /// DecayTruncated reads and writes S - K.
  double finish_values() const {
    const FieldValues of(params_.grid, kept_);
    return 2 * (of.spectrum - of.kept);
  }
  Linear linear() const { return linear_term<Real>(params_); }
  Tendency tendency() {
    const double unit = params_.grid.unit();
    return {forcing<Real>(params_), transforms_.spectra(), static_cast<Real>(unit * unit)};
  }
  Inputs inputs() { return {velocity<Real>(params_), transforms_.spectra()}; }

 private:
  Backend backend_;
  Params params_;
  KeptModes kept_;
  int batch_;
  typename Backend::template Buffer<Real> decay_;
  typename Backend::PairTransforms transforms_;
};

/// The equation as BatchEngine wants it, in one of the two forms.
template <class Backend, class Form>
class Equation {
 public:
  using Params = kolmogorov::Params;
  using Real = typename Backend::Real;
  static constexpr int kMemory = 0;

  Equation(const Backend& backend, const Params& params, int batch)
      : backend_(backend),
        params_(params),
        batch_(batch),
        form_(backend, params, batch),
        stepper_(params.stepper, params.dt),
        stages_(stage_arrays(params.stepper) * params.grid.modes() * static_cast<std::size_t>(batch)) {}

  const spectral::Grid& grid() const { return params_.grid; }
  int fields() const { return 1; }
  int state_arrays() const { return 1; }

  void advance(Complex<Real>* w, std::int64_t steps, std::int64_t* /*past*/) {
    backend_.for_each_mode(
        batch_, params_.grid.n, form_.region(),
        PrepareInputs<Real, typename Form::Inputs>{form_.inputs(), w, params_.grid.n, params_.grid.columns()});
    sequence_.run(backend_, steps, w, [this, w] {
      stepper_.step(backend_, form_, batch_, w, stages_.data());
      form_.finish_step(w);
    });
  }

  double step_values() const {
    return batch_ * (stage_count(params_.stepper) * form_.stage_values() +
                     state_traffic(params_.stepper) * form_.swept_values() + form_.finish_values());
  }

  void velocity(const Complex<Real>* w, Complex<Real>* u, Complex<Real>* v, int members) {
    backend_.for_each_mode(members, params_.grid.n, all_modes(params_.grid),
                           VelocitySpectra<Real>{kolmogorov::velocity<Real>(params_), w, u, v, params_.grid.n,
                                                 params_.grid.columns()});
  }

 private:
  Backend backend_;
  Params params_;
  int batch_;
  Form form_;
  spectral::ImexStepper<Backend, Form> stepper_;
  typename Backend::Steps sequence_;
  typename Backend::template Buffer<Complex<Real>> stages_;
};

}  // namespace sns::kolmogorov
