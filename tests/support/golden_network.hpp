#pragma once
// Recorded numbers of the reference networks, and their weights. The reference drew its initial weights from
// MT19937, so a test file holds, per parameter, the position in that sequence and a factor instead of megabytes
// of random numbers; what was changed afterwards is stored as it is. Sums guard the regeneration.
#include "core/error.hpp"
#include "core/hdf5.hpp"

#include <torch/nn/module.h>
#include <torch/types.h>

#include <c10/core/GradMode.h>

#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace sns::test {

inline std::filesystem::path golden_file(const std::string& name) {
  return std::filesystem::path(SNS_SOURCE_DIR) / "tests/golden/data" / name;
}

/// A float32 (or int64, if `integer`) array of the file as a tensor of its shape.
inline torch::Tensor golden(const h5::File& file, const std::string& path, bool integer = false) {
  const h5::Dataset data = file.dataset(path);
  std::vector<std::int64_t> shape;
  for (const auto n : data.shape()) shape.push_back(static_cast<std::int64_t>(n));
  if (integer) {
    auto values = data.read<std::int64_t>();
    return torch::from_blob(values.data(), shape, torch::kInt64).clone();
  }
  auto values = data.read<float>();
  return torch::from_blob(values.data(), shape, torch::kFloat32).clone();
}

inline double golden_scalar(const h5::File& file, const std::string& path) {
  return file.dataset(path).read<double>().at(0);
}

inline std::vector<std::string> golden_parameter_order(const h5::File& file) {
  return file.dataset("parameters/order").read_strings();
}

/// Gives the module the reference's weights; throws if a parameter is missing or a sum disagrees.
inline void load_golden_weights(torch::nn::Module& module, const h5::File& file) {
  c10::AutoGradMode no_grad(false);
  auto parameters = module.named_parameters();
  const h5::Group generated = file.group("parameters/generated");
  const auto names = generated.dataset("names").read_strings();
  const auto offsets = generated.dataset("offset").read<std::int64_t>();
  const auto scales = generated.dataset("scale").read<float>();
  std::vector<std::uint32_t> draws;  // the sequence, as far as it was needed
  std::mt19937 generator(static_cast<std::uint32_t>(generated.attribute<std::int64_t>("seed")));
  for (std::size_t k = 0; k < names.size(); ++k) {
    torch::Tensor& parameter = parameters[names[k]];
    const torch::Tensor& weight = parameters[names[k].substr(0, names[k].rfind('.') + 1) + "weight"];
    const float bound =
        static_cast<float>(1.0 / std::sqrt(static_cast<double>(weight.numel() / weight.size(0))));
    const auto begin = static_cast<std::size_t>(offsets[k]),
               count = static_cast<std::size_t>(parameter.numel());
    while (draws.size() < begin + count) draws.push_back(static_cast<std::uint32_t>(generator()) & 0xffffffU);
    torch::Tensor values = torch::empty(parameter.sizes(), torch::kFloat32);
    for (std::size_t i = 0; i < count; ++i) {
      const double unit = draws[begin + i] * 0x1p-24;
      values.data_ptr<float>()[i] =
          static_cast<float>(unit * static_cast<double>(bound + bound) - static_cast<double>(bound)) *
          scales[k];
    }
    parameter.copy_(values);
  }
  for (const auto& name : file.group("parameters/stored").names())
    parameters[name].copy_(golden(file, "parameters/stored/" + name));

  const auto order = golden_parameter_order(file);
  const auto sums = file.dataset("parameters/sums").read<double>();
  require(order.size() == parameters.size(), "the golden file has {} parameters, the network {}", order.size(),
          parameters.size());
  for (std::size_t k = 0; k < order.size(); ++k) {
    const double sum = parameters[order[k]].sum(torch::kFloat64).item<double>();
    require(std::abs(sum - sums[k]) <= 1e-9 * (1 + std::abs(sums[k])), "{}: sum {} instead of {}", order[k],
            sum, sums[k]);
  }
}

/// max|a - b| / max|b|
inline double relative_error(const torch::Tensor& a, const torch::Tensor& b) {
  require(a.sizes() == b.sizes(), "shapes of the compared tensors differ");
  return ((a - b).abs().max() / b.abs().max()).item<double>();
}

}  // namespace sns::test
