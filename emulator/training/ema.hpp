#pragma once
#include <torch/nn/module.h>
#include <torch/types.h>

#include <string>
#include <utility>
#include <vector>

namespace sns {

/// Exponential moving average of a network's parameters: shadow = decay * shadow + (1 - decay) * parameter
/// after every optimiser step.
class Ema {
 public:
  /// The shadow starts as a copy of the parameters.
  Ema(const torch::nn::Module& module, double decay);
  void update();

  /// Shadow tensors under the parameters' names, in their order; they alias the state (copy into them to
  /// restore).
  const std::vector<std::pair<std::string, torch::Tensor>>& shadow() const { return shadow_; }

  /// While it lives, the network's parameters hold the averaged values.
  class Applied {
   public:
    explicit Applied(Ema& ema);
    ~Applied();
    Applied(const Applied&) = delete;
    Applied& operator=(const Applied&) = delete;

   private:
    Ema& ema_;
    std::vector<torch::Tensor> kept_;
  };

 private:
  double decay_;
  std::vector<torch::Tensor> parameters_;
  std::vector<std::pair<std::string, torch::Tensor>> shadow_;
};

}  // namespace sns
