#pragma once
#include "emulator/diffusion/sampler.hpp"
#include "emulator/models/estimate_errors.hpp"

#include <map>
#include <utility>
#include <vector>

namespace sns {

/// The estimate of a clean present frame that a denoiser and a surrogate make together: for each shell of
/// wavenumbers the best linear combination, in the mean square over frames of the flow,
///
///   x_0 ~ A x_denoised + B x_s + C m,
///
/// of the denoiser's estimate (tweedie), the noisy frame itself and m, what the surrogate predicts from the
/// past frame. The denoiser knows what is seen under the noise, the surrogate what follows from the past; the
/// more noise, the more it is the surrogate's. What is left of the error is independent of all three, as far as
/// second moments go, so that reverse steps that draw for it (errors()) leave the power of the flow's frames at
/// each wavenumber as it is, whatever the two networks have not learned. A surrogate's frame, which has less
/// than they where it is a mean, gains what it lacks where the noise that it is refined from covers it.
class CombinedEstimate {
 public:
  /// levels: those at which it was measured, from Levels::kClean up. table: A, B, C and the covariance of the
  /// error of the noise estimate that follows, [past level, present level, shell, fields, 4 * fields]; anything
  /// where the present frame is clean. points: of a side. Error where the table is not such.
  CombinedEstimate(const Schedule& schedule, std::vector<int> levels, torch::Tensor table, std::int64_t points);

  /// The combined estimate of the noise in a present frame. noisy: the frame; eps: the denoiser's estimate;
  /// prediction: m; all [fields, n, n] on one device. at: levels that past and present frame stand at.
  torch::Tensor eps(const torch::Tensor& noisy, const torch::Tensor& eps, const torch::Tensor& prediction,
                    const Levels& at) const;
  /// What it gets wrong, of present frames.
  const EstimateErrors& errors() const { return errors_; }

  const std::vector<int>& levels() const { return levels_; }
  const torch::Tensor& table() const { return table_; }
  std::int64_t fields() const { return table_.size(3); }

 private:
  /// (A, B, C) of each shell, [shells, fields, 3 * fields], float32. Between levels A, signal * B and C are
  /// linear in each: they are what adds up to 1 at scales that are known.
  const torch::Tensor& weights(const Levels& at, torch::Device device) const;

  Schedule schedule_;
  std::vector<int> levels_;
  torch::Tensor table_;  ///< float64
  std::int64_t points_;
  EstimateErrors errors_;
  torch::Tensor gains_;                                           ///< of the table: A, signal * B, C
  mutable torch::Tensor shell_of_mode_;                           ///< int64, on the device of the last frames
  mutable std::map<std::pair<int, int>, torch::Tensor> weights_;  ///< of levels that were met; one device
};

/// The best combination at a level of the present frame, rows [shells, C, 4C] of a CombinedEstimate's table.
/// moments [shells, 4C, 4C]: what the modes of a shell of the denoiser's estimate of the noise, the noisy
/// frame, the surrogate's prediction and the noise itself share (shell_covariance of the four).
torch::Tensor best_combination(const torch::Tensor& moments, const Schedule& schedule, int level);

/// As `denoiser`, but the noise of present frames is the combined estimate. prediction: what the surrogate
/// makes of the past frames, [B, fields, n, n], a row for each of the batch. Two frames.
Denoiser combined(const CombinedEstimate& estimate, std::int64_t fields, Denoiser denoiser,
                  torch::Tensor prediction);

}  // namespace sns
