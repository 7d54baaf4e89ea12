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
  /// Output of the network -> eps, for frames at levels [B, F]: diffusion.prediction scaled_eps is undone.
  torch::Tensor as_eps(const torch::Tensor& output, const torch::Tensor& levels) const {
    return scaled_ ? output / noise_std(levels) : output;
  }
  /// For follow() and refine(). Error where errors of estimates are asked for, and the model has none.
  const ReverseNoise* reverse_noise(ReverseStd which) const;
  Layout layout(std::int64_t frames) const { return {frames, config_.field_channels}; }

 private:
  torch::Tensor per_channel(const torch::Tensor& table, const torch::Tensor& levels) const;

  Schedule schedule_;
  std::shared_ptr<const EstimateErrors> errors_;
  torch::Tensor signal_, noise_std_;  // float32 [S] on the device
  bool scaled_;
};

/// Most probable class of each row of logits [B, S], on the CPU.
std::vector<int> most_probable(const torch::Tensor& logits);

}  // namespace sns
