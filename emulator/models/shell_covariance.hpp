#pragma once
// Second moments of fields by wavenumber, and what a linear filter makes of them.
#include "emulator/diffusion/schedule.hpp"

#include <torch/types.h>

namespace sns {

/// <f_i^(k) f_j^(k)*> (real part; unitary transforms) of the modes of each shell round(|k|), float64 [shells,
/// C, C] on the CPU, of fields [N, C, n, n].
torch::Tensor shell_covariance(const torch::Tensor& fields);

/// What can be known of the noise in a field is at least what a linear filter knows that is told the power P of
/// the field: its error is R / (1 + R), R = abar P / (1 - abar). Scales down what an estimate errs by beyond
/// that, field by field, above all where frames have nothing, as in the mean of a vorticity, which is always
/// zero. error, power [shells, C, C].
torch::Tensor limited_by_filter(const torch::Tensor& error, const torch::Tensor& power,
                                const Schedule& schedule, int level);

}  // namespace sns
