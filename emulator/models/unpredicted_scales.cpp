#include "emulator/models/unpredicted_scales.hpp"

#include "core/error.hpp"
#include "emulator/half_spectrum.hpp"

#include <ATen/Functions.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <limits>

namespace sns {

UnpredictedScales::UnpredictedScales(const torch::Tensor& error, const torch::Tensor& change,
                                     const torch::Tensor& frame, std::int64_t points)
    : points_(points) {
  const HalfSpectrum half = half_spectrum(points, torch::kFloat64);
  require(error.dim() == 2 && error.size(1) == half.shells && error.sizes() == change.sizes() &&
              error.sizes() == frame.sizes(),
          "powers of steps must have the shape [C, {}], for {} points", half.shells, points);
  for (const torch::Tensor* power : {&error, &change, &frame})
    require(power->isfinite().all().item<bool>(), "powers of steps hold values that are not finite");
  const torch::Tensor unknown = (error >= change) & (error > 0);  // shells without a mode have neither
  unknown.select(1, 0).fill_(false);  // the mean over the domain, which flows may conserve
  target_ = at::where(unknown, frame.to(torch::kFloat64), std::numeric_limits<double>::quiet_NaN());
  shell_ = half.shell;
  // A product with it sums over shells in a fixed order, as scattered sums on a device do not.
  shares_ = at::one_hot(half.shell, half.shells).to(torch::kFloat64) *
            (half.multiplicity / static_cast<double>(points * points)).unsqueeze(1);
  for (std::int64_t c = 0; c < unknown.size(0); ++c) {
    shells_.emplace_back();
    for (std::int64_t s = 0; s < unknown.size(1); ++s)
      if (unknown[c][s].item<bool>()) shells_.back().push_back(s);
  }
}

UnpredictedScales UnpredictedScales::to(torch::Device device) const {
  UnpredictedScales there = *this;
  for (torch::Tensor* tensor : {&there.target_, &there.shell_, &there.shares_}) *tensor = tensor->to(device);
  return there;
}

bool UnpredictedScales::none() const {
  return std::all_of(shells_.begin(), shells_.end(), [](const auto& channel) { return channel.empty(); });
}

UnpredictedScales UnpredictedScales::emptied() const {
  UnpredictedScales without = *this;
  without.target_ = at::where(target_.isfinite(), 0.0, target_);
  return without;
}

torch::Tensor UnpredictedScales::operator()(const torch::Tensor& frames) const {
  require(frames.dim() == 4 && frames.size(1) == target_.size(0) && frames.size(2) == points_ &&
              frames.size(3) == points_,
          "unpredicted scales are of {} channels of {} x {} points", target_.size(0), points_, points_);
  if (none()) return frames;
  const c10::AutoGradMode no_grad(false);
  const std::int64_t n = points_;
  const torch::Tensor modes = at::fft_rfft2(frames, c10::nullopt, {-2, -1}, "ortho");
  const torch::Tensor power =
      at::matmul(modes.abs().to(torch::kFloat64).square().flatten(2), shares_);  // [B, C, shells]
  const torch::Tensor target = target_.unsqueeze(0);
  const torch::Tensor correction = at::where(target.isfinite() & (power > 0), (target / power).sqrt() - 1, 0.0);
  const torch::Tensor of_modes = correction.index_select(2, shell_)
                                     .view({frames.size(0), frames.size(1), n, n / 2 + 1})
                                     .to(torch::kFloat32);
  return frames + at::fft_irfft2(modes * of_modes, at::IntArrayRef({n, n}), {-2, -1}, "ortho");
}

}  // namespace sns
