#include "emulator/nets/periodic.hpp"

#include <ATen/Functions.h>

namespace sns {

torch::Tensor periodic_convolution(const torch::Tensor& x, const torch::Tensor& weight,
                                   const torch::Tensor& bias, int stride) {
  return at::conv2d(at::pad(x, {1, 1, 1, 1}, "circular"), weight, bias, stride);
}

}  // namespace sns
