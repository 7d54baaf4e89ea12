#pragma once
#include <torch/types.h>

namespace sns {

/// Mean square of the error of a predicted change, its Fourier modes weighted by the spectrum of the change
/// itself: with P(k) the mean power of `change` in the modes of shell k, round(|k|), over the batch,
///
///   sum_c mean(change_c^2) * sum_k P_c(k)^-exponent |error_c(k)|^2 / sum_k P_c(k)^-exponent |change_c(k)|^2 /
///   C,
///
/// so that whoever predicts no change pays what the plain mean square asks for, whatever the exponent. Exponent
/// 0 is the plain mean square; 1 counts every mode by its error relative to the mean change of its shell, so
/// that the many modes of small scales, of which little moves in a steep spectrum, count as much each as the
/// few of large ones. Shells in which nothing changes, a flow's mean above all, have the largest weight of the
/// others. error, change [B, C, n, n], scalar out; gradients flow through `error` alone.
torch::Tensor whitened_error(const torch::Tensor& error, const torch::Tensor& change, double exponent);

}  // namespace sns
