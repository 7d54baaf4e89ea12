#include "datagen/reader.hpp"

#include "core/error.hpp"
#include "core/hdf5_frames.hpp"
#include "core/memory.hpp"

#include <algorithm>

namespace sns {

DataFile::DataFile(const std::filesystem::path& path) : path_(path), file_(h5::File::open_read(path)) {
  const auto need = [&](const std::string& object) {
    require(file_.exists(object), "{} has no /{}: it is not a data set file, or it is incomplete",
            path.string(), object);
  };
  for (const char* object : {"t0_fields", "dimensions", "provenance", "provenance/complete",
                             "provenance/trajectory_id", "provenance/frame_hash"}) {
    need(object);
  }
  const auto complete = file_.dataset("provenance/complete").read<std::uint8_t>();
  require(std::all_of(complete.begin(), complete.end(), [](std::uint8_t c) { return c == 1; }),
          "{} is not marked complete", path.string());
  fields_ = file_.group("t0_fields").attribute<std::vector<std::string>>("field_names");
  axis_names_ = file_.group("dimensions").attribute<std::vector<std::string>>("spatial_dims");
  trajectories_ = file_.dataset("provenance/trajectory_id").read<std::int64_t>();
  const auto axis_length = [&](const std::string& axis) {
    const h5::Shape length = file_.dataset("dimensions/" + axis).shape();
    require(length.size() == 1, "{} is damaged: /dimensions/{} is no list", path.string(), axis);
    return length.front();
  };
  h5::Shape shape{trajectories_.size(), axis_length("time")};
  for (const std::string& axis : axis_names_) grid_.push_back(axis_length(axis));
  shape.insert(shape.end(), grid_.begin(), grid_.end());
  require(h5::element_count(shape) > 0, "{} is damaged: it holds no frames (shape [{}])", path.string(),
          fmt::join(shape, ", "));
  samples_ = static_cast<std::int64_t>(shape[0]);
  frames_ = static_cast<std::int64_t>(shape[1]);
  for (const std::string& field : fields_) {
    need("t0_fields/" + field);
    h5::Dataset dataset = file_.dataset("t0_fields/" + field);
    require(dataset.shape() == shape, "{}: the shape of {} does not fit its dimensions", path.string(), field);
    datasets_.emplace(field, std::move(dataset));
  }
  // Readers hold some frames at a time; sizes of a damaged file fit nowhere.
  require_memory(static_cast<double>(points()) * static_cast<double>(fields_.size()) * sizeof(float),
                 fmt::format("one frame of {} of shape [{}]", path.string(), fmt::join(grid_, ", ")));
}

std::vector<double> DataFile::coordinates(const std::string& axis) const {
  return file_.dataset("dimensions/" + axis).read<double>();
}

std::vector<std::uint64_t> DataFile::frame_hashes() const {
  const h5::Dataset hashes = file_.dataset("provenance/frame_hash");
  const h5::Shape expected{static_cast<std::uint64_t>(samples_), static_cast<std::uint64_t>(frames_)};
  require(hashes.shape() == expected, "{} is damaged: {} has shape [{}] instead of [{}]", path_.string(),
          hashes.label(), fmt::join(hashes.shape(), ", "), fmt::join(expected, ", "));
  return hashes.read<std::uint64_t>();
}

std::string DataFile::identity() const {
  return file_.group("provenance").attribute<std::string>("config_yaml");
}

void DataFile::read(const std::string& field, std::int64_t sample, std::int64_t first, std::int64_t count,
                    std::span<float> out) const {
  const auto found = datasets_.find(field);
  require(found != datasets_.end(), "{} has no field '{}' (it has: {})", path_.string(), field,
          fmt::join(fields_, ", "));
  require(sample >= 0 && sample < samples_ && first >= 0 && count >= 0 && first + count <= frames_,
          "{}: sample {} frames {}..{} lie outside {} samples x {} frames", path_.string(), sample, first,
          first + count, samples_, frames_);
  h5::read_frames(std::span(&found->second, 1), static_cast<std::uint64_t>(sample), first, count, out);
}

void DataFile::read_all(std::int64_t sample, std::int64_t first, std::int64_t count,
                        std::span<float> out) const {
  std::vector<h5::Dataset> fields;
  for (const std::string& field : fields_) fields.push_back(datasets_.at(field));
  h5::read_frames(fields, static_cast<std::uint64_t>(sample), first, count, out);
}

DatasetReader::DatasetReader(const std::filesystem::path& folder, const std::string& split) {
  const auto data = folder / "data" / split;
  std::vector<std::filesystem::path> paths;
  if (std::filesystem::is_directory(data)) {
    for (const auto& entry : std::filesystem::directory_iterator(data)) {
      if (entry.path().extension() == ".h5" || entry.path().extension() == ".hdf5")
        paths.push_back(entry.path());
    }
  }
  require(!paths.empty(), "no data files in {}; make them with 'sns datagen'", data.string());
  for (const auto& path : paths) files_.emplace_back(path);
  std::sort(files_.begin(), files_.end(), [](const DataFile& a, const DataFile& b) {
    return a.trajectories().front() < b.trajectories().front();
  });
  for (const DataFile& file : files_) {
    const DataFile& first = files_.front();
    require(file.fields() == first.fields() && file.grid() == first.grid() && file.frames() == first.frames(),
            "{} and {} differ in fields, grid or frames", first.path().string(), file.path().string());
    samples_ += file.samples();
  }
}

std::vector<std::int64_t> DatasetReader::trajectories() const {
  std::vector<std::int64_t> ids;
  for (const DataFile& file : files_)
    ids.insert(ids.end(), file.trajectories().begin(), file.trajectories().end());
  return ids;
}

void DatasetReader::read(const std::string& field, std::int64_t first_sample, std::int64_t sample_count,
                         std::int64_t first, std::int64_t count, std::span<float> out) const {
  require(first_sample >= 0 && sample_count >= 0 && first_sample + sample_count <= samples_,
          "samples {}..{} lie outside the {} of the data set", first_sample, first_sample + sample_count,
          samples_);
  const std::size_t stride = static_cast<std::size_t>(count) * files_.front().points();
  require(out.size() >= static_cast<std::size_t>(sample_count) * stride, "the buffer for samples is too small");
  std::int64_t start = 0;
  for (const DataFile& file : files_) {
    for (std::int64_t s = 0; s < file.samples(); ++s) {
      const std::int64_t wanted = start + s - first_sample;
      if (wanted < 0 || wanted >= sample_count) continue;
      file.read(field, s, first, count, out.subspan(static_cast<std::size_t>(wanted) * stride, stride));
    }
    start += file.samples();
  }
}

}  // namespace sns
