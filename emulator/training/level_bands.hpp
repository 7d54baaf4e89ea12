#pragma once
#include "core/random.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace sns {

/// A band of diffusion levels for which errors are reported apart: [first, last], both included.
struct LevelBand {
  int first, last;
  std::string name() const;  ///< "0", "1-2", ..., "51+"
  /// A level of the band, uniform.
  std::int64_t draw(RandomStream& stream) const {
    return first + static_cast<std::int64_t>(stream.below(static_cast<std::uint64_t>(last - first + 1)));
  }
};
/// 0, 1-2, 3-5, 6-10, 11-20, 21-50 and what lies above, as far as levels 0..highest go.
std::vector<LevelBand> level_bands(int highest);
/// Number of the band that holds `level`.
std::size_t band_of(const std::vector<LevelBand>& bands, std::int64_t level);

}  // namespace sns
