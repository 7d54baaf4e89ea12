#include "emulator/training_frames.hpp"

#include "core/error.hpp"

#include <algorithm>
#include <cmath>

namespace sns {

std::int64_t TrainingFrames::windows(std::int64_t length) const {
  std::int64_t total = 0;
  for (std::int64_t i = 0; i < trajectories(); ++i) total += std::max<std::int64_t>(0, frames(i) - length + 1);
  return total;
}

FrameWindow TrainingFrames::locate(std::int64_t index, std::int64_t length) const {
  std::int64_t rest = index;
  for (std::int64_t i = 0; i < trajectories(); ++i) {
    const auto here = std::max<std::int64_t>(0, frames(i) - length + 1);
    if (rest >= 0 && rest < here) return {i, rest};
    rest -= here;
  }
  fail("window {} of length {} is outside the {} windows of split {}", index, length, windows(length), name());
}

void TrainingFrames::read(std::int64_t trajectory, std::int64_t first, std::int64_t count, std::span<float> out,
                          std::uint64_t pass) const {
  require(trajectory >= 0 && trajectory < trajectories(), "trajectory {} is outside the {} of split {}",
          trajectory, trajectories(), name());
  require(first >= 0 && count > 0 && first + count <= frames(trajectory),
          "frames {}..{} are outside a trajectory of {} frames", first, first + count - 1, frames(trajectory));
  require(out.size() == static_cast<std::size_t>(count * frame_size()), "{} values for {} frames of {} values",
          out.size(), count, frame_size());
  do_read(trajectory, first, count, out, pass);
}

void TrainingFrames::read_window(std::int64_t index, std::int64_t length, std::span<float> out,
                                 std::uint64_t pass) const {
  const FrameWindow window = locate(index, length);
  read(window.trajectory, window.first, length, out, pass);
}

std::vector<double> scales_per_field(const std::vector<double>& given, const DatasetInfo& info) {
  std::vector<double> scales = given.empty() ? info.field_std : given;
  if (scales.size() == 1) scales.resize(info.fields.size(), scales.front());
  if (scales.size() != info.fields.size())
    fail<ConfigError>("field_std holds {} numbers; {} has {} fields", scales.size(), info.name,
                      info.fields.size());
  for (std::size_t c = 0; c < scales.size(); ++c)
    require(std::isfinite(scales[c]) && scales[c] > 0,
            "the standard deviation of field {} is {}; it must be positive", info.fields[c], scales[c]);
  return scales;
}

}  // namespace sns
