#include "datagen/manifest.hpp"

#include "core/error.hpp"
#include "core/files.hpp"
#include "core/stop.hpp"
#include "datagen/card.hpp"
#include "datagen/reader.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

namespace sns {
nlohmann::json to_json(const FileRecord& record) {
  nlohmann::json failed = nlohmann::json::array();
  for (const auto& f : record.failed) {
    failed.push_back({{"trajectory", f.trajectory}, {"step", f.step}, {"reason", f.reason}});
  }
  return {{"path", record.path},
          {"split", record.group.split},
          {"first_trajectory", record.group.first},
          {"trajectory_count", record.group.count},
          {"bytes", record.bytes},
          {"sha256", record.sha256},
          {"data_hash", record.data_hash},
          {"samples", record.samples},
          {"trajectories", record.trajectories},
          {"failed", failed},
          {"statistics", to_json(record.statistics)}};
}

FileRecord file_record_from_json(const nlohmann::json& json) {
  FileRecord record;
  json.at("path").get_to(record.path);
  json.at("split").get_to(record.group.split);
  json.at("first_trajectory").get_to(record.group.first);
  json.at("trajectory_count").get_to(record.group.count);
  json.at("bytes").get_to(record.bytes);
  json.at("sha256").get_to(record.sha256);
  json.at("data_hash").get_to(record.data_hash);
  json.at("samples").get_to(record.samples);
  json.at("trajectories").get_to(record.trajectories);
  for (const auto& f : json.at("failed")) {
    record.failed.push_back({f.at("trajectory").get<std::uint64_t>(), f.at("step").get<std::int64_t>(),
                             f.at("reason").get<std::string>()});
  }
  record.statistics = statistics_from_json(json.at("statistics"));
  return record;
}

FileRecord describe_file(const std::filesystem::path& path, const std::string& relative_path,
                         const TrajectoryGroup& group) {
  FileRecord record;
  record.path = relative_path;
  record.group = group;
  record.bytes = std::filesystem::file_size(path);
  record.sha256 = sha256_file(path);
  const DataFile file(path);
  record.samples = file.samples();
  for (const std::int64_t id : file.trajectories()) {
    if (record.trajectories.empty() || record.trajectories.back() != id) record.trajectories.push_back(id);
  }
  if (file.file().exists("provenance/failed_trajectory")) {
    const auto ids = file.file().dataset("provenance/failed_trajectory").read<std::int64_t>();
    const auto steps = file.file().dataset("provenance/failed_step").read<std::int64_t>();
    const auto reasons = file.file().dataset("provenance/failed_reason").read_strings();
    require(steps.size() == ids.size() && reasons.size() == ids.size(),
            "{} is damaged: its lists of failed trajectories do not fit each other", path.string());
    for (std::size_t i = 0; i < ids.size(); ++i) {
      record.failed.push_back({static_cast<std::uint64_t>(ids[i]), steps[i], reasons[i]});
    }
  }
  const auto hashes = file.frame_hashes();
  record.data_hash =
      sha256({reinterpret_cast<const char*>(hashes.data()), hashes.size() * sizeof(std::uint64_t)});

  const std::size_t points = file.points();
  const std::int64_t chunk = chunk_frames(file.frames(), points);
  // One frame more in front: the last one of the previous chunk, for the differences.
  std::vector<float> buffer(static_cast<std::size_t>(chunk + 1) * points),
      deltas(static_cast<std::size_t>(chunk) * points);
  for (const std::string& field : file.fields()) {
    FieldStatistics& statistics = record.statistics[field];
    for (std::int64_t sample = 0; sample < file.samples(); ++sample) {
      for (std::int64_t first = 0; first < file.frames(); first += chunk) {
        throw_if_stopped("while a finished file was read back");
        const std::int64_t count = std::min(chunk, file.frames() - first);
        const std::size_t values = static_cast<std::size_t>(count) * points;
        const std::span<float> frames = std::span(buffer).subspan(points, values);
        file.read(field, sample, first, count, frames);
        statistics.value.add(frames);
        const std::size_t skip = first == 0 ? points : 0;
        for (std::size_t i = skip; i < values; ++i) deltas[i] = frames[i] - buffer[i];
        statistics.delta.add(std::span<const float>(deltas).subspan(skip, values - skip));
        std::copy_n(buffer.begin() + static_cast<std::ptrdiff_t>(values), points, buffer.begin());
      }
    }
    require(std::isfinite(statistics.value.squares), "{}: {} holds values that are not finite", path.string(),
            field);
  }
  return record;
}

namespace {

/// What the manifest's data_hash is made of.
std::string hash_of_data(const std::vector<FileRecord>& records) {
  std::string hashes;
  for (const FileRecord& record : records) hashes += record.data_hash + "\n";
  return sha256(hashes);
}

/// The checksum of the lines above it covers all lines but the last: that one must be, byte for byte, what
/// follows from the others.
bool follows(const std::string& last_line, const nlohmann::json& last, const Manifest& manifest) {
  const std::string name = last.at("dataset").get<std::string>();
  const bool named = std::all_of(manifest.files.begin(), manifest.files.end(), [&](const FileRecord& r) {
    return r.path.empty() ||
           std::filesystem::path(r.path).stem() == fmt::format("{}_{:06}", name, r.group.first);
  });
  const auto config = std::find_if(manifest.plain.begin(), manifest.plain.end(),
                                   [](const PlainFile& file) { return file.path == "config.yaml"; });
  return named && config != manifest.plain.end() && config->sha256 == manifest.config_hash &&
         hash_of_data(manifest.files) == manifest.data_hash && last_line == last.dump() + "\n";
}

}  // namespace

Manifest read_manifest(const std::filesystem::path& folder) {
  const auto path = folder / "MANIFEST.jsonl";
  require(std::filesystem::exists(path), "{} has no MANIFEST.jsonl: it is not a finished data set",
          folder.string());
  const std::string text = read_text(path);
  Manifest manifest;
  bool closed = false;
  try {
    for (std::size_t start = 0; start < text.size();) {
      const std::size_t end = std::min(text.find('\n', start), text.size());
      const auto json = nlohmann::json::parse(text.begin() + static_cast<std::ptrdiff_t>(start),
                                              text.begin() + static_cast<std::ptrdiff_t>(end));
      if (json.contains("lines_sha256")) {
        require(json.at("lines_sha256") == sha256(std::string_view(text).substr(0, start)),
                "{} does not fit its own checksum: it was altered", path.string());
        json.at("config_hash").get_to(manifest.config_hash);
        json.at("data_hash").get_to(manifest.data_hash);
        require(follows(text.substr(start), json, manifest),
                "{}: its last line does not fit the others: it was altered", path.string());
        closed = true;
      } else if (json.contains("trajectories")) {
        manifest.files.push_back(file_record_from_json(json));
      } else {
        manifest.plain.push_back({json.at("path").get<std::string>(), json.at("bytes").get<std::uint64_t>(),
                                  json.at("sha256").get<std::string>()});
      }
      start = end + 1;
    }
  } catch (const nlohmann::json::exception&) {
    fail("{} is damaged: a line is not what was written", path.string());
  }
  require(closed, "{} is damaged: its last line is missing", path.string());
  return manifest;
}

std::pair<Statistics, std::string> training_statistics(const std::vector<FileRecord>& records) {
  const bool train = std::any_of(records.begin(), records.end(),
                                 [](const FileRecord& r) { return r.group.split == "train" && r.samples > 0; });
  Statistics statistics;
  for (const FileRecord& record : records) {
    if (!train || record.group.split == "train") merge(statistics, record.statistics);
  }
  return {statistics, train ? "train split" : "whole data set (it has no train split)"};
}

bool is_whole(const std::filesystem::path& folder, const FileRecord& record) {
  std::error_code code;
  return record.path.empty() || std::filesystem::file_size(folder / record.path, code) == record.bytes;
}

std::optional<std::string> missing_data(const std::filesystem::path& folder) {
  try {
    const Manifest manifest = read_manifest(folder);
    for (const FileRecord& record : manifest.files)
      if (!is_whole(folder, record)) return record.path + " is missing or has another size";
    for (const PlainFile& file : manifest.plain)
      if (!std::filesystem::exists(folder / file.path)) return file.path + " is missing";
  } catch (const Error&) {  // whoever makes or reads the data says what is wrong with it
  }
  return std::nullopt;
}

bool has_partial_data(const std::filesystem::path& folder) {
  for (const char* part : {"data", "partial"}) {
    std::error_code none;  // where there is nothing, or another process takes it away meanwhile
    for (std::filesystem::recursive_directory_iterator entry(folder / part, none), end; !none && entry != end;
         entry.increment(none))
      if (entry->path().extension() == ".h5") return true;
  }
  return false;
}

void write_manifest(const std::filesystem::path& folder, const DatagenPlan& plan, const SolverInfo& info,
                    const std::string& identity, const std::vector<FileRecord>& records) {
  const auto [statistics, over] = training_statistics(records);
  write_text(folder / "stats.yaml", stats_yaml(statistics, fmt::format("{}: over the {}", plan.name, over)));
  write_text(folder / "README.md", card(plan, info, records, identity));
  const std::string metadata = metadata_file(plan.name);
  write_text(folder / metadata, metadata_yaml(plan, info, records));
  std::string lines;
  for (const FileRecord& record : records) {
    nlohmann::json json = to_json(record);
    json["seed"] = plan.seed;
    lines += json.dump() + "\n";
  }
  for (const std::string& name :
       {std::string("config.yaml"), std::string("stats.yaml"), metadata, std::string("README.md")}) {
    const nlohmann::json json{{"path", name},
                              {"bytes", std::filesystem::file_size(folder / name)},
                              {"sha256", sha256_file(folder / name)}};
    lines += json.dump() + "\n";
  }
  const nlohmann::json last{{"dataset", plan.name},
                            {"config_hash", sha256(identity)},
                            {"data_hash", hash_of_data(records)},
                            {"lines_sha256", sha256(lines)}};
  write_text(folder / "MANIFEST.jsonl", lines + last.dump() + "\n");
}

}  // namespace sns
