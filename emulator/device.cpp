#include "emulator/device.hpp"

#include "core/device_name.hpp"
#include "core/error.hpp"
#include "core/log.hpp"

#include <torch/cuda.h>
#include <torch/types.h>

#include <dlfcn.h>

namespace sns {

const std::string& load_cuda_backend() {
  static const std::string why = []() -> std::string {
    if (!dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL)) {
      const char* const message = dlerror();
      return message ? message : "libtorch_cuda.so cannot be opened";
    }
    return torch::cuda::device_count() > 0 ? "" : "no GPU found";
  }();
  return why;
}

c10::Device pick_device(const std::string& name) {
  const auto device = parse_device(name);
  if (!device) fail<ConfigError>("run.device is '{}'; allowed are {}", name, kDeviceNames);
  if (device->kind == DeviceName::Kind::cpu) return torch::kCPU;
  if (device->kind == DeviceName::Kind::automatic) {
    if (load_cuda_backend().empty()) return {torch::kCUDA, 0};
    [[maybe_unused]] static const bool told = [] {  // each stage of an experiment asks
      log::info("device: CPU");
      log::debug("CUDA is not used: {}", load_cuda_backend());
      return true;
    }();
    return torch::kCPU;
  }
  require(load_cuda_backend().empty(), "run.device is '{}', but CUDA cannot be used: {}", name,
          load_cuda_backend());
  const auto count = static_cast<int>(torch::cuda::device_count());
  require(device->number < count, "run.device is '{}', but this machine has {} GPU{}", name, count,
          count == 1 ? "" : "s");
  return {torch::kCUDA, static_cast<c10::DeviceIndex>(device->number)};
}

bool cpu_has_bfloat16() {
  return __builtin_cpu_supports("avx512bf16") != 0;
}

void require_bfloat16(c10::Device device) {
  require(!device.is_cpu() || cpu_has_bfloat16(),
          "this CPU has no bfloat16 instructions (avx512_bf16), without which bfloat16 is slower than float32");
}

}  // namespace sns
