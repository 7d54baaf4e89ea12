// Kolmogorov flow, the paper's setting (viscosity 1e-4, drag 0.1, forcing at wavenumber 4, dt 1e-3): time of
// one step, the floor of its transforms, and members per second on one and two threads.
//   bench_solvers --benchmark_repetitions=5 --benchmark_report_aggregates_only=false
// Quote the minimum over repetitions of the CPU time, and ratios between rows of one run.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "bench/fft_floor.hpp"
#include "core/config.hpp"
#include "solvers/solver.hpp"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

namespace sns::bench {
namespace {

std::unique_ptr<Solver> kolmogorov(int points, const char* precision, const char* advection, int members,
                                   int threads) {
  const Config config =
      Config::parse(fmt::format("solver:\n"
                                "  system: kolmogorov\n"
                                "  grid: {{points: {}}}\n"
                                "  viscosity: 1.0e-4\n"
                                "  drag: 0.1\n"
                                "  advection: {}\n"
                                "  precision: {}\n"
                                "  stepper: {{name: cn_rk4, dt: 1.0e-3}}\n",
                                points, advection, precision));
  Section section = config.root().child("solver");
  auto solver = make_solver(section, 1, members, threads, "cpu");
  for (int m = 0; m < members; ++m) solver->initialise(m, static_cast<std::uint64_t>(m));
  solver->advance(20);
  return solver;
}

/// Steps that take about a tenth of a second, so that the call itself costs nothing.
int steps_per_call(int points) {
  return std::max(4, 1 << (22 - 2 * (31 - __builtin_clz(unsigned(points))) - 1));
}

void step(benchmark::State& state, const char* precision, const char* advection) {
  const int points = static_cast<int>(state.range(0));
  const auto solver = kolmogorov(points, precision, advection, 1, 1);
  const int steps = steps_per_call(points);
  for (auto _ : state) solver->advance(steps);
  state.counters["time_per_step"] =
      benchmark::Counter(steps, benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
  state.counters["steps"] = steps;
}

void ensemble(benchmark::State& state, const char* precision) {
  const int points = static_cast<int>(state.range(0));
  const int threads = static_cast<int>(state.range(1));
  const int members = 4;
  const auto solver = kolmogorov(points, precision, "basdevant", members, threads);
  const int steps = steps_per_call(points);
  for (auto _ : state) solver->advance(steps);
  state.counters["member_steps_per_second"] =
      benchmark::Counter(static_cast<double>(members) * steps, benchmark::Counter::kIsIterationInvariantRate);
}

void register_all() {
  using benchmark::RegisterBenchmark;
  for (const char* precision : {"float64", "float32"}) {
    for (const int n : {64, 128, 256, 512}) {
      for (const char* advection : {"basdevant", "advective"})
        RegisterBenchmark(fmt::format("step/{}/{}", precision, advection).c_str(),
                          [=](benchmark::State& s) { step(s, precision, advection); })
            ->Arg(n)
            ->Unit(benchmark::kMicrosecond);
      const std::pair<const char*, Transforms> variants[] = {{"real", Transforms::real},
                                                             {"packed", Transforms::packed},
                                                             {"packed_pruned", Transforms::packed_pruned}};
      for (const auto& [name, variant] : variants)
        RegisterBenchmark(fmt::format("transforms/{}/{}", precision, name).c_str(),
                          [=, v = variant](benchmark::State& s) {
                            if (std::string_view(precision) == "float64")
                              transforms_of_a_step<double>(s, v);
                            else
                              transforms_of_a_step<float>(s, v);
                          })
            ->Arg(n)
            ->Unit(benchmark::kMicrosecond);
      for (const int threads : {1, 2})
        RegisterBenchmark(fmt::format("ensemble/{}", precision).c_str(),
                          [=](benchmark::State& s) { ensemble(s, precision); })
            ->Args({n, threads})
            ->Unit(benchmark::kMicrosecond)
            ->UseRealTime();
    }
  }
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
