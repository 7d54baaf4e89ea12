#pragma once
#include <torch/nn/module.h>

#include <cstdint>

namespace sns {

/// PyTorch's default initialisation, uniform in +-1/sqrt(fan_in) for weights and biases (ones and zeros for
/// the scale and shift of a normalisation), from Philox streams keyed by (seed, network_init, hash of the
/// parameter's name): independent of torch's generator, of the order of construction and of the device.
void initialise(torch::nn::Module& module, std::uint64_t seed);

/// Number of trainable parameters.
std::int64_t parameter_count(const torch::nn::Module& module);

}  // namespace sns
