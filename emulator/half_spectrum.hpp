#pragma once
#include <torch/types.h>

namespace sns {

/// The modes that fft_rfft2 gives of a real n x n image in one dimension of n * (n/2 + 1). Wavenumbers are in
/// periods per side.
struct HalfSpectrum {
  torch::Tensor shell;         ///< round(|k|), int64
  torch::Tensor multiplicity;  ///< 2 where the mode stands for its conjugate too
  std::int64_t shells = 0;     ///< more than the largest shell
};

/// `options`: type (floating point) and device of the multiplicities.
HalfSpectrum half_spectrum(std::int64_t n, const torch::TensorOptions& options);

}  // namespace sns
