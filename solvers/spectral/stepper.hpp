#pragma once
// Implicit-explicit time steppers for dw/dt = N(w) + L w with a diagonal, real L: the scheme knows L and N
// only through three small functors of the equation,
//   linear(i, j)          L of mode (i, j) [1/time]
//   tendency(b, i, j)     N of member b's mode (i, j), after the equation has evaluated it
//   inputs(b, i, j, w)    writes what the equation transforms to evaluate N next
// so that a stage is one sweep over the modes followed by one evaluation.
#include "solvers/spectral/complex.hpp"
#include "solvers/spectral/grid.hpp"

#include <array>
#include <cstddef>
#include <string>
#include <vector>

namespace sns::spectral {

enum class StepperName { cn_rk4, cn_rk3, cn_rk2, imex_euler, imex_rk_sil3 };

/// One stage of a low-storage scheme:
///   h <- N(w) + carry h,   w <- (w + weight dt h + explicit_part dt L w) / (1 - implicit_part dt L).
struct LowStorageStage {
  double carry, weight, explicit_part, implicit_part;
};

/// Crank-Nicolson with Carpenter & Kennedy's 5-stage RK4 or the 3-stage RK3 (as jax-cfd's
/// crank_nicolson_rk4 / _rk3), crank_nicolson_rk2 rewritten in the same form (its second stage starts from the
/// first one: u2 = u1 + dt/2 (N(u1) - N(u0)) / (1 - dt/2 L)), and forward-backward Euler.
std::vector<LowStorageStage> low_storage_stages(StepperName name);

/// Stiffly accurate additive Runge-Kutta scheme of three stages, IMEX-RK-SIL3 (Whitaker & Kar 2013):
///   u_s = (w + dt sum_j<s (explicit[s][j] N(u_j) + implicit[s][j] L u_j)) / (1 - dt implicit[s][s] L), w <-
///   u_3.
struct Sil3 {
  static constexpr int kStages = 3;
  double explicit_part[3][3] = {{1.0 / 3, 0, 0}, {1.0 / 6, 1.0 / 2, 0}, {1.0 / 2, -1.0 / 2, 1}};
  double implicit_part[3][4] = {
      {1.0 / 6, 1.0 / 6, 0, 0}, {1.0 / 3, 0, 1.0 / 3, 0}, {3.0 / 8, 0, 3.0 / 8, 1.0 / 4}};
};

/// N and L evaluations aside, what one step multiplies a mode by when N = 0, for x = dt L.
double linear_amplification(StepperName name, double x);

/// What one step of the explicit part alone multiplies a mode by that turns, dw/dt = i omega w, for
/// turn = omega dt: a modulus.
double explicit_amplification(StepperName name, double turn);
/// Largest turn up to which the explicit part amplifies none; 0 for schemes that amplify all, cn_rk2 by
/// turn^4/8 and imex_euler by turn^2/2 a step.
double stable_turn(StepperName name);

/// Kernel of LowStorageStage over modes of [batch][n][columns] arrays.
template <class Real, class Equation, bool first>
struct LowStorageKernel {
  typename Equation::Linear linear;
  typename Equation::Tendency tendency;
  typename Equation::Inputs inputs;
  Real carry_factor, weight, explicit_part, implicit_part;  ///< the last three times dt
  Complex<Real>*w, *carry;
  int n, columns;

  SNS_HD void operator()(int b, int i, int j) const {
    const std::size_t at = (static_cast<std::size_t>(b) * n + i) * columns + j;
    const Real rate = linear(i, j);
    Complex<Real> h = tendency(b, i, j);
    if constexpr (!first) h = h + carry_factor * get(carry[at]);
    put(carry[at], h);
    // Written as an increment, so that the rounding of `scale` acts on a small number.
    const Real scale = Real(1) / (Real(1) - implicit_part * rate);
    const Complex<Real> now = get(w[at]);
    const Complex<Real> next = now + scale * (((explicit_part + implicit_part) * rate) * now + weight * h);
    put(w[at], next);
    inputs(b, i, j, next);
  }
};

/// Kernel of stage `stage` (0..2) of Sil3. `stored` holds four arrays of the state's shape: N(u_0), N(u_1),
/// u_1, u_2.
template <class Real, class Equation>
struct Sil3Kernel {
  typename Equation::Linear linear;
  typename Equation::Tendency tendency;
  typename Equation::Inputs inputs;
  Real dt;
  Sil3 scheme;
  int stage;
  Complex<Real>*w, *stored;
  std::size_t size;  ///< elements of one array
  int n, columns;

  SNS_HD void operator()(int b, int i, int j) const {
    const std::size_t at = (static_cast<std::size_t>(b) * n + i) * columns + j;
    const Real rate = linear(i, j);
    const Complex<Real> explicit_now = tendency(b, i, j);
    const auto explicit_weight = [&](int s) { return dt * static_cast<Real>(scheme.explicit_part[stage][s]); };
    const auto implicit_weight = [&](int s) {
      return dt * rate * static_cast<Real>(scheme.implicit_part[stage][s]);
    };
    const Real now = implicit_weight(stage + 1);
    Complex<Real> sum = (implicit_weight(0) + now) * w[at] + explicit_weight(stage) * explicit_now;
    for (int s = 0; s < stage; ++s)
      sum = sum + explicit_weight(s) * stored[s * size + at] +
            implicit_weight(s + 1) * stored[(s + 2) * size + at];
    const Complex<Real> next = w[at] + (Real(1) / (Real(1) - now)) * sum;
    if (stage < 2) {
      stored[stage * size + at] = explicit_now;
      stored[(stage + 2) * size + at] = next;
    } else {
      w[at] = next;
    }
    inputs(b, i, j, next);
  }
};

/// Arrays of the state's shape that a step keeps between its stages.
inline int stage_arrays(StepperName name) {
  return name == StepperName::imex_rk_sil3 ? 4 : 1;
}

/// Arrays of the state's shape, over the modes of the sweeps, that a step reads and writes. A low-storage stage
/// reads and writes w and the carry, but the first one reads no carry. Stages 0, 1, 2 of Sil3 read w and 0, 2,
/// 4 stored arrays, and write two stored ones, two, and w.
inline double state_traffic(StepperName name) {
  if (name == StepperName::imex_rk_sil3) return 3 + 6 + 5;
  return 4.0 * static_cast<double>(low_storage_stages(name).size()) - 1;
}
inline int stage_count(StepperName name) {
  return name == StepperName::imex_rk_sil3 ? Sil3::kStages : static_cast<int>(low_storage_stages(name).size());
}

/// One time step of `batch` members in place. `equation` offers evaluate() (tendency of what inputs() wrote
/// last) and the three functors; `stored` has stage_arrays(name) arrays of the state's shape.
template <class Backend, class Equation>
class ImexStepper {
 public:
  using Real = typename Backend::Real;

  ImexStepper(StepperName name, double dt) : name_(name), dt_(dt), stages_(low_storage_stages(name)) {}

  void step(const Backend& backend, Equation& equation, int batch, Complex<Real>* w,
            Complex<Real>* stored) const {
    const Grid& grid = equation.grid();
    if (name_ == StepperName::imex_rk_sil3) {
      const std::size_t size = grid.modes() * static_cast<std::size_t>(batch);
      for (int s = 0; s < Sil3::kStages; ++s) {
        equation.evaluate();
        backend.for_each_mode(batch, grid.n, equation.region(),
                              Sil3Kernel<Real, Equation>{equation.linear(), equation.tendency(),
                                                         equation.inputs(), static_cast<Real>(dt_), Sil3{}, s,
                                                         w, stored, size, grid.n, grid.columns()});
      }
      return;
    }
    for (const LowStorageStage& stage : stages_) {
      equation.evaluate();
      if (&stage == &stages_.front())
        backend.for_each_mode(batch, grid.n, equation.region(), kernel<true>(stage, equation, w, stored));
      else
        backend.for_each_mode(batch, grid.n, equation.region(), kernel<false>(stage, equation, w, stored));
    }
  }

 private:
  template <bool first>
  LowStorageKernel<Real, Equation, first> kernel(const LowStorageStage& stage, Equation& equation,
                                                 Complex<Real>* w, Complex<Real>* stored) const {
    return {equation.linear(),
            equation.tendency(),
            equation.inputs(),
            static_cast<Real>(stage.carry),
            static_cast<Real>(stage.weight * dt_),
            static_cast<Real>(stage.explicit_part * dt_),
            static_cast<Real>(stage.implicit_part * dt_),
            w,
            stored,
            equation.grid().n,
            equation.grid().columns()};
  }

  StepperName name_;
  double dt_;
  std::vector<LowStorageStage> stages_;
};

}  // namespace sns::spectral
