#include "emulator/models/estimate_errors.hpp"

#include "core/error.hpp"
#include "emulator/half_spectrum.hpp"
#include "emulator/models/level_table.hpp"

#include <ATen/Functions.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace sns {

EstimateErrors::EstimateErrors(Schedule schedule, std::vector<int> levels, torch::Tensor table,
                               std::int64_t points)
    : schedule_(std::move(schedule)),
      levels_(std::move(levels)),
      table_(table.to(torch::kCPU, torch::kFloat64)),
      points_(points) {
  const auto count = std::ssize(levels_);
  require(count > 1 && levels_.front() == Levels::kClean && std::is_sorted(levels_.begin(), levels_.end()) &&
              std::adjacent_find(levels_.begin(), levels_.end()) == levels_.end() && levels_[1] == 0 &&
              levels_.back() < schedule_.levels(),
          "errors of estimates are of a clean frame, level 0 and levels that rise to at most {}",
          schedule_.levels() - 1);
  require(points >= 2 && points % 2 == 0 && table_.dim() == 6 && table_.size(0) == count &&
              table_.size(1) == count && table_.size(2) == 2 &&
              table_.size(3) == half_spectrum(points, torch::kFloat64).shells &&
              table_.size(4) == table_.size(5),
          "errors of estimates must have the shape [levels, levels, 2, shells, C, C]");
  require(at::isfinite(table_).all().item<bool>(), "errors of estimates hold values that are not finite");
}

torch::Tensor EstimateErrors::error(const Levels& at, Frame frame) const {
  return at_levels(levels_, table_, at)[frame == Frame::past ? 0 : 1];
}

double EstimateErrors::rms(const Levels& at, Frame frame) const {
  const HalfSpectrum half = half_spectrum(points_, torch::kFloat64);
  const torch::Tensor power = at::diagonal(error(at, frame), 0, -2, -1).sum(-1);
  return std::sqrt((power * half.modes_of_shell()).sum().item<double>() /
                   static_cast<double>(channels() * points_ * points_));
}

FieldCovariance EstimateErrors::covariance(const Levels& at, Frame frame) const {
  const int level = frame == Frame::past ? at.past : at.present;
  require(level >= 0 && level < schedule_.levels(), "a frame at level {} takes no reverse step", level);
  const auto s = static_cast<std::size_t>(level);
  const double known = schedule_.posterior_std[s] * schedule_.posterior_std[s],
               unknown =
                   schedule_.beta[s] * schedule_.beta[s] / (schedule_.alpha[s] * (1 - schedule_.alpha_bar[s]));
  const std::int64_t channels = table_.size(4);
  const torch::Tensor shells = known * at::eye(channels, torch::kFloat64) + unknown * error(at, frame);
  const torch::Tensor modes = shells.index_select(0, half_spectrum(points_, torch::kFloat64).shell)
                                  .view({points_, points_ / 2 + 1, channels, channels});
  return FieldCovariance(at::stack({modes, at::zeros_like(modes)}, -1));
}

void EstimateErrors::shape(const Levels& at, Frame frame, std::span<float> z) const {
  const c10::AutoGradMode no_grad(false);
  const std::tuple key{at.past, at.present, frame};
  constexpr std::size_t kMost = 2048;  // of levels by the thousand, pairs by the million
  auto found = noise_.find(key);
  if (found == noise_.end() && noise_.size() >= kMost) noise_.clear();
  if (found == noise_.end()) found = noise_.emplace(key, ColouredNoise(covariance(at, frame))).first;
  torch::Tensor values = at::from_blob(z.data(), {table_.size(4), points_, points_}, torch::kFloat32);
  values.copy_(found->second(values));
}

}  // namespace sns
