#pragma once
#include "emulator/training/trainer.hpp"

namespace sns {

/// Memory of tensors [bytes] at the height of a step of a model's training on a device: weights, gradients,
/// the optimiser's two moments and the average, and what the forward and backward pass of a batch hold beside
/// them. The latter is measured with two and three samples (two and four where pasts are mixed) and grows as a
/// line with the batch; with the longest rollouts of the training where those grow. Frames of the data set are
/// not in it, nor what allocators keep of freed blocks. spec.model must have its size and channels.
double training_memory(const ModelSpec& spec, const torch::Device& device);

}  // namespace sns
