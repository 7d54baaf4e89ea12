#include "emulator/models/field_covariance.hpp"

#include "core/error.hpp"
#include "emulator/half_spectrum.hpp"

#include <ATen/Functions.h>
#include <c10/core/GradMode.h>

#include <cmath>
#include <utility>

namespace sns {
namespace {

/// Lower triangular L with L L^H = S, [..., C, C] complex128.
torch::Tensor square_root(const torch::Tensor& s) {
  constexpr double kRounding = 1e-12;  // of a channel's power: what is left of it is rounding
  const std::int64_t channels = s.size(-1);
  torch::Tensor l = at::zeros_like(s);
  const auto entry = [](const torch::Tensor& matrix, std::int64_t i, std::int64_t j) {
    return matrix.select(-2, i).select(-1, j);
  };
  for (std::int64_t j = 0; j < channels; ++j) {
    const torch::Tensor whole = at::real(entry(s, j, j));
    torch::Tensor own = whole;
    for (std::int64_t m = 0; m < j; ++m) own = own - entry(l, j, m).abs().square();
    const torch::Tensor has_own = own > kRounding * whole;
    const torch::Tensor diagonal = at::where(has_own, own, 0).sqrt();
    entry(l, j, j).copy_(diagonal);
    for (std::int64_t i = j + 1; i < channels; ++i) {
      torch::Tensor shared = entry(s, i, j);
      for (std::int64_t m = 0; m < j; ++m) shared = shared - entry(l, i, m) * at::conj(entry(l, j, m));
      entry(l, i, j).copy_(at::where(has_own, shared / at::where(has_own, diagonal, 1), 0));
    }
  }
  return l;
}

}  // namespace

FieldCovariance FieldCovariance::of(const torch::Tensor& fields) {
  require(
      fields.dim() == 4 && fields.size(0) > 0 && fields.size(2) == fields.size(3) && fields.size(3) % 2 == 0,
      "a covariance wants fields on an even number of points, the same along both axes [N, C, n, n]");
  const c10::AutoGradMode no_grad(false);
  const torch::Tensor modes =
      at::fft_rfft2(fields.to(torch::kCPU, torch::kFloat64), c10::nullopt, {-2, -1}, "ortho")
          .permute({2, 3, 1, 0});
  return FieldCovariance(at::view_as_real(
      (at::matmul(modes, modes.conj().transpose(-2, -1)) / static_cast<double>(fields.size(0))).contiguous()));
}

FieldCovariance::FieldCovariance(torch::Tensor spectrum) : spectrum_(std::move(spectrum)) {
  spectrum_ = spectrum_.to(torch::kFloat64);
  require(spectrum_.dim() == 5 && spectrum_.size(0) >= 2 && spectrum_.size(1) == spectrum_.size(0) / 2 + 1 &&
              spectrum_.size(0) % 2 == 0 && spectrum_.size(2) >= 1 && spectrum_.size(2) == spectrum_.size(3) &&
              spectrum_.size(4) == 2,
          "a covariance must have the shape [n, n/2 + 1, C, C, 2]");
  require(at::isfinite(spectrum_).all().item<bool>(), "a covariance holds values that are not finite");
}

torch::Tensor FieldCovariance::power() const {
  const HalfSpectrum half = half_spectrum(points(), torch::kFloat64);
  const torch::Tensor of_modes = at::diagonal(spectrum_.select(4, 0), 0, 2, 3).permute({2, 0, 1}).flatten(1);
  return of_modes * half.multiplicity / static_cast<double>(points() * points());
}

torch::Tensor FieldCovariance::shell_power() const {
  return half_spectrum(points(), torch::kFloat64).sum_over_shells(power(), 1);
}

std::vector<std::vector<double>> FieldCovariance::shells() const {
  const torch::Tensor sums = shell_power();
  std::vector<std::vector<double>> found;
  for (std::int64_t c = 0; c < channels(); ++c) {
    found.emplace_back();
    for (std::int64_t s = 0; s <= points() / 2; ++s)
      found.back().push_back(std::sqrt(sums[c][s].item<double>()));
  }
  return found;
}

double FieldCovariance::rms() const {
  return std::sqrt(power().sum().item<double>() / static_cast<double>(channels()));
}

ColouredNoise::ColouredNoise(const FieldCovariance& covariance)
    : root_(square_root(at::view_as_complex(covariance.spectrum().contiguous()))
                .permute({2, 3, 0, 1})
                .to(torch::kComplexFloat)
                .contiguous()) {}

torch::Tensor ColouredNoise::operator()(const torch::Tensor& white) const {
  const std::int64_t channels = root_.size(0), n = root_.size(2);
  require(white.sizes() == torch::IntArrayRef({channels, n, n}),
          "the noise is of {} channels of {} x {} points", channels, n, n);
  const c10::AutoGradMode no_grad(false);
  const torch::Tensor modes = at::fft_rfft2(white, c10::nullopt, {-2, -1}, "ortho");
  return at::fft_irfft2((root_ * modes.unsqueeze(0)).sum(1), at::IntArrayRef({n, n}), {-2, -1}, "ortho");
}

}  // namespace sns
