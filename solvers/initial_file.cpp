#include "solvers/initial_file.hpp"

#include "core/error.hpp"
#include "core/text.hpp"

namespace sns {
namespace {

/// A checked data set of initial states.
struct InitialStatesFile {
  InitialStatesFile(const std::string& address, const h5::Shape& shape) {
    const auto [path, name] = h5::split_address(address);
    const h5::File file = h5::File::open_read(path);
    require(file.exists(name) && !file.is_group(name), "{} holds no data set {}", path.string(), name);
    dataset = file.dataset(name);
    const h5::Shape found = dataset.shape();
    several = found.size() == shape.size() + 1;
    h5::Shape needed = shape;
    if (several) {
      states = found[0];
      needed.insert(needed.begin(), states);
    }
    require(found == needed,
            "the initial state {} has shape {}; this solver needs {}, or several along an axis in front",
            address, shape_text(found), shape_text(shape));
    require(dataset.kind() == h5::Kind::float32 || dataset.kind() == h5::Kind::float64,
            "the initial state {} holds {} values; float32 or float64 are needed", address,
            h5::name(dataset.kind()));
  }

  h5::Dataset dataset;
  bool several = false;
  std::uint64_t states = 1;
};

}  // namespace

std::optional<std::uint64_t> count_initial_states(const std::string& address, const h5::Shape& shape) {
  const InitialStatesFile file(address, shape);
  return file.several ? std::optional(file.states) : std::nullopt;
}

void read_initial_file(const std::string& address, const h5::Shape& shape, std::uint64_t trajectory,
                       std::span<double> out) {
  const InitialStatesFile file(address, shape);
  h5::Shape offset(shape.size(), 0), extent = shape;
  if (file.several) {
    require(trajectory < file.states, "{} holds {} trajectories; trajectory {} was asked for", address,
            file.states, trajectory);
    offset.insert(offset.begin(), trajectory);
    extent.insert(extent.begin(), 1);
  }
  file.dataset.read_slab<double>(offset, extent, out);
}

void check_initial_path(const Section& initial, const std::string& kind, const std::string& path,
                        bool kind_reads_file) {
  if (kind == "file" && path.empty()) initial.reject("path", "is needed by kind: file, as FILE.h5:/dataset");
  if (!kind_reads_file && !path.empty())
    initial.reject("path", fmt::format("is given, but kind: {} reads no file; leave it out", kind));
}

}  // namespace sns
