#include "experiments/metrics/frames.hpp"

#include "core/error.hpp"

#include <algorithm>
#include <cmath>
#include <string>

namespace sns::metrics {
namespace {

std::vector<std::filesystem::path> data_files(const std::filesystem::path& folder) {
  const auto data = folder / "data";
  require(std::filesystem::is_directory(data),
          "{} is not a data-set folder (it has no data/): give one that sns datagen wrote", folder.string());
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(data))
    if (entry.path().extension() == ".h5") files.push_back(entry.path());
  require(!files.empty(), "{} holds no .h5 files", data.string());
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

void FrameSource::append(const std::filesystem::path& path, const std::string& field, const std::string& ids) {
  const auto file = h5::File::open_read(path);
  auto data = file.dataset(field);
  const auto shape = data.shape();
  require(shape.size() == 4 && shape[2] == shape[3] && shape[1] >= 2,
          "{}: shape must be [member, time >= 2, n, n]", data.label());
  const auto time = file.dataset("time").read<double>();
  const auto member_ids = file.dataset(ids).read<std::int64_t>();
  require(time.size() == shape[1] && member_ids.size() == shape[0],
          "{}: {} times and {} ids do not fit shape [{}, {}, ...]", path.string(), time.size(),
          member_ids.size(), shape[0], shape[1]);
  const double interval = (time.back() - time.front()) / static_cast<double>(time.size() - 1);
  require(interval > 0, "{}: time does not increase", path.string());
  if (fields_.empty()) {
    frames_ = static_cast<std::int64_t>(shape[1]);
    points_ = static_cast<int>(shape[2]);
    interval_ = interval;
  }
  require(frames_ == static_cast<std::int64_t>(shape[1]) && points_ == static_cast<int>(shape[2]) &&
              std::abs(interval - interval_) < 1e-6 * interval_,
          "{}: {} frames of {}x{} every {} differ from the other files' {} of {}x{} every {}", path.string(),
          shape[1], shape[2], shape[2], interval, frames_, points_, points_, interval_);
  for (std::size_t i = 0; i < member_ids.size(); ++i) places_.push_back({member_ids[i], fields_.size(), i});
  fields_.push_back(std::move(data));
}

FrameSource FrameSource::dataset(const std::filesystem::path& folder) {
  FrameSource source;
  for (const auto& file : data_files(folder))
    source.append(file, "t0_fields/vorticity", "provenance/trajectory_id");
  std::sort(source.places_.begin(), source.places_.end(),
            [](const Place& a, const Place& b) { return a.id < b.id; });
  return source;
}

FrameSource FrameSource::rollout(const std::filesystem::path& path) {
  const auto file = h5::File::open_read(path);
  require(file.has_attribute("complete") && file.attribute<bool>("complete"),
          "{} is not finished: run sns rollout again, it continues where it stopped", path.string());
  FrameSource source;
  source.append(path, "vorticity", "member");
  return source;
}

void FrameSource::read(int member, std::int64_t first, std::int64_t count, std::span<float> out) const {
  const Place& place = places_[static_cast<std::size_t>(member)];
  const auto n = static_cast<std::uint64_t>(points_);
  fields_[place.file].read_slab<float>({place.index, static_cast<std::uint64_t>(first), 0, 0},
                                       {1, static_cast<std::uint64_t>(count), n, n},
                                       out.first(static_cast<std::size_t>(count) * pixels()));
}

double domain_length(const std::filesystem::path& folder) {
  const auto file = h5::File::open_read(data_files(folder).front());
  const auto x = file.dataset("x").read<double>();
  require(x.size() >= 2, "{}: the x axis has {} points", file.path().string(), x.size());
  return (x[1] - x[0]) * static_cast<double>(x.size());
}

}  // namespace sns::metrics
