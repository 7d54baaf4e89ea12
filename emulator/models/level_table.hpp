#pragma once
#include "emulator/diffusion/path.hpp"

#include <ATen/Functions.h>
#include <torch/types.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <utility>
#include <vector>

namespace sns {

/// Of a table [past level, present level, ...] that holds what was measured at `levels` (ascending, of both
/// frames) the values [...] at the levels `at`. Between those that were measured: linear in each level. Beyond
/// them: as at the nearest.
inline torch::Tensor at_levels(const std::vector<int>& levels, const torch::Tensor& table, const Levels& at) {
  // Weight of the upper of the two measured levels that a level lies between, and its place.
  const auto between = [&](int level) {
    const auto upper = std::lower_bound(levels.begin(), levels.end() - 1, level);
    const auto place = static_cast<std::int64_t>(upper - levels.begin());
    if (*upper <= level || place == 0) return std::pair{place, 1.0};
    return std::pair{place, static_cast<double>(level - *std::prev(upper)) / (*upper - *std::prev(upper))};
  };
  const auto [past, past_weight] = between(at.past);
  const auto [present, present_weight] = between(at.present);
  torch::Tensor sum = at::zeros_like(table[0][0]);
  for (const auto& [i, a] :
       {std::pair{past, past_weight}, {std::max<std::int64_t>(past - 1, 0), 1 - past_weight}})
    for (const auto& [j, b] :
         {std::pair{present, present_weight}, {std::max<std::int64_t>(present - 1, 0), 1 - present_weight}})
      if (a * b > 0) sum = sum + a * b * table[i][j];
  return sum;
}

}  // namespace sns
