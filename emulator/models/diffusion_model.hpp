#pragma once
#include "emulator/diffusion/refine.hpp"
#include "emulator/models/estimate_errors.hpp"
#include "emulator/models/model.hpp"

#include <memory>
#include <utility>

namespace sns {

/// What the models with a noise schedule share.
class DiffusionModel : public Model {
 public:
  const Schedule& schedule() const { return schedule_; }
  /// What ReverseStd::measured needs.
  void use_errors(std::shared_ptr<const EstimateErrors> errors) { errors_ = std::move(errors); }

 protected:
  DiffusionModel(const ModelConfig& config, torch::Device device);
  /// Noise std (or signal factor) of every channel, [B, F * C, 1, 1], for frames at levels [B, F] int64.
  torch::Tensor noise_std(const torch::Tensor& levels) const { return per_channel(noise_std_, levels); }
  torch::Tensor signal(const torch::Tensor& levels) const { return per_channel(signal_, levels); }
  /// What the network says of `frames` [B, F * C, n, n], which stand at levels [B, F], as their noise eps:
  /// diffusion.prediction is undone.
  torch::Tensor as_eps(const torch::Tensor& output, const torch::Tensor& frames,
                       const torch::Tensor& levels) const;
  /// Mean square error of an estimate of eps for frames at levels [B, F], or, with diffusion.prediction v, of
  /// v, which is eps / sqrt(abar) but for what the frame itself gives.
  torch::Tensor mean_square(const torch::Tensor& eps, const torch::Tensor& noise,
                            const torch::Tensor& levels) const;
  /// For follow() and refine(). Error where errors of estimates are asked for, and the model has none.
  const ReverseNoise* reverse_noise(ReverseStd which) const;
  Layout layout(std::int64_t frames) const { return {frames, config_.field_channels}; }
  /// x with the frames of `layout` noised from clean to `levels`.
  torch::Tensor noised(const torch::Tensor& x, const Layout& layout, const Levels& levels,
                       NoiseSource& noise) const;
  /// What options.classify shows the heads: x itself (as_given), or x with the present frame, and the past one
  /// where options.path noises it, noised to level 0.
  torch::Tensor shown_to_heads(const torch::Tensor& x, const Layout& layout, const RefineOptions& options,
                               NoiseSource& noise) const;

 private:
  enum class Prediction { eps, scaled_eps, v };

  torch::Tensor per_channel(const torch::Tensor& table, const torch::Tensor& levels) const;

  Schedule schedule_;
  std::shared_ptr<const EstimateErrors> errors_;
  torch::Tensor signal_, noise_std_;  // float32 [S] on the device
  Prediction prediction_;
};

/// Most probable class of each row of logits [B, S], on the CPU.
std::vector<int> most_probable(const torch::Tensor& logits);

}  // namespace sns
