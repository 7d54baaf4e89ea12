#include "core/hdf5_frames.hpp"

#include "core/error.hpp"

#include <algorithm>

namespace sns::h5 {

void read_frames(std::span<const Dataset> fields, std::uint64_t row, std::int64_t first, std::int64_t count,
                 std::span<float> out) {
  require(!fields.empty() && first >= 0 && count >= 0, "no fields or frames to read");
  const Shape shape = fields[0].shape();
  require(shape.size() >= 2, "{} has no axes of samples and frames", fields[0].label());
  Shape offset(shape.size(), 0), extent = shape;
  offset[0] = row;
  offset[1] = static_cast<std::uint64_t>(first);
  extent[0] = 1;
  extent[1] = static_cast<std::uint64_t>(count);
  const auto frames = static_cast<std::size_t>(count);
  const std::size_t values = element_count(extent), points = frames > 0 ? values / frames : 0;
  require(out.size() >= values * fields.size(), "the buffer for {} frames is too small", count);
  if (fields.size() == 1) {
    fields[0].read_slab<float>(offset, extent, out.first(values));
    return;
  }
  std::vector<float> one(values);
  for (std::size_t f = 0; f < fields.size(); ++f) {
    fields[f].read_slab<float>(offset, extent, one);
    for (std::size_t t = 0; t < frames; ++t)
      std::copy_n(&one[t * points], points, &out[(t * fields.size() + f) * points]);
  }
}

}  // namespace sns::h5
