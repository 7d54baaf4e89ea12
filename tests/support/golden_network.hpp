#pragma once
// Recorded numbers of the reference networks, and their weights. The reference drew its initial weights from
// MT19937, so a test file holds, per parameter, the position in that sequence and a factor instead of megabytes
// of random numbers; what was changed afterwards is stored as it is. Sums guard the regeneration.
#include "core/error.hpp"
#include "core/hdf5.hpp"
#include "tests/support/golden_folder.hpp"
#include "tests/support/worst_of.hpp"

#include <torch/nn/module.h>
#include <torch/types.h>

#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

namespace sns::test {

/// A record of the networks, by the name of its reduced copy. The whole file has all arrays as they are,
/// weights and noise too, with the same names but for those that the functions below know.
inline std::filesystem::path golden_file(const std::string& name) {
  if (!whole_golden()) return reduced_golden_file(name);
  static const std::map<std::string, std::string> others = {{"emulator_sns.h5", "sns_kolmogorov.h5"},
                                                            {"emulator_gaussian.h5", "emulator.h5"}};
  const auto found = others.find(name);
  return whole_golden_file("emulator", found != others.end() ? found->second : name.substr(name.find('_') + 1));
}

/// First `count` words of MT19937 from a seed, as far as PyTorch uses them for float32: 24 bits each.
inline std::vector<std::uint32_t> twister_words(std::uint32_t seed, std::size_t count) {
  std::mt19937 generator(seed);
  std::vector<std::uint32_t> words(count);
  for (std::uint32_t& word : words) word = static_cast<std::uint32_t>(generator()) & 0xffffffU;
  return words;
}

/// Standard normal noise as torch.randn drew it on a CPU: Box-Muller in groups of 16 words, 8 radii, then 8
/// angles. The group says seed and shape, and where each of the array's equal blocks begins in the sequence of
/// words (-1: a block of zeros). Its sums guard the regeneration.
inline torch::Tensor golden_noise(const h5::Group& group) {
  const auto shape = group.dataset("shape").read<std::int64_t>(),
             offsets = group.dataset("offset").read<std::int64_t>();
  torch::Tensor noise = torch::zeros(shape, torch::kFloat32);
  const std::int64_t size = noise.numel() / static_cast<std::int64_t>(offsets.size());
  const auto words =
      twister_words(static_cast<std::uint32_t>(group.attribute<std::int64_t>("seed")),
                    static_cast<std::size_t>(*std::max_element(offsets.begin(), offsets.end()) + size));
  const auto unit = [&](std::int64_t at) {
    return static_cast<float>(words[static_cast<std::size_t>(at)]) * 0x1p-24F;
  };
  for (std::size_t block = 0; block < offsets.size(); ++block) {
    if (offsets[block] < 0) continue;
    float* out = noise.data_ptr<float>() + static_cast<std::int64_t>(block) * size;
    for (std::int64_t at = 0; at < size; ++at) {
      const std::int64_t pair = offsets[block] + at / 16 * 16 + at % 8;
      const float radius = std::sqrt(-2.0F * std::log(1.0F - unit(pair)));
      const float angle = 2.0F * static_cast<float>(M_PI) * unit(pair + 8);
      out[at] = radius * (at % 16 < 8 ? std::cos(angle) : std::sin(angle));
    }
  }
  const auto sums = group.dataset("sums").read<double>();
  const double count = static_cast<double>(noise.numel()), sum = noise.sum(torch::kFloat64).item<double>(),
               squares = noise.square().sum(torch::kFloat64).item<double>();
  require(std::abs(sum - sums[0]) < 1e-6 * count && std::abs(squares - sums[1]) < 1e-6 * count,
          "{}: sums {} and {} instead of {} and {}", group.label(), sum, squares, sums[0], sums[1]);
  return noise;
}

/// A float32 (or int64, if `integer`) array of the file, or noise that it describes, as a tensor of its shape.
inline torch::Tensor golden(const h5::File& file, const std::string& path, bool integer = false) {
  if (file.is_group(path)) return golden_noise(file.group(path));
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

/// Names that whole files keep as a JSON list.
inline std::vector<std::string> listed_names(const h5::Object& object, const std::string& attribute) {
  return nlohmann::json::parse(object.attribute<std::string>(attribute)).get<std::vector<std::string>>();
}

inline std::vector<std::string> golden_parameter_order(const h5::File& file) {
  if (file.exists("parameters/order")) return file.dataset("parameters/order").read_strings();
  return listed_names(file, "parameter_order");
}

/// Norm of each parameter's gradient; whole files leave out those that have none.
inline std::map<std::string, double> golden_gradient_norms(const h5::File& file) {
  const h5::Dataset data = file.dataset("train/grad_norm_per_parameter");
  const auto norms = data.read<double>();
  const auto names = data.has_attribute("names") ? listed_names(data, "names") : golden_parameter_order(file);
  require(names.size() == norms.size(), "{} norms of {} gradients", norms.size(), names.size());
  std::map<std::string, double> named;
  for (std::size_t k = 0; k < names.size(); ++k) named[names[k]] = norms[k];
  return named;
}

/// Gives the module the reference's weights; throws if a parameter is missing or a sum disagrees.
inline void load_golden_weights(torch::nn::Module& module, const h5::File& file) {
  c10::AutoGradMode no_grad(false);
  auto parameters = module.named_parameters();
  if (file.exists("weights")) {
    const auto stored = file.group("weights").names();
    require(stored.size() == parameters.size(), "the golden file has {} parameters, the network {}",
            stored.size(), parameters.size());
    for (const auto& name : stored) parameters[name].copy_(golden(file, "weights/" + name));
    return;
  }
  const h5::Group generated = file.group("parameters/generated");
  const auto names = generated.dataset("names").read_strings();
  const auto offsets = generated.dataset("offset").read<std::int64_t>();
  const auto scales = generated.dataset("scale").read<float>();
  std::size_t last = 0;
  for (std::size_t k = 0; k < names.size(); ++k)
    last = std::max(last, static_cast<std::size_t>(offsets[k] + parameters[names[k]].numel()));
  const auto draws = twister_words(static_cast<std::uint32_t>(generated.attribute<std::int64_t>("seed")), last);
  for (std::size_t k = 0; k < names.size(); ++k) {
    torch::Tensor& parameter = parameters[names[k]];
    const torch::Tensor& weight = parameters[names[k].substr(0, names[k].rfind('.') + 1) + "weight"];
    const float bound =
        static_cast<float>(1.0 / std::sqrt(static_cast<double>(weight.numel() / weight.size(0))));
    const auto begin = static_cast<std::size_t>(offsets[k]),
               count = static_cast<std::size_t>(parameter.numel());
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

/// |a - b| / |b|; 0 where both are 0. (doctest::Approx adds 1 to what it is relative to.)
inline double relative_error(double a, double b) {
  return a == b ? 0 : std::abs(a - b) / std::abs(b);
}

/// max|a - b| / max|b|
inline double relative_error(const torch::Tensor& a, const torch::Tensor& b) {
  require(a.sizes() == b.sizes(), "shapes of the compared tensors differ");
  return ((a - b).abs().max() / b.abs().max()).item<double>();
}

/// The same of images [..., n, n]. The record holds all points, or every second row and column, with sum and
/// norm of every whole image, which then count as mean and root mean square relative to max|b|.
inline double image_error(const torch::Tensor& images, const h5::File& file, const std::string& path) {
  if (!file.is_group(path)) return relative_error(images, golden(file, path));
  using torch::indexing::Ellipsis, torch::indexing::None, torch::indexing::Slice;
  const torch::Tensor points = golden(file, path + "/points"),
                      kept = images.index({Ellipsis, Slice(None, None, 2), Slice(None, None, 2)});
  const torch::Tensor wide = images.to(torch::kFloat64);
  const double count = static_cast<double>(images.size(-1) * images.size(-2)),
               largest = points.abs().max().item<double>();
  const auto differ = [&](const torch::Tensor& ours, const char* name, double scale) {
    return ((ours - golden(file, path + "/" + name)).abs().max() / (scale * largest)).item<double>();
  };
  return worst_of({relative_error(kept, points), differ(wide.sum({-1, -2}), "sum", count),
                   differ(wide.square().sum({-1, -2}).sqrt(), "norm", std::sqrt(count))});
}

/// Past and present frames that a refinement along `path` ended with, [B, 2C, n, n]: how far ours lie from
/// them.
inline double refined_error(const torch::Tensor& frames, const h5::File& file, const std::string& path) {
  if (!file.exists(path + "/out")) return image_error(frames, file, path + "/frames");
  const torch::Tensor out = golden(file, path + "/out");  // with the long frame
  return relative_error(frames, out.narrow(1, out.size(1) - frames.size(1), frames.size(1)));
}

}  // namespace sns::test
