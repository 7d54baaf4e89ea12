#pragma once
// Second moments of fields by wavenumber.
#include <torch/types.h>

namespace sns {

/// <f_i^(k) f_j^(k)*> (real part; unitary transforms) of the modes of each shell round(|k|), float64 [shells,
/// C, C] on the CPU, of fields [N, C, n, n].
torch::Tensor shell_covariance(const torch::Tensor& fields);

}  // namespace sns
