// Kolmogorov flow (viscosity 1e-4, drag 0.1, forcing at wavenumber 4, dt 1e-3) and two-layer quasi-geostrophic
// flow (the jet case, AB3), both the SNS paper's settings: time of one step, the floor of its transforms, and
// what a second thread gives (ensemble/: medians of calls in turns).
//   bench_solvers --benchmark_repetitions=5 --benchmark_report_aggregates_only=false
// Quote the minimum over repetitions of the CPU time, and ratios between rows of one run.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "bench/fft_floor.hpp"
#include "core/config.hpp"
#include "solvers/solver.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace sns::bench {
namespace {

std::unique_ptr<Solver> ready(const std::string& block, int members, int threads) {
  const Config config = Config::parse("solver: " + block);
  Section section = config.root().child("solver");
  auto solver = make_solver(section, 1, members, threads, "cpu");
  for (int m = 0; m < members; ++m) solver->initialise(m, static_cast<std::uint64_t>(m));
  solver->advance(20);
  return solver;
}

std::string kolmogorov(int points, const char* precision, const char* advection) {
  return fmt::format(
      "{{system: kolmogorov, grid: {{points: {}}}, viscosity: 1.0e-4, drag: 0.1, advection: {}, precision: {}, "
      "stepper: {{name: cn_rk4, dt: 1.0e-3}}}}",
      points, advection, precision);
}

std::string jet(int points, const char* precision) {
  return fmt::format(
      "{{system: qg2layer, grid: {{points: {}, length: 1.0e6}}, beta: 1.0e-11, bottom_drag: 7.0e-8, "
      "deformation_radius: 15000.0, depth_ratio: 0.1, mean_flow: [0.025, 0.0], precision: {}, "
      "stepper: {{name: ab3, dt: 3600.0}}}}",
      points, precision);
}

/// Steps that take about a tenth of a second, so that the call itself costs nothing.
int steps_per_call(int points) {
  return std::max(4, 1 << (22 - 2 * (31 - __builtin_clz(unsigned(points))) - 1));
}

void step(benchmark::State& state, const std::string& block) {
  const auto solver = ready(block, 1, 1);
  const int steps = steps_per_call(static_cast<int>(state.range(0)));
  for (auto _ : state) solver->advance(steps);
  state.counters["time_per_step"] =
      benchmark::Counter(steps, benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
  state.counters["steps"] = steps;
}

double seconds(const std::function<void()>& body) {
  const auto begin = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + std::ssize(values) / 2;
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// Four members on one thread and on two in turns, so that what the machine gives at the moment is the same for
/// both, and two members each on two solvers that share nothing: what two of its cores can do at all.
void ensemble(benchmark::State& state, const std::string& block) {
  const int members = 4, steps = steps_per_call(static_cast<int>(state.range(0)));
  const auto one = ready(block, members, 1), two = ready(block, members, 2);
  const auto left = ready(block, members / 2, 1), right = ready(block, members / 2, 1);
  std::vector<double> on_one, on_two, apart;
  for (auto _ : state) {
    on_one.push_back(seconds([&] { one->advance(steps); }));
    on_two.push_back(seconds([&] { two->advance(steps); }));
    apart.push_back(seconds([&] {
      const std::jthread other([&] { right->advance(steps); });
      left->advance(steps);
    }));
    state.SetIterationTime(on_two.back());
  }
  state.counters["member_steps_per_second"] = members * steps / median(on_two);
  state.counters["two_over_one"] = median(on_one) / median(on_two);
  state.counters["two_solvers_over_one"] = median(on_one) / median(apart);
}

template <class F>
benchmark::internal::Benchmark* add(const std::string& name, F f) {
  return benchmark::RegisterBenchmark(name.c_str(), f)->Unit(benchmark::kMicrosecond);
}

void register_ensemble(const std::string& name, const std::string& block, int n) {
  constexpr int kTurns = 15;
  add(name, [=](benchmark::State& s) { ensemble(s, block); })->Arg(n)->UseManualTime()->Iterations(kTurns);
}

template <class Real>
void register_precision(const char* precision) {
  const std::pair<const char*, Transforms> variants[] = {{"real", Transforms::real},
                                                         {"packed", Transforms::packed},
                                                         {"packed_pruned", Transforms::packed_pruned},
                                                         {"real_pruned", Transforms::real_pruned}};
  for (const int n : {64, 128, 256, 512}) {
    for (const char* advection : {"basdevant", "advective"})
      add(fmt::format("step/{}/{}", precision, advection), [=](benchmark::State& s) {
        step(s, kolmogorov(n, precision, advection));
      })->Arg(n);
    for (const auto& [name, variant] : variants)
      add(fmt::format("transforms/{}/{}", precision, name), [v = variant](benchmark::State& s) {
        transforms_of_a_step<Real>(s, v);
      })->Arg(n);
    register_ensemble(fmt::format("ensemble/{}", precision), kolmogorov(n, precision, "basdevant"), n);

    add(fmt::format("qg2layer/step/{}", precision), [=](benchmark::State& s) {
      step(s, jet(n, precision));
    })->Arg(n);
    for (const auto& [name, variant] : variants)
      if (variant == Transforms::real || variant == Transforms::packed)
        add(fmt::format("qg2layer/transforms/{}/{}", precision, name), [v = variant](benchmark::State& s) {
          transforms_of_a_two_layer_step<Real>(s, v);
        })->Arg(n);
    register_ensemble(fmt::format("qg2layer/ensemble/{}", precision), jet(n, precision), n);
  }
}

void register_all() {
  register_precision<double>("float64");
  register_precision<float>("float32");
}

}  // namespace
}  // namespace sns::bench

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  sns::bench::register_all();
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
