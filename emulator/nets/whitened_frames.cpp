#include "emulator/nets/whitened_frames.hpp"

#include "core/error.hpp"
#include "emulator/half_spectrum.hpp"

#include <ATen/Functions.h>

namespace sns {

std::int64_t whitening_shells(std::int64_t n) {
  return half_spectrum(n, torch::kFloat64).shells;
}

torch::Tensor whitening_filter(const std::vector<double>& whitening, std::int64_t channels, std::int64_t n) {
  const std::int64_t columns = n / 2 + 1;
  if (whitening.empty()) return at::ones({channels, n, columns}, torch::kFloat32);
  const HalfSpectrum half = half_spectrum(n, torch::kFloat64);
  const auto numbers = static_cast<std::int64_t>(whitening.size());
  if (numbers % half.shells != 0 || channels % (numbers / half.shells) != 0)
    fail<ConfigError>("whitening has {} numbers; images of {} points have {} shells for each field", numbers, n,
                      half.shells);
  const std::int64_t fields = numbers / half.shells;
  const torch::Tensor deviations = at::tensor(whitening, torch::kFloat64).view({fields, half.shells});
  return deviations.index_select(1, half.shell)
      .reciprocal()
      .to(torch::kFloat32)
      .view({fields, n, columns})
      .repeat({channels / fields, 1, 1});
}

torch::Tensor whitened(const torch::Tensor& x, const torch::Tensor& filter) {
  const torch::Tensor modes = at::fft_rfft2(x.to(torch::kFloat32)) * filter.to(torch::kFloat32);
  return at::fft_irfft2(modes, at::IntArrayRef{x.size(-2), x.size(-1)}).asinh();
}

}  // namespace sns
