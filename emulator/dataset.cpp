#include "emulator/dataset.hpp"

#include "core/config.hpp"
#include "core/error.hpp"
#include "core/files.hpp"
#include "core/hdf5_frames.hpp"
#include "core/random.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>
#include <sstream>

namespace sns {
namespace {

/// What MANIFEST.jsonl says: the hash of all frames, if it is whole, and the bytes of the files by their paths
/// in the data set.
struct Listed {
  std::string data_hash;
  std::map<std::string, std::uintmax_t> files;
};

/// Of a data set without a manifest: nothing. Whether the rest of it is as it was written 'sns verify' finds
/// out.
Listed read_listed(const std::filesystem::path& dataset) {
  Listed listed;
  const auto manifest = dataset / "MANIFEST.jsonl";
  if (!std::filesystem::exists(manifest)) return listed;
  std::istringstream lines(read_text(manifest));
  for (std::string line; std::getline(lines, line);) {
    const auto json = nlohmann::json::parse(line, nullptr, false);
    const auto text = [&](const char* key) {
      return json.is_object() && json.contains(key) && json[key].is_string() ? json[key].get<std::string>()
                                                                             : "";
    };
    listed.data_hash = text("data_hash");  // of the last line; others have that of a file
    const std::string path = text("path");
    if (path.empty() || !json.contains("trajectories") || !json.contains("bytes")) continue;
    if (json["bytes"].is_number_unsigned()) listed.files[path] = json["bytes"].get<std::uintmax_t>();
    listed.data_hash.clear();
  }
  require(!listed.data_hash.empty(),
          "{} is damaged or not finished: its last line has no data_hash; run 'sns datagen' again",
          manifest.string());
  return listed;
}

bool is_of(const std::string& path, const std::string& split) {
  return path.starts_with("data/" + split + "/");
}

/// Error if files of a split are not those that the manifest lists: what a copy left out or a user added would
/// change what is trained on without a word.
void require_as_listed(const std::filesystem::path& dataset, const std::string& split,
                       const std::vector<std::filesystem::path>& files) {
  const Listed listed = read_listed(dataset);
  if (listed.files.empty()) return;
  for (const auto& file : files) {
    const std::string path = "data/" + split + "/" + file.filename().string();
    require(listed.files.contains(path), "{} is not of the data set: its MANIFEST.jsonl does not list it",
            file.string());
  }
  for (const auto& [path, bytes] : listed.files) {
    std::error_code none;
    require(
        !is_of(path, split) || std::filesystem::file_size(dataset / path, none) == bytes,
        "{} is missing or has another size than MANIFEST.jsonl says; 'sns verify' tells more, the same 'sns "
        "datagen' command makes it again",
        (dataset / path).string());
  }
}

std::vector<std::filesystem::path> split_files(const std::filesystem::path& dataset, const std::string& split) {
  const auto folder = dataset / "data" / split;
  require(std::filesystem::is_directory(dataset), "data set {} does not exist; make it with 'sns datagen'",
          dataset.string());
  require(std::filesystem::is_directory(folder),
          "data set {} has no folder data/{}; make it with 'sns datagen'", dataset.string(), split);
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const auto extension = entry.path().extension();
    if (entry.is_regular_file() && (extension == ".h5" || extension == ".hdf5")) files.push_back(entry.path());
  }
  require(!files.empty(), "data set {} has no .h5 file in data/{}; is 'sns datagen' finished?",
          dataset.string(), split);
  std::sort(files.begin(), files.end());
  require_as_listed(dataset, split, files);
  return files;
}

/// Whether there are files of a split, or should be.
bool has_split(const std::filesystem::path& dataset, const std::string& split) {
  const Listed listed = read_listed(dataset);
  return std::filesystem::is_directory(dataset / "data" / split) ||
         std::any_of(listed.files.begin(), listed.files.end(),
                     [&](const auto& file) { return is_of(file.first, split); });
}

h5::Dataset open_field(const h5::File& file, const std::string& field) {
  const std::string path = "t0_fields/" + field;
  require(file.exists(path), "{} has no field /t0_fields/{}", file.path().string(), field);
  return file.dataset(path);
}

h5::Shape field_shape(const h5::Dataset& field) {
  auto shape = field.shape();
  require(shape.size() == 4, "{} has {} axes; a field of a data set has four: (sample, time, x, y)",
          field.label(), shape.size());
  return shape;
}

/// The manifest's hash of all frames: files of the same data made at another time or place have the same one. A
/// data set without a manifest is known by the hashes of its files.
std::string hash_of_frames(const std::filesystem::path& folder) {
  if (const Listed listed = read_listed(folder); !listed.data_hash.empty()) return listed.data_hash;
  std::string summary;
  for (const char* split : {"train", "valid", "test"}) {
    if (!std::filesystem::is_directory(folder / "data" / split)) continue;
    for (const auto& file : split_files(folder, split)) {
      summary += std::string(split) + "/" + file.filename().string() + " " + sha256_file(file) + "\n";
    }
  }
  return sha256(summary);
}

void require_finite(std::span<const float> values, const std::string& where) {
  for (const float value : values) {
    require(std::isfinite(value), "{} holds a non-finite value; check the data set with 'sns verify'", where);
  }
}

std::uint64_t mix(std::uint64_t x) {  // finaliser of SplitMix64 (Steele, Lea, Flood 2014)
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

}  // namespace

DatasetInfo describe_dataset(const std::filesystem::path& folder, const std::vector<std::string>& fields) {
  const auto files = split_files(folder, "train");
  const auto file = h5::File::open_read(files.front());
  require(file.exists("t0_fields"), "{} has no group /t0_fields: it is not a data set of this suite",
          files.front().string());
  DatasetInfo info;
  info.folder = folder;
  info.name = file.has_attribute("dataset_name") ? file.attribute<std::string>("dataset_name")
                                                 : folder.filename().string();
  const auto group = file.group("t0_fields");
  info.fields = fields;
  if (info.fields.empty()) {
    info.fields = group.has_attribute("field_names") ? group.attribute<std::vector<std::string>>("field_names")
                                                     : group.names();
  }
  require(!info.fields.empty(), "{}:/t0_fields is empty", files.front().string());
  const auto shape = field_shape(open_field(file, info.fields.front()));
  info.nx = static_cast<std::int64_t>(shape[2]);
  info.ny = static_cast<std::int64_t>(shape[3]);
  require(shape[1] >= 2, "{} has {} frames per trajectory; training needs at least 2", files.front().string(),
          shape[1]);
  require(file.exists("dimensions/time"), "{} has no /dimensions/time", files.front().string());
  const auto time = file.dataset("dimensions/time").read<double>();
  require(time.size() == shape[1], "{}:/dimensions/time has {} entries, the fields have {} frames",
          files.front().string(), time.size(), shape[1]);
  info.frame_interval = time[1] - time[0];
  if (file.has_attribute(kForcingWavenumber))
    info.forcing_wavenumber = file.attribute<double>(kForcingWavenumber);

  const auto stats_file = folder / "stats.yaml";
  require(std::filesystem::exists(stats_file), "data set {} has no stats.yaml; is 'sns datagen' finished?",
          folder.string());
  const auto stats = Config::load(stats_file);
  auto root = stats.root();
  auto stds = root.child("std");
  for (const auto& field : info.fields) {
    double value = 0;
    stds.need(field, value, positive);
    info.field_std.push_back(value);
  }
  info.hash = hash_of_frames(folder);
  return info;
}

Permutation::Permutation(std::uint64_t size, std::uint64_t seed, std::uint64_t epoch) : size_(size) {
  require(size > 0, "a permutation needs at least one item");
  half_bits_ = (std::max(2, static_cast<int>(std::bit_width(size - 1))) + 1) / 2;
  RandomStream stream(seed, Purpose::batch_order, epoch);
  for (auto& key : keys_) key = stream.next_u64();
}

std::uint64_t Permutation::operator()(std::uint64_t index) const {
  const std::uint64_t mask = (std::uint64_t{1} << half_bits_) - 1;
  do {
    std::uint64_t left = index >> half_bits_, right = index & mask;
    for (const auto key : keys_) {
      const std::uint64_t next = left ^ (mix(right + key) & mask);
      left = right;
      right = next;
    }
    index = (left << half_bits_) | right;
  } while (index >= size_);
  return index;
}

EpochSampler::EpochSampler(std::uint64_t size, std::uint64_t seed)
    : size_(size), seed_(seed), permutation_(size, seed, 0) {}

std::uint64_t EpochSampler::operator()(std::uint64_t position) {
  const std::uint64_t epoch = position / size_;
  if (epoch != epoch_) {
    permutation_ = Permutation(size_, seed_, epoch);
    epoch_ = epoch;
  }
  return permutation_(position % size_);
}

DataSplit::DataSplit(const DatasetInfo& info, const std::string& split, std::vector<double> field_std,
                     std::uint64_t memory_budget)
    : split_(split), fields_(info.fields), field_std_(std::move(field_std)), nx_(info.nx), ny_(info.ny) {
  require(field_std_.size() == fields_.size(), "{} values of field_std for {} fields", field_std_.size(),
          fields_.size());
  for (const double value : field_std_) {
    require(std::isfinite(value) && value > 0, "field_std {} must be positive", value);
  }
  files_ = split_files(info.folder, split);
  scan(info);
  std::uint64_t bytes = 0;
  for (const auto& trajectory : trajectories_) {
    bytes += static_cast<std::uint64_t>(trajectory.frames * frame_size()) * sizeof(float);
  }
  in_memory_ = bytes <= memory_budget;
  if (in_memory_) load();
}

void DataSplit::scan(const DatasetInfo& info) {
  for (std::size_t f = 0; f < files_.size(); ++f) {
    const auto file = h5::File::open_read(files_[f]);
    h5::Shape shape;
    for (const auto& field : fields_) {
      const auto dataset = open_field(file, field);
      shape = field_shape(dataset);
      require(
          shape[2] == static_cast<std::uint64_t>(info.nx) && shape[3] == static_cast<std::uint64_t>(info.ny),
          "{} has frames of {}x{}, the data set's first file {}x{}", dataset.label(), shape[2], shape[3],
          info.nx, info.ny);
    }
    std::vector<std::uint8_t> complete(shape[0], 1);
    if (file.exists("provenance/complete")) complete = file.dataset("provenance/complete").read<std::uint8_t>();
    require(complete.size() == shape[0], "{}:/provenance/complete has {} entries for {} samples",
            files_[f].string(), complete.size(), shape[0]);
    for (std::uint64_t sample = 0; sample < shape[0]; ++sample) {
      // A trajectory that was lost (for example to instability) is recorded, and left out here.
      if (complete[sample] != 0) trajectories_.push_back({f, sample, static_cast<std::int64_t>(shape[1])});
    }
  }
  require(!trajectories_.empty(), "data set {} has no complete trajectory in data/{}", info.folder.string(),
          split_);
}

void DataSplit::load() {
  frames_.resize(trajectories_.size());
  for (std::size_t i = 0; i < trajectories_.size(); ++i) {
    frames_[i].resize(static_cast<std::size_t>(trajectories_[i].frames * frame_size()));
    read_from_file(trajectories_[i], 0, trajectories_[i].frames, frames_[i]);
  }
  open_.clear();
}

const std::vector<h5::Dataset>& DataSplit::open(std::size_t file) const {
  const auto found =
      std::find_if(open_.begin(), open_.end(), [&](const OpenFile& o) { return o.file == file; });
  if (found != open_.end()) {
    open_.splice(open_.begin(), open_, found);
    return open_.front().fields;
  }
  const auto handle = h5::File::open_read(files_[file]);
  OpenFile opened{file, {}};
  for (const auto& field : fields_) opened.fields.push_back(open_field(handle, field));
  open_.push_front(std::move(opened));
  if (open_.size() > kOpenFiles) open_.pop_back();
  return open_.front().fields;
}

void DataSplit::read_from_file(const Trajectory& trajectory, std::int64_t first, std::int64_t count,
                               std::span<float> out) const {
  const auto& fields = open(trajectory.file);
  const auto plane = static_cast<std::size_t>(nx_ * ny_);
  h5::read_frames(fields, trajectory.sample, first, count, out);
  for (std::size_t i = 0; i < static_cast<std::size_t>(count) * fields.size(); ++i) {
    const auto scale = static_cast<float>(1.0 / field_std_[i % fields.size()]);
    for (auto& value : out.subspan(i * plane, plane)) value *= scale;
  }
  require_finite(out, fmt::format("{}, sample {}, frames {}..{}", files_[trajectory.file].string(),
                                  trajectory.sample, first, first + count - 1));
}

std::int64_t DataSplit::frames(std::int64_t trajectory) const {
  return trajectories_.at(static_cast<std::size_t>(trajectory)).frames;
}

void DataSplit::do_read(std::int64_t trajectory, std::int64_t first, std::int64_t count, std::span<float> out,
                        std::uint64_t /*pass*/) const {
  const auto index = static_cast<std::size_t>(trajectory);
  if (in_memory_) {
    std::copy_n(frames_[index].data() + first * frame_size(), out.size(), out.data());
    return;
  }
  const std::lock_guard lock(mutex_);
  read_from_file(trajectories_[index], first, count, out);
}

TrainingSource dataset_source(const std::filesystem::path& folder, std::uint64_t memory_budget) {
  return [folder, memory_budget](const std::vector<double>& field_std,
                                 const std::optional<std::filesystem::path>& /*checkpoint*/) {
    TrainingData data;
    data.info = describe_dataset(folder);
    data.field_std = scales_per_field(field_std, data.info);
    data.source = "data set " + data.info.name;
    data.training = std::make_unique<DataSplit>(data.info, "train", data.field_std, memory_budget);
    if (has_split(folder, "valid"))
      data.validation = std::make_unique<DataSplit>(data.info, "valid", data.field_std, memory_budget);
    return data;
  };
}

}  // namespace sns
