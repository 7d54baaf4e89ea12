#include "emulator/models/whitened_error.hpp"

#include "core/error.hpp"
#include "emulator/half_spectrum.hpp"

#include <ATen/Functions.h>
#include <c10/core/GradMode.h>

namespace sns {
namespace {

/// A shell whose modes have less than this part of the strongest shell's power has nothing but rounding:
/// squares of float32 values carry 1e-14 of theirs, those of the difference of two frames about 1e-11, as it is
/// so much smaller.
constexpr double kRounding = 1e-10;

/// Power of the modes [C, n * (n/2 + 1)], the mean over the batch.
torch::Tensor power(const torch::Tensor& field, const torch::Tensor& multiplicity) {
  const torch::Tensor modes = at::view_as_real(at::fft_rfft2(field, c10::nullopt, {-2, -1}, "ortho"));
  return modes.square().sum(-1).mean(0).flatten(1) * multiplicity;
}

}  // namespace

torch::Tensor whitened_error(const torch::Tensor& error, const torch::Tensor& change, double exponent) {
  require(error.dim() == 4 && error.size(2) == error.size(3) && error.sizes() == change.sizes(),
          "the whitened error wants square images [B, C, n, n]");
  const HalfSpectrum half = half_spectrum(error.size(3), error.options().requires_grad(false));
  torch::Tensor scale, weight;
  {
    const c10::AutoGradMode no_grad(false);
    const torch::Tensor modes = power(change, half.multiplicity);
    const torch::Tensor shells = half.sum_over_shells(modes, 1) / half.modes_of_shell().clamp_min(1);
    const torch::Tensor resolved = shells > shells.amax(1, true) * kRounding,
                        weights = at::where(resolved, shells, 1).pow(-exponent);
    const torch::Tensor largest = (weights * resolved).amax(1, true);
    weight = at::where(resolved, weights, largest).index_select(1, half.shell);
    scale = modes.sum(1) / (modes * weight).sum(1).clamp_min(1e-30);
  }
  const auto values = static_cast<double>(error.size(1) * error.size(2) * error.size(3));
  return (scale * (power(error, half.multiplicity) * weight).sum(1)).sum() / values;
}

}  // namespace sns
