#include "solvers/initial_file.hpp"

#include "core/error.hpp"
#include "core/files.hpp"
#include "core/text.hpp"
#include "solvers/configuration.hpp"
#include "solvers/spectral/real_transform.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <utility>

namespace sns {
namespace {

/// What tells a file from another one, and from itself after a change; empty where it cannot be seen.
std::string state_of_file(const std::filesystem::path& path) {
  struct stat now {};
  if (::stat(path.c_str(), &now) != 0) return {};
  return fmt::format("{} {} {} {} {}", now.st_dev, now.st_ino, now.st_size, now.st_mtim.tv_sec,
                     now.st_mtim.tv_nsec);
}

std::string sha256_of(const std::vector<double>& values) {
  return sha256({reinterpret_cast<const char*>(values.data()), values.size() * sizeof(double)});
}

/// Whether the last two axes are those of a grid that can be resampled.
bool is_even_square(const h5::Shape& state) {
  if (state.size() < 2) return false;
  const std::uint64_t n = state.back();
  return state[state.size() - 2] == n && n % 2 == 0 && n >= kFewestPoints && n <= kMostPoints;
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

InitialStatesFile::InitialStatesFile(std::string address, const StateLayout& layout)
    : address_(std::move(address)), array_(address_, layout.shape.size()) {
  const auto match = match_states(shape(), layout);
  require(match.has_value(),
          "the initial state {} has shape {}; the solver needs ({}) = {}, or several along an axis in front{}",
          address_, shape_text(shape()), layout.axes, shape_text(layout.shape),
          array_.one_entry() || shape().size() != layout.shape.size() + 2
              ? resample_hint(shape(), layout)
              : "; of an array with a time axis @N or @last behind its name takes one frame");
  stored_ = *match;
  const h5::Kind kind = array_.dataset().kind();
  require(kind == h5::Kind::float32 || kind == h5::Kind::float64,
          "the initial state {} holds {} values; float32 or float64 are needed", address_, h5::name(kind));
}

std::vector<double> InitialStatesFile::read(std::uint64_t index) const {
  h5::Shape offset(stored_.state.size(), 0), extent = stored_.state;
  if (stored_.several) {
    require(index < stored_.count, "{} holds {} trajectories; trajectory {} was asked for", address_,
            stored_.count, index);
    offset.insert(offset.begin(), index);
    extent.insert(extent.begin(), 1);
  }
  std::vector<double> values(h5::element_count(stored_.state));
  array_.read_slab<double>(offset, extent, std::span(values));
  return values;
}

std::string InitialStatesFile::sha256() const {
  // Solvers of one configuration are made many times, and a file may hold gigabytes.
  struct Known {
    std::string file, hash;
  };
  static std::map<std::string, Known> known;
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  Known& entry = known[address_];
  const std::string file = state_of_file(h5::split_address(address_).first);
  if (entry.file == file && !file.empty()) return entry.hash;
  std::string text = shape_text(shape());
  for (std::uint64_t i = 0; i < stored_.count; ++i) text += '\n' + sha256_of(read(i));
  entry = {file, sns::sha256(text)};
  return entry.hash;
}

void read_initial_file(const std::string& address, const StateLayout& layout, std::uint64_t trajectory,
                       std::span<double> out) {
  const InitialStatesFile file(address, layout);
  const std::vector<double> values = states_on_grid(file.read(trajectory), file.stored().state, layout);
  std::copy(values.begin(), values.end(), out.begin());
}

std::optional<std::uint64_t> record_initial_file(Section& initial, const std::string& address,
                                                 const StateLayout& layout) {
  const InitialStatesFile file(address, layout);
  const std::string found = file.sha256();
  std::string given = found;
  initial.maybe("sha256", given);
  if (given != found)
    initial.reject("sha256", fmt::format("is not that of the values in {} ({}); leave it out to take them",
                                         address, found));
  return file.stored().several ? std::optional(file.stored().count) : std::nullopt;
}

void read_initial_path(Section& initial, const std::string& kind, bool kind_reads_file, std::string& path,
                       bool& resample) {
  initial.maybe("path", path);
  if (kind == "file" && path.empty()) initial.reject("path", "is needed by kind: file, as FILE.h5:/dataset");
  if (!kind_reads_file && !path.empty())
    initial.reject("path", fmt::format("is given, but kind: {} reads no file; leave it out", kind));
  if (!path.empty()) {
    choose(initial, "resample", resample, {{"none", false}, {"spectral", true}});
    return;
  }
  for (const char* key : {"resample", "sha256"})
    if (initial.has(key)) initial.reject(key, "is given, but there is no path to a state; leave it out");
}

void check_use(const Section& initial, const std::string& kind, const char* key, bool given, bool used) {
  if (given && !used)
    initial.reject(key,
                   fmt::format("means nothing to kind: {}; leave it out, or give the whole block anew", kind));
}

}  // namespace sns
