#pragma once
#include <string>

namespace c10 {
struct Device;  // torch::Device, without LibTorch's headers for those who only ask why there is no CUDA
}

namespace sns {

/// Opens libtorch_cuda.so where it can be loaded (once per process, before the first use of torch's CUDA): the
/// program links the CPU half alone. Returns an empty string, or why there is no CUDA.
const std::string& load_cuda_backend();

/// "auto" (first GPU, else CPU, which is logged), "cpu", "cuda", "cuda:N". ConfigError for another word, Error
/// if a GPU was asked for and none is usable.
c10::Device pick_device(const std::string& name);

/// Whether this CPU has bfloat16 instructions (avx512_bf16); without them the type is emulated.
bool cpu_has_bfloat16();
/// Error where this CPU has no bfloat16 instructions, without which the type is slower than float32.
void require_bfloat16(c10::Device device);

}  // namespace sns
