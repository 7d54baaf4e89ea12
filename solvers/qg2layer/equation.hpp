#pragma once
// Two-layer quasi-geostrophic flow as functors over modes and grid points, shared by all backends. Symbols: q
// potential vorticity, psi streamfunction, (u, v) = (-dpsi/dy, dpsi/dx), (k, l) zonal and meridional
// wavenumber, subscripts 1 and 2 (indices 0 and 1) upper and lower layer, U mean flow, Q gradient of the mean
// PV, hat = unnormalised transform. Fields are [layer][y][x]; the half spectrum is along x.
#include "solvers/qg2layer/inversion.hpp"
#include "solvers/spectral/flux_transforms.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace sns::qg2layer {

using spectral::Mode;

inline constexpr int kLayers = 2;

/// What goes to physical space, (q1, q2), (u1, v1), (u2, v2), and what comes back, the PV fluxes of both
/// layers.
struct FluxShape {
  static constexpr int kStateFields = kLayers;
  static constexpr int kFieldPairs = 3;
  static constexpr int kFluxPairs = kLayers;
};

/// Fluxes (u + U) q and v q at a grid point [m/s^2].
template <class Real>
struct PvFlux {
  Real mean_flow[kLayers];

  template <class T>
  SNS_HD void operator()(const Complex<T>* fields, Complex<T>* fluxes) const {
    const T q1 = fields[0].re, q2 = fields[0].im;
    fluxes[0] = {q1 * (fields[1].re + mean_flow[0]), q1 * fields[1].im};
    fluxes[1] = {q2 * (fields[2].re + mean_flow[1]), q2 * fields[2].im};
  }
};

/// The equations of a mode. T is Real or a vector of them.
template <class Real>
struct Dynamics {
  Inversion<Real> inversion;
  Real unit;                  ///< 2 pi / length [1/m]
  Real pv_gradient[kLayers];  ///< Q1, Q2 [1/(m s)]
  Real bottom_drag;           ///< [1/s]
  Real per_point;             ///< 1/n^2, the normalisation of inverse transforms

  template <class T>
  SNS_HD ModeInversion<T, Real> at(const Mode<T>& mode) const {
    return inversion.at(inversion.k2(mode.row, mode.column));
  }

  /// dq_z/dt = -i k flux_x - i l flux_y - i k Q_z psi_z, and + r_ek K^2 psi_2 in the lower layer [1/s^2].
  /// `flux` holds flux_x and flux_y of the upper layer, then of the lower one.
  template <class T>
  SNS_HD Layers<Complex<T>> tendency(const Mode<T>& mode, const Complex<T>* flux,
                                     const Layers<Complex<T>>& psi) const {
    const T k = unit * mode.column, l = unit * mode.row;
    const T drag = bottom_drag * (k * k + l * l), beta1 = k * pv_gradient[0], beta2 = k * pv_gradient[1];
    return {{k * flux[0].im + l * flux[1].im + beta1 * psi.upper.im,
             -(k * flux[0].re + l * flux[1].re + beta1 * psi.upper.re)},
            {k * flux[2].im + l * flux[3].im + beta2 * psi.lower.im + drag * psi.lower.re,
             drag * psi.lower.im - (k * flux[2].re + l * flux[3].re + beta2 * psi.lower.re)}};
  }

  /// q1, q2, u1, v1, u2, v2, ready for the inverse transform.
  template <class T>
  SNS_HD void fields(const Mode<T>& mode, const ModeInversion<T, Real>& invert, const Layers<Complex<T>>& q,
                     Complex<T>* out) const {
    const Layers<Complex<T>> psi = invert(q.upper, q.lower);
    const T k = (unit * per_point) * mode.column, l = (unit * per_point) * mode.row;
    out[0] = {per_point * q.upper.re, per_point * q.upper.im};
    out[1] = {per_point * q.lower.re, per_point * q.lower.im};
    const ModeVelocity<T> upper = mode_velocity(k, l, psi.upper), lower = mode_velocity(k, l, psi.lower);
    out[2] = upper.u;
    out[3] = upper.v;
    out[4] = lower.u;
    out[5] = lower.v;
  }
};

template <class Real>
Dynamics<Real> dynamics(const Params& params) {
  return {inversion<Real>(params),
          static_cast<Real>(params.grid.unit()),
          {static_cast<Real>(params.pv_gradient(0)), static_cast<Real>(params.pv_gradient(1))},
          static_cast<Real>(params.bottom_drag),
          static_cast<Real>(1 / static_cast<double>(params.grid.points()))};
}

/// The exponential filter at w = sqrt((k dx)^2 + (l dy)^2): 1 up to cutoff pi, exp(-strength (w - cutoff pi)^4)
/// beyond.
inline double filter_at(const Filter& filter, double w) {
  const double beyond = w - filter.cutoff * 3.14159265358979323846;
  return beyond > 0 ? std::exp(-filter.strength * std::pow(beyond, 4)) : 1.0;
}
/// The filter of every mode, [n][n/2+1].
inline std::vector<double> filter_table(const Params& params) {
  const spectral::Grid& grid = params.grid;
  const double unit = grid.unit() * grid.spacing();
  std::vector<double> table;
  table.reserve(grid.modes());
  for (int i = 0; i < grid.n; ++i)
    for (int j = 0; j < grid.columns(); ++j) {
      const double l = unit * spectral::row_wavenumber(i, grid.n), k = unit * j;
      table.push_back(filter_at(params.filter, std::sqrt(k * k + l * l)));
    }
  return table;
}

/// Arrays of a member: the state's own (the first one alone for RK4), then those of a Runge-Kutta step.
struct Arrays {
  static constexpr int kPv = 0;
  static constexpr int kTendency1 = 1;  ///< of the step before
  static constexpr int kTendency2 = 2;  ///< of the step before that
  int sum, stage;                       ///< k1 + 2 k2 + 2 k3 + k4 so far, and the state that k is taken at
};

template <class State>
SNS_HD auto both_layers(const State& state, int array) {
  return Layers<decltype(state.get(array, 0))>{state.get(array, 0), state.get(array, 1)};
}
template <class T, class State>
SNS_HD void set_layers(const State& state, int array, const Layers<Complex<T>>& value) {
  state.set(array, 0, value.upper);
  state.set(array, 1, value.lower);
}
/// a + s b.
template <class T, class S>
SNS_HD Complex<T> plus(Complex<T> a, S s, Complex<T> b) {
  return {a.re + s * b.re, a.im + s * b.im};
}
template <class T, class S>
SNS_HD Layers<Complex<T>> plus(const Layers<Complex<T>>& a, S s, const Layers<Complex<T>>& b) {
  return {plus(a.upper, s, b.upper), plus(a.lower, s, b.lower)};
}
template <class T>
SNS_HD Layers<Complex<T>> filtered(const Mode<T>& mode, const Layers<Complex<T>>& a) {
  const T f = mode.factor;
  return {{f * a.upper.re, f * a.upper.im}, {f * a.lower.re, f * a.lower.im}};
}

/// Only prepares what the first tendency is made from.
template <class Real>
struct PrepareFields {
  Dynamics<Real> dynamics;

  template <class T, class State>
  SNS_HD void operator()(int, const Mode<T>& mode, const State& state, const Complex<T>*,
                         Complex<T>* fields) const {
    dynamics.fields(mode, dynamics.at(mode), both_layers(state, Arrays::kPv), fields);
  }
};

/// Steps that Adams-Bashforth looks back.
inline constexpr int kMemory = 2;

/// Tells the device how many steps, up to kMemory, members have behind them: the numbers travel with the
/// kernel's arguments, so that nothing waits for a copy.
struct TellPast {
  static constexpr int kMost = 64;
  std::uint8_t* past;
  std::uint8_t values[kMost];

  SNS_HD void operator()(std::size_t at) const { past[at] = values[at]; }
};

/// q <- filter (q + dt (c0 t_n + c1 t_{n-1} + c2 t_{n-2})): Euler, AB2, AB3 after 0, 1, 2 steps.
template <class Real>
struct AdamsBashforthUpdate {
  Dynamics<Real> dynamics;
  const std::uint8_t* past;      ///< [member]
  Real weights[kMemory + 1][3];  ///< dt c, for each number of steps behind

  template <class T, class State>
  SNS_HD void operator()(int b, const Mode<T>& mode, const State& state, const Complex<T>* flux,
                         Complex<T>* fields) const {
    const Real* w = weights[past[b]];
    const ModeInversion<T, Real> invert = dynamics.at(mode);
    const auto q = both_layers(state, Arrays::kPv);
    const auto t1 = both_layers(state, Arrays::kTendency1), t2 = both_layers(state, Arrays::kTendency2);
    const auto t = dynamics.tendency(mode, flux, invert(q.upper, q.lower));
    const auto next = filtered(mode, plus(plus(plus(q, w[0], t), w[1], t1), w[2], t2));
    set_layers(state, Arrays::kPv, next);
    set_layers(state, Arrays::kTendency2, t1);
    set_layers(state, Arrays::kTendency1, t);
    dynamics.fields(mode, invert, next, fields);
  }
};

/// Stage `stage` (0..3) of the classical Runge-Kutta scheme; the filter acts after the last one. With
/// `multistep`, members beyond their start-up do an Adams-Bashforth step in stage 0 and rest in the others,
/// and those in it keep their tendencies.
template <class Real, bool multistep>
struct RungeKuttaUpdate {
  AdamsBashforthUpdate<Real> adams_bashforth;
  Real dt;
  int stage;
  Arrays arrays;

  template <class T, class State>
  SNS_HD void operator()(int b, const Mode<T>& mode, const State& state, const Complex<T>* flux,
                         Complex<T>* fields) const {
    const Dynamics<Real>& dynamics = adams_bashforth.dynamics;
    const ModeInversion<T, Real> invert = dynamics.at(mode);
    const auto q = both_layers(state, Arrays::kPv);
    if constexpr (multistep) {
      if (adams_bashforth.past[b] == kMemory) {
        if (stage == 0)
          adams_bashforth(b, mode, state, flux, fields);
        else
          dynamics.fields(mode, invert, q, fields);
        return;
      }
    }
    const auto here = stage == 0 ? q : both_layers(state, arrays.stage);
    const auto t = dynamics.tendency(mode, flux, invert(here.upper, here.lower));
    if constexpr (multistep) {
      if (stage == 0) {
        set_layers(state, Arrays::kTendency2, both_layers(state, Arrays::kTendency1));
        set_layers(state, Arrays::kTendency1, t);
      }
    }
    const auto sum = stage == 0 ? t : plus(both_layers(state, arrays.sum), stage == 3 ? Real(1) : Real(2), t);
    const auto next =
        stage == 3 ? filtered(mode, plus(q, dt / Real(6), sum)) : plus(q, stage == 2 ? dt : Real(0.5) * dt, t);
    if (stage == 3) {
      set_layers(state, Arrays::kPv, next);
    } else {
      set_layers(state, arrays.sum, sum);
      set_layers(state, arrays.stage, next);
    }
    dynamics.fields(mode, invert, next, fields);
  }
};

/// Writes u_hat and v_hat of whole states [batch][layer][n][columns], mean flow included.
template <class Real>
struct VelocitySpectra {
  Inversion<Real> inversion;
  Velocity<Real> velocity;
  Real mean_flow[kLayers];
  const Complex<Real>* q;
  Complex<Real>*u, *v;
  int n, columns;

  SNS_HD void operator()(int b, int i, int j) const {
    const std::size_t modes = static_cast<std::size_t>(n) * columns;
    const std::size_t at = b * kLayers * modes + static_cast<std::size_t>(i) * columns + j;
    const auto psi = inversion(i, j, get(q[at]), get(q[at + modes]));
    const auto upper = velocity(i, j, psi.upper), lower = velocity(i, j, psi.lower);
    const Real mean = (i == 0) & (j == 0) ? Real(1) : Real(0);
    put(u[at], {upper.u.re + mean * mean_flow[0], upper.u.im});
    put(v[at], upper.v);
    put(u[at + modes], {lower.u.re + mean * mean_flow[1], lower.u.im});
    put(v[at + modes], lower.v);
  }
};

/// The equation as BatchEngine wants it. Transforms is the backend's way of flux transforms.
template <class Backend, class Transforms>
class Equation {
 public:
  using Params = qg2layer::Params;
  using Real = typename Backend::Real;
  static constexpr int kMemory = qg2layer::kMemory;

  Equation(const Backend& backend, const Params& params, int batch)
      : backend_(backend),
        params_(params),
        batch_(batch),
        dynamics_(dynamics<Real>(params)),
        flux_{{static_cast<Real>(params.mean_flow[0]), static_cast<Real>(params.mean_flow[1])}},
        past_(static_cast<std::size_t>(batch)),
        told_(static_cast<std::size_t>(batch), 0),
        transforms_(backend, params.grid.n, filter_table(params), {state_arrays(), runge_kutta() ? 2 : 0},
                    batch) {}

  const spectral::Grid& grid() const { return params_.grid; }
  int fields() const { return kLayers; }
  int state_arrays() const { return multistep() ? 3 : 1; }

  void advance(Complex<Real>* state, std::int64_t steps, std::int64_t* past) {
    transforms_.load(state);
    transforms_.start(PrepareFields<Real>{dynamics_});
    for (; steps > 0 && starting(past); --steps) {
      tell_past(past);
      if (multistep() && runge_kutta())
        runge_kutta_step<true>();
      else
        steady_step();
      for (int b = 0; b < batch_; ++b) past[b] = std::min<std::int64_t>(past[b] + 1, kMemory);
    }
    if (steps > 0) tell_past(past);
    sequence_.run(backend_, steps, state, [this] { steady_step(); });
    transforms_.store(state);
  }

  /// Beyond the start-up. The updates' accesses to the state, in arrays of both layers: AdamsBashforthUpdate
  /// reads and writes q and two tendencies; stage 0 of RungeKuttaUpdate reads q and writes its sum and its
  /// stage, stages 1 and 2 read and write these and read q, stage 3 reads all three and writes q.
  double step_values() const {
    const double array = batch_ * kLayers * spectral::FieldValues(params_.grid).spectrum;
    if (multistep()) return transforms_.step_values() + 6 * array;
    return 4 * transforms_.step_values() + (3 + 5 + 5 + 4) * array;
  }

  void velocity(const Complex<Real>* q, Complex<Real>* u, Complex<Real>* v, int members) {
    const double per_point = 1 / static_cast<double>(params_.grid.points());
    backend_.for_each_mode(members, params_.grid.n, all_modes(params_.grid),
                           VelocitySpectra<Real>{inversion<Real>(params_, per_point),
                                                 qg2layer::velocity<Real>(params_),
                                                 {flux_.mean_flow[0], flux_.mean_flow[1]},
                                                 q,
                                                 u,
                                                 v,
                                                 params_.grid.n,
                                                 params_.grid.columns()});
  }

 private:
  bool multistep() const { return params_.stepper == StepperName::ab3; }
  bool runge_kutta() const { return !multistep() || params_.startup == Startup::runge_kutta; }

  bool starting(const std::int64_t* past) const {
    return std::any_of(past, past + batch_, [](std::int64_t steps) { return steps < kMemory; });
  }

  /// Brings past_ up to date.
  void tell_past(const std::int64_t* past) {
    if (std::equal(told_.begin(), told_.end(), past)) return;
    for (int first = 0; first < batch_; first += TellPast::kMost) {
      const int count = std::min(TellPast::kMost, batch_ - first);
      TellPast tell{past_.data() + first, {}};
      std::copy_n(past + first, count, tell.values);
      backend_.for_each(static_cast<std::size_t>(count), tell);
    }
    told_.assign(past, past + batch_);
  }

  AdamsBashforthUpdate<Real> adams_bashforth() {
    constexpr double kWeights[kMemory + 1][3] = {{1, 0, 0}, {1.5, -0.5, 0}, {23.0 / 12, -16.0 / 12, 5.0 / 12}};
    AdamsBashforthUpdate<Real> update{dynamics_, past_.data(), {}};
    for (int steps = 0; steps <= kMemory; ++steps)
      for (int c = 0; c < 3; ++c) update.weights[steps][c] = static_cast<Real>(params_.dt * kWeights[steps][c]);
    return update;
  }

  /// The step of members that are all beyond their start-up, and Euler's or AB2 of those that are not.
  void steady_step() {
    if (multistep())
      transforms_.step(flux_, adams_bashforth());
    else
      runge_kutta_step<false>();
  }

  template <bool with_history>
  void runge_kutta_step() {
    for (int stage = 0; stage < 4; ++stage)
      transforms_.step(
          flux_,
          RungeKuttaUpdate<Real, with_history>{
              adams_bashforth(), static_cast<Real>(params_.dt), stage, {state_arrays(), state_arrays() + 1}});
  }

  Backend backend_;
  Params params_;
  int batch_;
  Dynamics<Real> dynamics_;
  PvFlux<Real> flux_;
  typename Backend::template Buffer<std::uint8_t> past_;  ///< steps behind each member, up to kMemory
  std::vector<std::int64_t> told_;                        ///< what past_ holds
  Transforms transforms_;
  typename Backend::Steps sequence_;
};

}  // namespace sns::qg2layer
