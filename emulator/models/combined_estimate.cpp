#include "emulator/models/combined_estimate.hpp"

#include "core/error.hpp"
#include "emulator/half_spectrum.hpp"
#include "emulator/models/level_table.hpp"

#include <ATen/Functions.h>
#include <c10/core/GradMode.h>

#include <optional>

namespace sns {
namespace {

/// The part of a combination's table that EstimateErrors knows: of present frames alone.
EstimateErrors errors_of(const Schedule& schedule, const std::vector<int>& levels, const torch::Tensor& table,
                         std::int64_t points) {
  const auto count = std::ssize(levels);
  require(table.dim() == 5 && table.size(0) == count && table.size(1) == count && table.size(3) > 0 &&
              table.size(4) == 4 * table.size(3) && points >= 2 && points % 2 == 0 &&
              table.size(2) == half_spectrum(points, torch::kFloat64).shells,
          "combined estimates must have the shape [levels, levels, shells, C, 4C]");
  const torch::Tensor present = table.narrow(4, 3 * table.size(3), table.size(3));
  return EstimateErrors(schedule, levels, at::stack({at::zeros_like(present), present}, 2), points);
}

}  // namespace

CombinedEstimate::CombinedEstimate(const Schedule& schedule, std::vector<int> levels, torch::Tensor table,
                                   std::int64_t points)
    : schedule_(schedule),
      levels_(std::move(levels)),
      table_(table.to(torch::kCPU, torch::kFloat64)),
      points_(points),
      errors_(errors_of(schedule_, levels_, table_, points)) {
  require(at::isfinite(table_).all().item<bool>(), "combined estimates hold values that are not finite");
  gains_ = table_.narrow(4, 0, 3 * fields()).clone();
  for (std::size_t j = 1; j < levels_.size(); ++j)
    gains_.select(1, static_cast<std::int64_t>(j))
        .narrow(3, fields(), fields())
        .mul_(schedule_.signal(levels_[j]));
  shell_of_mode_ = half_spectrum(points_, torch::kFloat64).shell;
}

const torch::Tensor& CombinedEstimate::weights(const Levels& at, torch::Device device) const {
  constexpr std::size_t kMost = 4096;  // of levels by the thousand, pairs by the million
  const std::pair key{at.past, at.present};
  auto found = weights_.find(key);
  if (found == weights_.end() && weights_.size() >= kMost) weights_.clear();
  if (found == weights_.end()) {
    torch::Tensor shells = at_levels(levels_, gains_, at).clone();
    shells.narrow(2, fields(), fields()).div_(schedule_.signal(at.present));
    found = weights_.emplace(key, shells.to(torch::kFloat32).to(device)).first;
  }
  return found->second;
}

torch::Tensor CombinedEstimate::eps(const torch::Tensor& noisy, const torch::Tensor& eps,
                                    const torch::Tensor& prediction, const Levels& at) const {
  const double signal = schedule_.signal(at.present), noise = schedule_.noise_std(at.present);
  const torch::Tensor denoised = (noisy - noise * eps) / signal;
  const torch::Tensor seen =
      at::fft_rfft2(at::cat({denoised, noisy, prediction}), c10::nullopt, {-2, -1}, "ortho");
  shell_of_mode_ = shell_of_mode_.to(noisy.device());
  const torch::Tensor modes = weights(at, noisy.device())
                                  .index_select(0, shell_of_mode_)
                                  .view({points_, points_ / 2 + 1, fields(), 3 * fields()})
                                  .permute({2, 3, 0, 1});
  const torch::Tensor clean =
      at::fft_irfft2((modes * seen.unsqueeze(0)).sum(1), c10::IntArrayRef{points_, points_}, {-2, -1}, "ortho");
  return (noisy - signal * clean) / noise;
}

torch::Tensor best_combination(const torch::Tensor& moments, const Schedule& schedule, int level) {
  constexpr double kSingular = 1e-10;  // of the largest eigenvalue: what is said twice, or hardly at all
  const std::int64_t c = moments.size(1) / 4;
  const torch::Tensor seen = moments.narrow(1, 0, 3 * c).narrow(2, 0, 3 * c),
                      shared = moments.narrow(1, 3 * c, c).narrow(2, 0, 3 * c),
                      noise = moments.narrow(1, 3 * c, c).narrow(2, 3 * c, c);
  // The noise is best estimated by W (denoiser's noise, noisy frame, prediction) ...
  const torch::Tensor w = at::matmul(shared, at::linalg_pinv(seen, kSingular, /*hermitian=*/true));
  const torch::Tensor error = noise - at::matmul(w, shared.transpose(-2, -1));
  // ... which is A, B and C of the clean frame, (x_s - noise_std * noise) / signal.
  const double signal = schedule.signal(level), noise_std = schedule.noise_std(level);
  const torch::Tensor a = w.narrow(2, 0, c);
  const torch::Tensor b = (at::eye(c, torch::kFloat64) - a - noise_std * w.narrow(2, c, c)) / signal;
  return at::cat({a, b, -noise_std / signal * w.narrow(2, 2 * c, c), (error + error.transpose(-2, -1)) / 2}, 2);
}

Denoiser combined(const CombinedEstimate& estimate, std::int64_t fields, Denoiser denoiser,
                  torch::Tensor prediction) {
  return [&estimate, fields, denoiser = std::move(denoiser), prediction = std::move(prediction)](
             const torch::Tensor& active, const Step& step) {
    const c10::AutoGradMode no_grad(false);
    const torch::Tensor eps = denoiser(active, step).clone();
    torch::Tensor present = eps.narrow(1, fields, fields);
    const torch::Tensor noisy = active.narrow(1, active.size(1) - fields, fields);
    // One by one: the same bits in every batch.
    for (std::size_t b = 0; b < step.rows.size(); ++b) {
      const auto row = static_cast<std::int64_t>(b);
      present[row].copy_(estimate.eps(noisy[row], present[row], prediction[step.rows[b]], step.at[b]));
    }
    return eps;
  };
}

}  // namespace sns
