#include "solvers/initial_file.hpp"

#include "core/error.hpp"
#include "core/text.hpp"
#include "solvers/configuration.hpp"
#include "solvers/spectral/real_transform.hpp"

#include <algorithm>
#include <utility>

namespace sns {
namespace {

/// A checked data set of initial states.
struct InitialStatesFile {
  InitialStatesFile(const std::string& address, const StateLayout& layout) {
    const auto [path, name] = h5::split_address(address);
    const h5::File file = h5::File::open_read(path);
    require(file.exists(name) && !file.is_group(name), "{} holds no data set {}", path.string(), name);
    dataset = file.dataset(name);
    const h5::Shape shape = dataset.shape();
    const auto match = match_states(shape, layout);
    require(match.has_value(),
            "the initial state {} has shape {}; this solver needs {}, or several along an axis in front{}",
            address, shape_text(shape), shape_text(layout.shape), resample_hint(shape, layout));
    stored = *match;
    require(dataset.kind() == h5::Kind::float32 || dataset.kind() == h5::Kind::float64,
            "the initial state {} holds {} values; float32 or float64 are needed", address,
            h5::name(dataset.kind()));
  }

  h5::Dataset dataset;
  StoredStates stored;
};

/// Whether the last two axes are those of a grid that can be resampled.
bool is_even_square(const h5::Shape& state) {
  if (state.size() < 2) return false;
  const std::uint64_t n = state.back();
  return state[state.size() - 2] == n && n % 2 == 0 && n >= kFewestPoints && n <= kMostPoints;
}

std::size_t value_count(const h5::Shape& shape) {
  std::size_t values = 1;
  for (const std::uint64_t extent : shape) values *= extent;
  return values;
}

}  // namespace

std::optional<StoredStates> match_states(const h5::Shape& array, const StateLayout& layout) {
  StoredStates stored{.several = array.size() == layout.shape.size() + 1, .count = 1, .state = array};
  if (stored.several) {
    stored.count = array.front();
    stored.state.erase(stored.state.begin());
  }
  h5::Shape needed = layout.shape;
  if (layout.resample && stored.state.size() == needed.size() && is_even_square(stored.state))
    needed[needed.size() - 2] = needed.back() = stored.state.back();
  if (stored.state != needed || stored.count == 0) return std::nullopt;
  return stored;
}

std::string resample_hint(const h5::Shape& array, const StateLayout& layout) {
  StateLayout any = layout;
  any.resample = true;
  return match_states(array, any) ? " (resample: spectral takes states on other grids)" : "";
}

std::vector<double> states_on_grid(std::vector<double> values, const h5::Shape& state,
                                   const StateLayout& layout) {
  if (state == layout.shape) return values;
  const auto n = static_cast<int>(state.back()), m = static_cast<int>(layout.shape.back());
  const spectral::ResampleOptions options{.filtered = m < n, .offset = layout.offset};
  const std::size_t points = static_cast<std::size_t>(n) * static_cast<std::size_t>(n);
  std::vector<double> result;
  for (std::size_t at = 0; at < values.size(); at += points) {
    const auto plane = spectral::resample(std::span<const double>(values).subspan(at, points), n, m, options);
    result.insert(result.end(), plane.begin(), plane.end());
  }
  return result;
}

std::optional<std::uint64_t> count_initial_states(const std::string& address, const StateLayout& layout) {
  const StoredStates stored = InitialStatesFile(address, layout).stored;
  return stored.several ? std::optional(stored.count) : std::nullopt;
}

void read_initial_file(const std::string& address, const StateLayout& layout, std::uint64_t trajectory,
                       std::span<double> out) {
  const InitialStatesFile file(address, layout);
  h5::Shape offset(file.stored.state.size(), 0), extent = file.stored.state;
  if (file.stored.several) {
    require(trajectory < file.stored.count, "{} holds {} trajectories; trajectory {} was asked for", address,
            file.stored.count, trajectory);
    offset.insert(offset.begin(), trajectory);
    extent.insert(extent.begin(), 1);
  }
  std::vector<double> values(value_count(file.stored.state));
  file.dataset.read_slab<double>(offset, extent, std::span(values));
  values = states_on_grid(std::move(values), file.stored.state, layout);
  std::copy(values.begin(), values.end(), out.begin());
}

void read_initial_path(Section& initial, const std::string& kind, bool kind_reads_file, std::string& path,
                       bool& resample) {
  initial.maybe("path", path);
  if (kind == "file" && path.empty()) initial.reject("path", "is needed by kind: file, as FILE.h5:/dataset");
  if (!kind_reads_file && !path.empty())
    initial.reject("path", fmt::format("is given, but kind: {} reads no file; leave it out", kind));
  if (!path.empty())
    choose(initial, "resample", resample, {{"none", false}, {"spectral", true}});
  else if (initial.has("resample"))
    initial.reject("resample", "is given, but there is no path to a state; leave it out");
}

void check_use(const Section& initial, const std::string& kind, const char* key, bool given, bool used) {
  if (given && !used)
    initial.reject(key,
                   fmt::format("means nothing to kind: {}; leave it out, or give the whole block anew", kind));
}

}  // namespace sns
