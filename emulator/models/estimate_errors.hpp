#pragma once
#include "emulator/diffusion/reverse_noise.hpp"
#include "emulator/diffusion/schedule.hpp"
#include "emulator/models/field_covariance.hpp"

#include <torch/types.h>

#include <map>
#include <tuple>
#include <vector>

namespace sns {

/// What a denoiser gets wrong in its estimate of the noise, e = eps_estimated - eps: an isotropic Gaussian
/// field for each pair of levels that the frames stand at. With it a reverse step draws from the posterior
/// instead of taking the mean for the clean frame: given x_s, the frame x_{s-1} has the covariance
///
///   posterior_std_s^2 + beta_s^2 / (alpha_s (1 - alpha_bar_s)) <e^ e^H>(|k|),
///
/// the reverse step's for a clean frame that is known, and that of not knowing it (law of total covariance;
/// analytic for white noise in Bao et al. 2022, arXiv 2201.06503). At level 0, where the first part is none, a
/// mean would lack the second. What the errors of past and present share is not kept: it is for steps of one
/// frame at a time.
class EstimateErrors : public ReverseNoise {
 public:
  /// levels: those that were measured, from Levels::kClean up. table: <e_i^(k) e_j^(k)*> of the modes of shell
  /// round(|k|), unitary transforms, [past level, present level, frame (past, present), shell, C, C]; anything
  /// where the frame is clean. points: of a side. Error where the table is not such.
  EstimateErrors(Schedule schedule, std::vector<int> levels, torch::Tensor table, std::int64_t points);

  /// Of levels between those that were measured: linear in each level. Above them: as at the highest.
  void shape(const Levels& at, Frame frame, std::span<float> z) const override;
  /// Covariance of what shape() makes.
  FieldCovariance covariance(const Levels& at, Frame frame) const;

  const std::vector<int>& levels() const { return levels_; }
  const torch::Tensor& table() const { return table_; }
  std::int64_t channels() const { return table_.size(4); }
  /// Root mean square of e in one frame, over all points and channels.
  double rms(const Levels& at, Frame frame) const;

 private:
  torch::Tensor error(const Levels& at, Frame frame) const;

  Schedule schedule_;
  std::vector<int> levels_;
  torch::Tensor table_;  ///< float64
  std::int64_t points_;
  mutable std::map<std::tuple<int, int, Frame>, ColouredNoise> noise_;  ///< of levels that were met
};

}  // namespace sns
