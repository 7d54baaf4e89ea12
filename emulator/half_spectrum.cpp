#include "emulator/half_spectrum.hpp"

#include "core/error.hpp"

#include <ATen/Functions.h>

#include <vector>

namespace sns {

torch::Tensor HalfSpectrum::sum_over_shells(const torch::Tensor& of_modes, std::int64_t dimension) const {
  require(0 <= dimension && dimension < of_modes.dim() && of_modes.size(dimension) == shell.size(0),
          "sums over shells: dimension {} of the tensor does not hold {} modes", dimension, shell.size(0));
  std::vector<std::int64_t> sizes = of_modes.sizes().vec();
  sizes[static_cast<std::size_t>(dimension)] = shells;
  return at::zeros(sizes, of_modes.options()).index_add(dimension, shell, of_modes);
}

torch::Tensor HalfSpectrum::modes_of_shell() const {
  return sum_over_shells(multiplicity, 0);
}

HalfSpectrum half_spectrum(std::int64_t n, const torch::TensorOptions& options) {
  const torch::Tensor rows = at::fft_fftfreq(n, 1.0 / static_cast<double>(n), options),
                      columns = at::fft_rfftfreq(n, 1.0 / static_cast<double>(n), options);
  HalfSpectrum half;
  half.shell = (rows.square().unsqueeze(1) + columns.square().unsqueeze(0)).sqrt().round().to(torch::kInt64);
  half.multiplicity = at::full_like(columns, 2.0);
  half.multiplicity.select(0, 0).fill_(1.0);
  if (n % 2 == 0) half.multiplicity.select(0, -1).fill_(1.0);
  half.multiplicity = half.multiplicity.unsqueeze(0).expand({n, -1}).flatten();
  half.shell = half.shell.flatten();
  // |k| is largest in the corner, n/2 along both axes.
  half.shells = static_cast<std::int64_t>(static_cast<double>(n) / 2 * 1.4143) + 2;
  return half;
}

}  // namespace sns
