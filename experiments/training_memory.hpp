#pragma once
#include "core/memory.hpp"
#include "emulator/training/trainer.hpp"

#include <map>
#include <string>

namespace sns {

/// Memory that tensors take.
struct TensorMemory {
  double bytes = 0;
  bool or_more = false;  ///< there was no room to find out
};

/// What trainings take, measured when it is first asked for.
class TrainingMemory {
 public:
  /// device: auto | cpu | cuda | cuda:N. available: what measurements on the CPU may take [bytes].
  explicit TrainingMemory(std::string device, double available = static_cast<double>(available_memory()));

  double available() const { return available_; }

  /// Memory of tensors at the height of a step of a model's training: weights, gradients, the optimiser's two
  /// moments and the average, and what the forward and backward pass of a batch hold beside them, with the
  /// longest rollouts where those grow. The latter is measured; for batches of more than a few samples with a
  /// few and some more, since it grows as a line with the batch. Not in it are frames of the data, the batch
  /// that is made ahead, and what allocators keep of freed blocks. spec.model must have its size and channels.
  TensorMemory of(const ModelSpec& spec);

 private:
  std::string device_;
  double available_;
  std::map<std::string, TensorMemory> known_;  // by what decides it, and more
};

}  // namespace sns
