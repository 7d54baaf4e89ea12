#pragma once
// A world of Gaussian pairs of frames, in which the best denoiser and the best prediction are linear, and
// known.
#include "core/random.hpp"
#include "emulator/diffusion/schedule.hpp"
#include "emulator/half_spectrum.hpp"
#include "emulator/models/field_covariance.hpp"

#include <ATen/Functions.h>
#include <torch/types.h>

#include <span>
#include <utility>
#include <vector>

namespace sns::test {

inline constexpr std::int64_t kPoints = 8;
inline const Schedule kSchedule = Schedule::geometric(5, {0.2, 0.8});

inline torch::Tensor shell_of_mode() {
  return half_spectrum(kPoints, torch::kFloat64).shell.view({kPoints, kPoints / 2 + 1});
}

/// A past and a present frame, each of one field, that are correlated the less the smaller the scale:
/// covariance of the modes of shell k, [shells, 2, 2].
inline torch::Tensor law() {
  const std::int64_t shells = half_spectrum(kPoints, torch::kFloat64).shells;
  torch::Tensor p = torch::empty({shells, 2, 2}, torch::kFloat64);
  for (std::int64_t k = 0; k < shells; ++k) {
    const double power = 6.0 / (1 + static_cast<double>(k * k)),
                 together = 0.9 * power / (1 + 0.2 * static_cast<double>(k));
    p[k] = torch::tensor({power, together, together, 0.8 * power}, torch::kFloat64).view({2, 2});
  }
  return p;
}

/// Pairs of frames with the law, [B, 2, n, n].
inline torch::Tensor pairs_of_law(int count) {
  const torch::Tensor modes =
      law().index_select(0, shell_of_mode().flatten()).view({kPoints, kPoints / 2 + 1, 2, 2});
  const ColouredNoise coloured(FieldCovariance(torch::stack({modes, torch::zeros_like(modes)}, -1)));
  torch::Tensor white = torch::empty({count, 2, kPoints, kPoints});
  RandomStream(3, Purpose::validation, 0)
      .fill_normal(std::span<float>(white.data_ptr<float>(), static_cast<std::size_t>(white.numel())));
  std::vector<torch::Tensor> pairs;
  for (int i = 0; i < count; ++i) pairs.push_back(coloured(white[i]));
  return torch::stack(pairs);
}

/// Power of (past, present) of pairs [B, 2, n, n] in the shells 1, 2, .. n/2, over that of the law; and their
/// covariance likewise: [3][shell].
inline std::vector<std::vector<double>> over_law(const torch::Tensor& pairs) {
  const torch::Tensor spectrum = FieldCovariance::of(pairs).spectrum().select(4, 0);  // [n, n/2+1, 2, 2]
  const HalfSpectrum half = half_spectrum(kPoints, torch::kFloat64);
  std::vector<std::vector<double>> ratios;
  for (const auto& [i, j] : {std::pair{0, 0}, {1, 1}, {0, 1}}) {
    const torch::Tensor entry = spectrum.select(2, i).select(2, j).flatten() * half.multiplicity;
    const torch::Tensor ratio =
        half.sum_over_shells(entry, 0) / half.modes_of_shell() / law().select(1, i).select(1, j);
    ratios.emplace_back();
    for (std::int64_t k = 1; k <= kPoints / 2; ++k) ratios.back().push_back(ratio[k].item<double>());
  }
  return ratios;
}

}  // namespace sns::test
