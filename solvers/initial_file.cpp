#include "solvers/initial_file.hpp"

#include "core/error.hpp"

namespace sns {
namespace {

std::string text_of(const h5::Shape& shape) {
  std::string text;
  for (const std::uint64_t extent : shape) text += (text.empty() ? "" : ", ") + std::to_string(extent);
  return text;
}

}  // namespace

void read_initial_file(const std::string& address, const h5::Shape& shape, std::uint64_t trajectory,
                       std::span<double> out) {
  const auto [path, name] = h5::split_address(address);
  const h5::File file = h5::File::open_read(path);
  require(file.exists(name) && !file.is_group(name), "{} holds no data set {}", path.string(), name);
  const h5::Dataset dataset = file.dataset(name);
  const h5::Shape found = dataset.shape();
  h5::Shape several = shape, offset(shape.size(), 0), extent = shape;
  if (found.size() == shape.size() + 1) {
    several.insert(several.begin(), found[0]);
    offset.insert(offset.begin(), trajectory);
    extent.insert(extent.begin(), 1);
  }
  require(found == several, "the initial state {} has shape ({}); this solver needs ({}) or (trajectories, {})",
          address, text_of(found), text_of(shape), text_of(shape));
  require(dataset.kind() == h5::Kind::float32 || dataset.kind() == h5::Kind::float64,
          "the initial state {} holds {} values; float32 or float64 are needed", address,
          h5::name(dataset.kind()));
  require(extent.size() == shape.size() || trajectory < found[0],
          "{} holds {} trajectories; trajectory {} was asked for", address, found[0], trajectory);
  dataset.read_slab<double>(offset, extent, out);
}

void check_initial_path(const Section& initial, const std::string& kind, const std::string& path,
                        bool kind_reads_file) {
  if (kind == "file" && path.empty()) initial.reject("path", "is needed by kind: file, as FILE.h5:/dataset");
  if (!kind_reads_file && !path.empty())
    initial.reject("path", fmt::format("is given, but kind: {} reads no file; leave it out", kind));
}

}  // namespace sns
