#include "emulator/models/step_noise.hpp"

#include <ATen/Functions.h>

namespace sns {

torch::Tensor StepNoise::add(const torch::Tensor& predictions, std::span<const std::int64_t> trajectories,
                             std::int64_t step) const {
  if (none()) return predictions;
  torch::Tensor xi = at::empty(predictions.sizes(), torch::kFloat32);
  const std::int64_t values = xi.numel() / xi.size(0);
  for (std::size_t b = 0; b < trajectories.size(); ++b) {
    RandomStream stream(seed, purpose, static_cast<std::uint64_t>(trajectories[b]),
                        static_cast<std::uint64_t>(step));
    stream.fill_normal(std::span(xi.mutable_data_ptr<float>() + static_cast<std::int64_t>(b) * values,
                                 static_cast<std::size_t>(values)));
    if (!error) continue;
    // one by one, and on the CPU: the same bits in every batch and on every device
    torch::Tensor member = xi[static_cast<std::int64_t>(b)];
    member.copy_((*error)(member));
  }
  return predictions + (error ? 1.0 : white) * xi.to(predictions.device());
}

}  // namespace sns
