#include "emulator/nets/initialise.hpp"

#include "core/files.hpp"
#include "core/random.hpp"

#include <c10/core/GradMode.h>
#include <torch/types.h>

#include <cmath>
#include <string>

namespace sns {
namespace {

bool is_normalisation(const std::string& name) {
  return name.find("norm.") != std::string::npos;
}

/// Number of inputs that one output element of this weight sums over, by PyTorch's convention: size of axis 1
/// times the kernel's size (for transposed convolutions too).
double fan_in(const torch::Tensor& weight) {
  double n = 1;
  for (int axis = 1; axis < weight.dim(); ++axis) n *= static_cast<double>(weight.size(axis));
  return n;
}

}  // namespace

void initialise(torch::nn::Module& module, std::uint64_t seed) {
  c10::AutoGradMode no_grad(false);
  auto parameters = module.named_parameters();
  for (auto& item : parameters) {
    const std::string& name = item.key();
    torch::Tensor& parameter = item.value();
    const bool is_weight = name.ends_with("weight");
    if (is_normalisation(name)) {
      parameter.fill_(is_weight ? 1.0 : 0.0);
      continue;
    }
    const std::string weight_name = name.substr(0, name.rfind('.') + 1) + "weight";
    const double bound = 1.0 / std::sqrt(fan_in(parameters[weight_name]));
    torch::Tensor values = torch::empty(parameter.sizes(), torch::kFloat32);
    RandomStream stream(seed, Purpose::network_init, fnv1a(name));
    float* const out = values.data_ptr<float>();
    for (std::int64_t i = 0; i < values.numel(); ++i)
      out[i] = static_cast<float>(bound * (2.0 * stream.uniform() - 1.0));
    parameter.copy_(values);
  }
}

std::int64_t parameter_count(const torch::nn::Module& module) {
  std::int64_t count = 0;
  for (const auto& parameter : module.parameters()) count += parameter.numel();
  return count;
}

}  // namespace sns
