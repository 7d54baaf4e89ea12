#include "emulator/models/shell_covariance.hpp"

#include "emulator/half_spectrum.hpp"

#include <ATen/Functions.h>

namespace sns {

torch::Tensor shell_covariance(const torch::Tensor& fields) {
  const HalfSpectrum half = half_spectrum(fields.size(3), torch::kFloat64);
  const torch::Tensor modes =
      at::fft_rfft2(fields.to(torch::kCPU, torch::kFloat64), c10::nullopt, {-2, -1}, "ortho")
          .flatten(2)
          .permute({2, 1, 0});
  // A mode and its conjugate have the same real part.
  const torch::Tensor products = at::real(at::matmul(modes, modes.conj().transpose(-2, -1))) /
                                 static_cast<double>(fields.size(0)) * half.multiplicity.view({-1, 1, 1});
  return half.sum_over_shells(products, 0) / half.modes_of_shell().clamp_min(1).view({-1, 1, 1});
}

torch::Tensor limited_by_filter(const torch::Tensor& error, const torch::Tensor& power,
                                const Schedule& schedule, int level) {
  const auto powers = [](const torch::Tensor& covariance) { return at::diagonal(covariance, 0, -2, -1); };
  const double ratio = schedule.signal(level) / schedule.noise_std(level);
  const torch::Tensor signal = powers(power) * ratio * ratio, most = signal / (1 + signal),
                      found = powers(error);
  const torch::Tensor scale = at::where(found > most, most / found.clamp_min(1e-30), 1).sqrt();
  return error * scale.unsqueeze(-1) * scale.unsqueeze(-2);
}

}  // namespace sns
