#include "experiments/metrics/frames.hpp"

#include "core/error.hpp"
#include "core/hdf5_frames.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>
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

std::vector<std::string> field_names(const h5::File& file) {
  require(file.exists("t0_fields"), "{} has no /t0_fields", file.path().string());
  const auto group = file.group("t0_fields");
  auto names = group.has_attribute("field_names") ? group.attribute<std::vector<std::string>>("field_names")
                                                  : group.names();
  require(!names.empty(), "{}:/t0_fields is empty", file.path().string());
  return names;
}

}  // namespace

void FrameSource::append(const std::filesystem::path& path, const std::string& group, const std::string& ids) {
  const auto file = h5::File::open_read(path);
  std::vector<h5::Dataset> fields;
  for (const std::string& name : names_) {
    require(file.exists(group + name), "{} has no field {}", path.string(), name);
    fields.push_back(file.dataset(group + name));
    require(fields.back().shape() == fields.front().shape(), "{} and {} differ in shape",
            fields.front().label(), fields.back().label());
  }
  const auto shape = fields.front().shape();
  require(shape.size() == 4 && shape[2] == shape[3] && shape[1] >= 2,
          "{}: shape must be [member, time >= 2, n, n]", fields.front().label());
  const auto time = file.dataset("time").read<double>();
  const auto member_ids = file.dataset(ids).read<std::int64_t>();
  require(time.size() == shape[1] && member_ids.size() == shape[0],
          "{}: {} times and {} ids do not fit shape [{}, {}, ...]", path.string(), time.size(),
          member_ids.size(), shape[0], shape[1]);
  const double interval = (time.back() - time.front()) / static_cast<double>(time.size() - 1);
  require(interval > 0, "{}: time does not increase", path.string());
  if (files_.empty()) {
    frames_ = static_cast<std::int64_t>(shape[1]);
    points_ = static_cast<int>(shape[2]);
    interval_ = interval;
  }
  require(frames_ == static_cast<std::int64_t>(shape[1]) && points_ == static_cast<int>(shape[2]) &&
              std::abs(interval - interval_) < 1e-6 * interval_,
          "{}: {} frames of {}x{} every {} differ from the other files' {} of {}x{} every {}", path.string(),
          shape[1], shape[2], shape[2], interval, frames_, points_, points_, interval_);
  for (std::size_t i = 0; i < member_ids.size(); ++i) places_.push_back({member_ids[i], files_.size(), i});
  files_.push_back(std::move(fields));
}

FrameSource FrameSource::dataset(const std::filesystem::path& folder) {
  FrameSource source;
  const auto files = data_files(folder);
  source.names_ = field_names(h5::File::open_read(files.front()));
  for (const auto& file : files) source.append(file, "t0_fields/", "provenance/trajectory_id");
  std::sort(source.places_.begin(), source.places_.end(),
            [](const Place& a, const Place& b) { return a.id < b.id; });
  return source;
}

FrameSource FrameSource::rollout(const std::filesystem::path& path, const std::vector<std::string>& fields) {
  const auto file = h5::File::open_read(path);
  require(file.has_attribute("complete") && file.attribute<bool>("complete"),
          "{} is not finished: run sns rollout again, it continues where it stopped", path.string());
  FrameSource source;
  source.names_ = fields;
  source.append(path, "", "member");
  return source;
}

void FrameSource::read(int member, std::int64_t first, std::int64_t count, std::span<float> out) const {
  const Place& place = places_[static_cast<std::size_t>(member)];
  h5::read_frames(files_[place.file], place.index, first, count, out);
}

namespace {

/// Values of root attributes; nullopt unless the file has them all.
std::optional<std::vector<double>> attributes(const h5::File& file, const std::vector<const char*>& names) {
  std::vector<double> values;
  for (const char* name : names) {
    if (!file.has_attribute(name)) return std::nullopt;
    values.push_back(file.attribute<double>(name));
  }
  return values;
}

/// What drives and damps the flow, and what is missing from its frames.
void read_driving(const h5::File& file, Flow& flow) {
  flow.first.clear();
  for (const std::string& axis : flow.axes)
    flow.first.push_back(file.exists(axis) ? file.dataset(axis).read<double>().front() : 0);
  if (const auto provenance = file.group("provenance"); provenance.has_attribute("removed"))
    flow.zonal_mean_removed = provenance.attribute<std::string>("removed") == "zonal_mean";
  if (flow.layers) {
    if (const auto v = attributes(file, {"U1", "U2", "rek"})) flow.shear = Shear{(*v)[0], (*v)[1], (*v)[2]};
  } else if (const auto v =
                 attributes(file, {"viscosity", "drag", "forcing_wavenumber", "forcing_amplitude"})) {
    flow.force = BodyForce{(*v)[0], (*v)[1], 2 * std::numbers::pi / flow.length * (*v)[2], (*v)[3]};
  }
}

}  // namespace

Flow read_flow(const std::filesystem::path& folder) {
  const auto file = h5::File::open_read(data_files(folder).front());
  const auto x = file.dataset("x").read<double>();
  require(x.size() >= 2, "{}: the x axis has {} points", file.path().string(), x.size());
  Flow flow;
  flow.points = static_cast<int>(x.size());
  flow.length = (x[1] - x[0]) * static_cast<double>(x.size());
  flow.fields = field_names(file);
  flow.units.clear();
  for (const std::string& name : flow.fields) {
    const auto field = file.dataset("t0_fields/" + name);
    flow.units.push_back(field.has_attribute("units") ? field.attribute<std::string>("units") : "");
  }
  if (file.exists("dimensions") && file.group("dimensions").has_attribute("spatial_dims"))
    flow.axes = file.group("dimensions").attribute<std::vector<std::string>>("spatial_dims");
  if (const auto time = file.dataset("time"); time.has_attribute("units"))
    flow.time_units = time.attribute<std::string>("units");
  if (flow.fields == std::vector<std::string>{"q_upper", "q_lower"}) {
    for (const char* name : {"deformation_radius", "depth_ratio"})
      require(file.has_attribute(name), "{} does not say the {} of its two layers", file.path().string(), name);
    flow.layers = Layers{file.attribute<double>("deformation_radius"), file.attribute<double>("depth_ratio")};
  }
  read_driving(file, flow);
  return flow;
}

}  // namespace sns::metrics
