// Networks of the paper's size and the path A refinement around one of them, wall-clock time.
//
//   forward/<model>/<batch>     one forward pass of the whole network
//   refine/path_A               refinement of 8 trajectories at levels as they occur (see kTypical)
//   refine/forwards_alone       the network forwards of the same refinement, same batches, nothing else
//
// --threads=N (default 1) sets the threads of the networks.
#include "core/random.hpp"
#include "emulator/models/gaussian.hpp"
#include "emulator/models/sns.hpp"
#include "emulator/runtime.hpp"

#include <ATen/Functions.h>
#include <benchmark/benchmark.h>
#include <c10/core/InferenceMode.h>

#include <charconv>
#include <string_view>

using namespace sns;

namespace {

constexpr int kPoints = 64, kLevels = 1000;

ModelConfig paper(const std::string& kind, int hidden) {
  ModelConfig config;
  config.kind = kind;
  config.network.hidden = hidden;
  config.image = kPoints;
  config.field_std = {1.0};
  return config;
}

/// Levels (past, present) of eight trajectories: the values that the paper's Figure 7 shows for Kolmogorov
/// flow.
const std::vector<Levels> kTypical = {{0, 0}, {2, 0}, {5, 0}, {2, 2}, {5, 1}, {0, 0}, {6, 0}, {2, 0}};

torch::Tensor input(std::int64_t batch, std::int64_t channels) {
  torch::Tensor x = torch::empty({batch, channels, kPoints, kPoints});
  RandomStream stream(1, Purpose::diffusion_noise, 0);
  stream.fill_normal({x.data_ptr<float>(), static_cast<std::size_t>(x.numel())});
  return x;
}

void forward_sns(benchmark::State& state) {
  Sns model(paper("sns", 64), 1, torch::kCPU);
  const torch::Tensor x = input(state.range(0), 3);
  const c10::InferenceMode inference;
  for (auto _ : state) benchmark::DoNotOptimize(model.net().forward(x).noise);
  state.counters["parameters"] = 73727522;
}

void forward_gaussian(benchmark::State& state) {
  GaussianEmulator model(paper("gaussian", 64), 1, torch::kCPU);
  const torch::Tensor x = input(state.range(0), 1);
  const c10::InferenceMode inference;
  for (auto _ : state) benchmark::DoNotOptimize(model.residual(x));
}

void refine_path_a(benchmark::State& state) {
  Sns model(paper("sns", static_cast<int>(state.range(0))), 1, torch::kCPU);
  const torch::Tensor x = input(static_cast<std::int64_t>(kTypical.size()), 3);
  std::vector<std::uint64_t> ids;
  for (std::size_t b = 0; b < kTypical.size(); ++b) ids.push_back(b);
  std::uint64_t step = 0;
  for (auto _ : state) {
    PhiloxNoise noise(1, ids, ++step);
    benchmark::DoNotOptimize(model.levels(x));
    benchmark::DoNotOptimize(model.refine(x, kTypical, {}, noise).x);
  }
}

void refine_forwards(benchmark::State& state) {
  Sns model(paper("sns", static_cast<int>(state.range(0))), 1, torch::kCPU);
  std::vector<torch::Tensor> batches;  // one for each call of the denoiser
  const std::vector<Walk> walks = plan_walks(Path::A, SweepRule::inclusive, kTypical, kLevels);
  for (std::size_t k = 0;; ++k) {
    std::int64_t active = 0;
    for (const Walk& walk : walks) active += k < walk.moves.size() ? 1 : 0;
    if (active == 0) break;
    batches.push_back(input(active, 3));
  }
  const torch::Tensor x = input(static_cast<std::int64_t>(kTypical.size()), 3);
  const c10::InferenceMode inference;
  for (auto _ : state) {
    benchmark::DoNotOptimize(model.net().classify(x).past);
    for (const torch::Tensor& batch : batches) benchmark::DoNotOptimize(model.net().forward(batch).noise);
  }
  state.counters["forwards"] = static_cast<double>(batches.size());
}

}  // namespace

int main(int argc, char** argv) {
  int threads = 1;
  constexpr std::string_view kFlag = "--threads=";
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument.substr(0, kFlag.size()) != kFlag) continue;
    const std::string_view value = argument.substr(kFlag.size());
    std::from_chars(value.data(), value.data() + value.size(), threads);
    std::move(argv + i + 1, argv + argc, argv + i);
    --argc;
    break;
  }
  prepare_torch(threads);
  const auto add = [](const char* name, auto function) {
    return benchmark::RegisterBenchmark(name, function)->Unit(benchmark::kMillisecond)->UseRealTime();
  };
  add("forward/sns", forward_sns)->Arg(1)->Arg(8);
  add("forward/gaussian", forward_gaussian)->Arg(1)->Arg(8);
  add("refine/path_A", refine_path_a)->Arg(8)->Arg(64);
  add("refine/forwards_alone", refine_forwards)->Arg(8)->Arg(64);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
