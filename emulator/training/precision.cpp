#include "emulator/training/precision.hpp"

#include "core/error.hpp"
#include "emulator/device.hpp"

#include <ATen/Context.h>
#include <ATen/autocast_mode.h>
#include <ATen/detail/CUDAHooksInterface.h>

namespace sns {

TensorFloat32::TensorFloat32(bool allowed)
    : products_(at::globalContext().allowTF32CuBLAS()), convolutions_(at::globalContext().allowTF32CuDNN()) {
  at::globalContext().setAllowTF32CuBLAS(allowed);
  at::globalContext().setAllowTF32CuDNN(allowed);
}

TensorFloat32::~TensorFloat32() {
  at::globalContext().setAllowTF32CuBLAS(products_);
  at::globalContext().setAllowTF32CuDNN(convolutions_);
}

TimedConvolutions::TimedConvolutions() : before_(at::globalContext().benchmarkCuDNN()) {
  at::globalContext().setBenchmarkCuDNN(true);
}

TimedConvolutions::~TimedConvolutions() {
  at::globalContext().setBenchmarkCuDNN(before_);
}

Autocast::Autocast(bool on, torch::Device device) : on_(on), device_(device.type()) {
  if (!on_) return;
  before_ = at::autocast::is_autocast_enabled(device_);
  at::autocast::set_autocast_enabled(device_, true);
  at::autocast::set_autocast_dtype(device_, at::kBFloat16);
  at::autocast::increment_nesting();
}

Autocast::~Autocast() {
  if (!on_) return;
  if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
  at::autocast::set_autocast_enabled(device_, before_);
}

std::string precision_warning(const std::string& key, const std::string& precision, torch::Device device) {
  if (precision == "float32") return {};
  if (device.is_cpu()) {
    if (precision == "tf32") return key + ": tf32 is float32 on the CPU";
    if (cpu_has_bfloat16()) return {};
    return key + ": this CPU has no bfloat16 instructions; bfloat16 is emulated and slower than float32";
  }
  // The question that LibTorch's CPU half can put to the CUDA half; true from compute capability 8.0 on.
  if (at::detail::getCUDAHooks().supportsBFloat16ConvolutionWithCuDNNv8()) return {};
  if (precision == "tf32") return fmt::format("{}: {} has no TF32; tf32 is float32 there", key, device.str());
  return fmt::format("{}: {} has no bfloat16 units; bfloat16 is emulated and slow there", key, device.str());
}

}  // namespace sns
