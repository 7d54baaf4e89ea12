#pragma once
#include <torch/types.h>

namespace sns {

/// 3x3 convolution with periodic boundaries. x [B, i, n, m], weight [o, i, 3, 3], bias [o];
/// stride 1 or 2. Differentiable. The result comes in the given order of memory, x's by default.
torch::Tensor periodic_convolution(const torch::Tensor& x, const torch::Tensor& weight,
                                   const torch::Tensor& bias, int stride = 1,
                                   at::MemoryFormat format = at::MemoryFormat::Preserve);

/// The same from PyTorch's operations alone, for any device, type of number and autocast.
torch::Tensor composed_periodic_convolution(const torch::Tensor& x, const torch::Tensor& weight,
                                            const torch::Tensor& bias, int stride, at::MemoryFormat format);

}  // namespace sns
