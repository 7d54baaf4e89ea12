#include "core/error.hpp"
#include "emulator/device.hpp"
#include "emulator/training/precision.hpp"
#include "experiments/benchmark.hpp"
#include "experiments/stopwatch.hpp"

#include <ATen/Functions.h>
#include <c10/core/InferenceMode.h>
#include <torch/cuda.h>

namespace sns {

MachineRates measure_machine(const std::string& device_name, const std::vector<std::string>& precisions,
                             double seconds, std::int64_t bytes, std::int64_t order) {
  const c10::InferenceMode inference;
  const torch::Device device = pick_device(device_name);
  const auto wait = [&] {
    if (device.is_cuda()) torch::cuda::synchronize(device.index());
  };
  const auto time = [&](const auto& call) {
    call();
    wait();
    return seconds_per_call(seconds, call, wait);
  };
  MachineRates rates;
  {
    const auto options = at::TensorOptions().dtype(torch::kFloat32).device(device);
    const std::int64_t numbers = bytes / static_cast<std::int64_t>(sizeof(float));
    torch::Tensor a = at::ones({numbers}, options);
    const torch::Tensor b = at::ones({numbers}, options), c = at::ones({numbers}, options);
    rates.copy_bytes = 2.0 * static_cast<double>(bytes) / time([&] { a.copy_(b); });
    rates.triad_bytes = 3.0 * static_cast<double>(bytes) / time([&] { at::add_out(a, b, c, 0.5); });
  }
  for (const std::string& precision : precisions) {
    const TensorFloat32 products(precision == "tf32");
    const auto options =
        at::TensorOptions().dtype(precision == "bfloat16" ? torch::kBFloat16 : torch::kFloat32).device(device);
    // Products of constants draw less power, and run faster, than those of a network.
    const torch::Tensor a = at::randn({order, order}, options), b = at::randn({order, order}, options);
    torch::Tensor product = at::empty({order, order}, options);
    const double operations = 2.0 * std::pow(static_cast<double>(order), 3);
    rates.matmul_flops.emplace_back(precision, operations / time([&] { at::mm_out(product, a, b); }));
  }
  return rates;
}

}  // namespace sns
