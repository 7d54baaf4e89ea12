#include "emulator/models/unpredicted_scales.hpp"

#include "core/error.hpp"
#include "emulator/half_spectrum.hpp"

#include <ATen/Functions.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <limits>

namespace sns {

UnpredictedScales::UnpredictedScales(const torch::Tensor& error, const torch::Tensor& change,
                                     const torch::Tensor& frame) {
  require(error.dim() == 2 && error.sizes() == change.sizes() && error.sizes() == frame.sizes(),
          "powers by channel and shell must have the same shape [C, shells]");
  for (const torch::Tensor* power : {&error, &change, &frame})
    require(power->isfinite().all().item<bool>(), "powers of steps hold values that are not finite");
  const torch::Tensor unknown = (error >= change) & (error > 0);  // shells without a mode have neither
  unknown.select(1, 0).fill_(false);  // the mean over the domain, which flows may conserve
  target_ = at::where(unknown, frame.to(torch::kFloat64), std::numeric_limits<double>::quiet_NaN());
  for (std::int64_t c = 0; c < unknown.size(0); ++c) {
    shells_.emplace_back();
    for (std::int64_t s = 0; s < unknown.size(1); ++s)
      if (unknown[c][s].item<bool>()) shells_.back().push_back(s);
  }
}

bool UnpredictedScales::empty() const {
  return std::all_of(shells_.begin(), shells_.end(), [](const auto& channel) { return channel.empty(); });
}

torch::Tensor UnpredictedScales::operator()(const torch::Tensor& frames) const {
  if (empty()) return frames;
  const std::int64_t n = frames.size(3), batch = frames.size(0), channels = frames.size(1);
  require(frames.dim() == 4 && frames.size(2) == n && channels == target_.size(0),
          "unpredicted scales are of {} channels of square frames", target_.size(0));
  const c10::AutoGradMode no_grad(false);
  const HalfSpectrum half = half_spectrum(n, torch::TensorOptions(torch::kFloat64).device(frames.device()));
  require(half.shells == target_.size(1), "unpredicted scales are of other frames than those of {} points", n);
  const torch::Tensor modes = at::fft_rfft2(frames, c10::nullopt, {-2, -1}, "ortho");
  // A product with a matrix of zeros and ones: scattered sums have no fixed order on a device.
  const torch::Tensor shares = at::one_hot(half.shell, half.shells).to(torch::kFloat64) *
                               (half.multiplicity / static_cast<double>(n * n)).unsqueeze(1);
  const torch::Tensor power =
      at::matmul(modes.abs().to(torch::kFloat64).square().flatten(2), shares);  // [B, C, shells]
  const torch::Tensor target = target_.to(frames.device()).unsqueeze(0);
  const torch::Tensor correction = at::where(target.isfinite() & (power > 0), (target / power).sqrt() - 1, 0.0);
  const torch::Tensor of_modes =
      correction.index_select(2, half.shell).view({batch, channels, n, n / 2 + 1}).to(torch::kFloat32);
  return frames + at::fft_irfft2(modes * of_modes, at::IntArrayRef({n, n}), {-2, -1}, "ortho");
}

}  // namespace sns
