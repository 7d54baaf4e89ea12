#pragma once
// One step of an optimiser, as training takes it and as it is timed.
#include "emulator/models/model.hpp"
#include "emulator/training/ema.hpp"
#include "emulator/training/metrics.hpp"
#include "emulator/training/optimizer.hpp"
#include "emulator/training/task.hpp"

namespace sns {

/// What training changes: a model's parameters, their average, and the optimiser's moments. The model and the
/// configuration must outlive it.
class Learner {
 public:
  Learner(Model& model, const TrainingConfig& config);

  void zero_gradients() { parameters.zero_gradients(); }
  /// Adds the gradient of this batch's loss, divided by `parts`, and returns the loss and its parts undivided.
  /// The forward pass alone is in bfloat16, where that is asked for: weights, gradients, loss and moments are
  /// float32. Waits for the device once.
  Metrics add_gradient(TrainingTask& task, const Batch& batch, int parts, bool bfloat16);
  /// Clips the gradient as the configuration says and returns its norm before. Waits for the device.
  double clip() { return optimizer.clip(config_.clip_norm, config_.clip_value); }
  /// One update of the parameters and of their average.
  void update(double learning_rate);

  FlatParameters parameters;
  Ema ema;
  AdamW optimizer;

 private:
  const TrainingConfig& config_;
  torch::Device device_;
};

}  // namespace sns
