#pragma once
#include <torch/types.h>

namespace sns {

/// The modes that fft_rfft2 gives of a real n x n image in one dimension of n * (n/2 + 1). Wavenumbers are in
/// periods per side.
struct HalfSpectrum {
  torch::Tensor shell;         ///< round(|k|), int64
  torch::Tensor multiplicity;  ///< 2 where the mode stands for its conjugate too
  std::int64_t shells = 0;     ///< more than the largest shell

  /// Sums over the modes of each shell, along `dimension` of `of_modes`, from 0, which has all modes; Error
  /// otherwise. On a device the order of the sums, and so the last bits, may differ from call to call.
  torch::Tensor sum_over_shells(const torch::Tensor& of_modes, std::int64_t dimension) const;
  /// How many modes each shell has, conjugates among them: [shells], 0 beyond the largest.
  torch::Tensor modes_of_shell() const;
};

/// `options`: type (floating point) and device of the multiplicities.
HalfSpectrum half_spectrum(std::int64_t n, const torch::TensorOptions& options);

}  // namespace sns
