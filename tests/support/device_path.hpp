#pragma once
// Engines whose code is that of devices, on a backend that calls a kernel's threads in shuffled order, beside
// those of FFTW; and the flows that both are tried on.
#include "core/random.hpp"
#include "solvers/kolmogorov/equation.hpp"
#include "solvers/qg2layer/equation.hpp"
#include "solvers/spectral/batch_engine.hpp"
#include "tests/support/kolmogorov_cases.hpp"
#include "tests/support/qg2layer_cases.hpp"
#include "tests/support/shuffled_backend.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <memory>
#include <string>
#include <vector>

namespace sns::test {

inline constexpr int kPoints = 32;
inline constexpr int kMembers = 3;
inline constexpr int kSteps = 33;  // start-up, one step by itself, graphs of ten, single ones

template <class Params>
std::unique_ptr<spectral::Engine> fftw_engine(const Params& params, int members = kMembers) {
  return make_fftw_engine(params, members, 1);
}

template <class Real>
std::unique_ptr<spectral::Engine> shuffled(const kolmogorov::Params& params, int members,
                                           const std::shared_ptr<ShuffledQueue>& queue) {
  using Backend = ShuffledBackend<Real>;
  const Backend backend(queue);
  if (params.advection == kolmogorov::Advection::advective)
    return std::make_unique<
        spectral::BatchEngine<Backend, kolmogorov::Equation<Backend, kolmogorov::AdvectiveForm<Backend>>>>(
        backend, params, members, members, 1);
  return std::make_unique<
      spectral::BatchEngine<Backend, kolmogorov::Equation<Backend, kolmogorov::BasdevantForm<Backend>>>>(
      backend, params, members, members, 1);
}
template <class Real>
std::unique_ptr<spectral::Engine> shuffled(const qg2layer::Params& params, int members,
                                           const std::shared_ptr<ShuffledQueue>& queue) {
  using Backend = ShuffledBackend<Real>;
  using Transforms = spectral::RealFluxTransforms<Backend, qg2layer::FluxShape>;
  return std::make_unique<spectral::BatchEngine<Backend, qg2layer::Equation<Backend, Transforms>>>(
      Backend(queue), params, members, members, 1);
}
template <class Params>
std::unique_ptr<spectral::Engine> shuffled_engine(const Params& params, int members = kMembers,
                                                  std::shared_ptr<ShuffledQueue> queue = nullptr) {
  if (!queue) queue = std::make_shared<ShuffledQueue>();
  return params.single_precision ? shuffled<float>(params, members, queue)
                                 : shuffled<double>(params, members, queue);
}

inline std::size_t state_size(const kolmogorov::Params& p) {
  return p.grid.points();
}
inline std::size_t state_size(const qg2layer::Params& p) {
  return 2 * p.grid.points();
}

/// White noise in every mode, the Nyquist ones too, of a size at which advection matters.
inline std::vector<double> start(const kolmogorov::Params& p, int member) {
  RandomStream stream(static_cast<std::uint64_t>(member), Purpose::initial_condition);
  std::vector<double> w(state_size(p));
  for (double& value : w) value = 10 * stream.normal();
  return w;
}
inline std::vector<double> start(const qg2layer::Params& p, int member) {
  RandomStream stream(static_cast<std::uint64_t>(member), Purpose::initial_condition);
  std::vector<double> q(state_size(p));
  for (double& value : q) value = 1e-5 * stream.normal();
  return q;
}
template <class Params>
void set_states(spectral::Engine& engine, const Params& p, int members = kMembers, int first = 0) {
  for (int m = 0; m < members; ++m) engine.set_state(m, start(p, first + m).data());
}
template <class Params>
std::vector<double> state_of(spectral::Engine& engine, const Params& p, int member) {
  std::vector<double> state(state_size(p));
  engine.state(member, state.data());
  return state;
}
inline std::vector<std::byte> bits_of(spectral::Engine& engine, int member) {
  std::vector<std::byte> bytes(engine.state_bytes());
  engine.save(member, bytes.data());
  return bytes;
}

inline std::vector<kolmogorov::Params> kolmogorov_cases() {
  std::vector<kolmogorov::Params> cases;
  for (const auto advection : {kolmogorov::Advection::advective, kolmogorov::Advection::basdevant})
    for (const auto stepper : {spectral::StepperName::cn_rk4, spectral::StepperName::imex_rk_sil3})
      for (const bool single : {false, true}) {
        kolmogorov::Params p;
        p.grid.n = kPoints;
        p.advection = advection;
        p.stepper = stepper;
        p.dt = 0.004;
        p.single_precision = single;
        cases.push_back(p);
      }
  return cases;
}
inline std::vector<qg2layer::Params> qg2layer_cases() {
  std::vector<qg2layer::Params> cases;
  for (const bool single : {false, true})
    for (const int kind : {0, 1, 2}) {
      qg2layer::Params p = eddy_case(kPoints);
      p.dt = 7200;
      p.single_precision = single;
      if (kind == 1) p.startup = qg2layer::Startup::runge_kutta;
      if (kind == 2) p.stepper = qg2layer::StepperName::rk4;
      cases.push_back(p);
    }
  return cases;
}
inline std::string label(const kolmogorov::Params& p) {
  return fmt::format("Kolmogorov flow, {}, stepper {}, {}",
                     p.advection == kolmogorov::Advection::advective ? "advective" : "basdevant",
                     static_cast<int>(p.stepper), p.single_precision ? "float32" : "float64");
}
inline std::string label(const qg2layer::Params& p) {
  return fmt::format("two layers, stepper {}, start-up {}, {}", static_cast<int>(p.stepper),
                     static_cast<int>(p.startup), p.single_precision ? "float32" : "float64");
}

/// f(params) for every case of both systems.
template <class F>
void for_each_case(F f) {
  for (const auto& p : kolmogorov_cases()) {
    INFO(label(p));
    f(p);
  }
  for (const auto& p : qg2layer_cases()) {
    INFO(label(p));
    f(p);
  }
}

}  // namespace sns::test
