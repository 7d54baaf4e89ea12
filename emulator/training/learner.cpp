#include "emulator/training/learner.hpp"

#include "emulator/training/precision.hpp"

#include <ATen/Functions.h>

namespace sns {

Learner::Learner(Model& model, const TrainingConfig& config)
    : parameters(model.network()),
      ema(model.network(), config.ema),
      optimizer(parameters, config.weight_decay),
      config_(config),
      device_(model.device()) {}

Metrics Learner::add_gradient(TrainingTask& task, const Batch& batch, int parts, bool bfloat16) {
  BatchLoss loss;
  {
    const Autocast autocast(bfloat16, device_);
    loss = task.loss(batch);
  }
  (loss.total / parts).backward();
  std::vector<torch::Tensor> values{loss.total.detach()};
  Metrics metrics{{"loss", 0.0}};
  for (const auto& [name, value] : loss.reported) {
    values.push_back(value);
    metrics.emplace_back(name, 0.0);
  }
  const torch::Tensor read = at::stack(values).to(torch::kCPU);  // all at once: each read waits for the device
  for (std::size_t i = 0; i < metrics.size(); ++i)
    metrics[i].second = static_cast<double>(read.const_data_ptr<float>()[i]);
  return metrics;
}

void Learner::update(double learning_rate) {
  optimizer.step(learning_rate);
  ema.update();
}

}  // namespace sns
