// Networks of several widths (64: the paper's) and the path A refinement around one of them, wall-clock time.
//
//   forward/<model>/<hidden>/<batch>             one evaluation of the whole network
//   forward/<model>_bfloat16/<hidden>/<batch>    the same in bfloat16
//   forward/<model>_one_by_one/<hidden>/<batch>  the same, sample after sample
//   refine/path_A/<hidden>           refinement of 8 trajectories at levels as they occur (see kTypical)
//   refine/forwards_alone/<hidden>   the network forwards of the same refinement, same batches, nothing else
//
// --threads=N (default 1) sets the threads of the networks.
#include "core/error.hpp"
#include "core/random.hpp"
#include "emulator/models/gaussian.hpp"
#include "emulator/models/sns.hpp"
#include "emulator/nets/initialise.hpp"
#include "emulator/runtime.hpp"

#include <ATen/Functions.h>
#include <benchmark/benchmark.h>
#include <c10/core/InferenceMode.h>

#include <charconv>
#include <string>
#include <string_view>
#include <utility>

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

/// One evaluation by `evaluate(model, x)`; state: hidden, batch.
template <class M, class Evaluate>
auto forward(const std::string& kind, std::int64_t channels, const Inference& how, const Evaluate& evaluate) {
  return [=](benchmark::State& state) {
    M model(paper(kind, static_cast<int>(state.range(0))), 1, torch::kCPU);
    try {
      model.use_for(how);
    } catch (const Error& error) {
      state.SkipWithError(error.what());
      return;
    }
    const torch::Tensor x = input(state.range(1), channels);
    const c10::InferenceMode inference;
    for (auto _ : state) benchmark::DoNotOptimize(evaluate(model, x));
    state.counters["parameters"] = static_cast<double>(parameter_count(model.network()));
  };
}

auto forward_sns(const Inference& how) {
  return forward<Sns>("sns", 3, how,
                      [](Sns& model, const torch::Tensor& x) { return model.noise_estimate(x, {}); });
}

auto forward_gaussian(const Inference& how) {
  return forward<GaussianEmulator>(
      "gaussian", 1, how, [](GaussianEmulator& model, const torch::Tensor& x) { return model.step(x); });
}

void refine_path_a(benchmark::State& state) {
  Sns model(paper("sns", static_cast<int>(state.range(0))), 1, torch::kCPU);
  const torch::Tensor x = input(static_cast<std::int64_t>(kTypical.size()), 3);
  std::vector<std::uint64_t> ids;
  for (std::size_t b = 0; b < kTypical.size(); ++b) ids.push_back(b);
  std::uint64_t step = 0;
  const c10::InferenceMode inference;
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
  const auto add = [](const std::string& name, auto function) {
    return benchmark::RegisterBenchmark(name.c_str(), function)->Unit(benchmark::kMillisecond)->UseRealTime();
  };
  const std::pair<std::string, Inference> ways[] = {
      {"", {}}, {"_bfloat16", {.precision = torch::kBFloat16}}, {"_one_by_one", {.one_by_one = true}}};
  for (const auto& [suffix, how] : ways) {
    add("forward/sns" + suffix, forward_sns(how))->ArgsProduct({{8, 16, 32, 64}, {1, 8}});
    add("forward/gaussian" + suffix, forward_gaussian(how))->ArgsProduct({{8, 16, 32, 64}, {1, 8}});
  }
  add("refine/path_A", refine_path_a)->Arg(8)->Arg(16)->Arg(64);
  add("refine/forwards_alone", refine_forwards)->Arg(8)->Arg(16)->Arg(64);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
