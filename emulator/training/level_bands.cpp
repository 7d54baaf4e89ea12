#include "emulator/training/level_bands.hpp"

#include "core/error.hpp"

#include <algorithm>
#include <iterator>

namespace sns {

std::string LevelBand::name() const {
  if (last == first) return std::to_string(first);
  return first > 50 ? fmt::format("{}+", first) : fmt::format("{}-{}", first, last);
}

std::vector<LevelBand> level_bands(int highest) {
  std::vector<LevelBand> bands;
  constexpr int kFirst[] = {0, 1, 3, 6, 11, 21, 51};
  constexpr int kCount = std::size(kFirst);
  for (int i = 0; i < kCount && kFirst[i] <= highest; ++i) {
    bands.push_back({kFirst[i], i + 1 < kCount ? std::min(kFirst[i + 1] - 1, highest) : highest});
  }
  return bands;
}

std::size_t band_of(const std::vector<LevelBand>& bands, std::int64_t level) {
  const auto found =
      std::find_if(bands.begin(), bands.end(), [&](const LevelBand& band) { return level <= band.last; });
  require(found != bands.end(), "level {} lies above all bands", level);
  return static_cast<std::size_t>(found - bands.begin());
}

}  // namespace sns
