#include "app/commands.hpp"
#include "core/build_info.hpp"
#include "core/error.hpp"
#include "core/files.hpp"
#include "core/hdf5.hpp"
#include "core/hdf5_links.hpp"
#include "core/parallel.hpp"
#include "datagen/checkpoint.hpp"
#include "datagen/frame_log.hpp"
#include "datagen/manifest.hpp"
#if SNS_HAVE_TORCH
#include "core/progress.hpp"
#include "emulator/device.hpp"
#include "experiments/stage_records.hpp"
#endif
#include "solvers/cuda_plugin.hpp"

#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>

namespace sns {
namespace {

namespace fs = std::filesystem;

std::string gpu_description() {
  if (!fs::exists("/proc/driver/nvidia/gpus")) return "none (no NVIDIA driver)";
  std::string text;
  for (const auto& gpu : fs::directory_iterator("/proc/driver/nvidia/gpus")) {
    std::ifstream file(gpu.path() / "information");
    for (std::string line; std::getline(file, line);) {
      if (!line.starts_with("Model:")) continue;
      const std::size_t start = line.find_first_not_of(" \t", 6);
      if (start != std::string::npos) text += (text.empty() ? "" : ", ") + line.substr(start);
    }
  }
  return text.empty() ? "driver without a device" : text;
}

void print_program() {
  const BuildInfo& build = build_info();
  fmt::print("sns              {} (commit {}{})\n", build.version, build.git_commit,
             build.git_dirty ? ", modified" : "");
  fmt::print("compiler         {}\n", build.compiler);
  fmt::print("flags            {}\n", build.flags);
  fmt::print("HDF5             {}\n", h5::version());
  fmt::print("solver backends  fftw{}\n", SNS_HAVE_CUDA ? ", cufft" : " (cufft: built without CUDA)");
  std::string why;
  const bool cuda = cuda_usable(why);
  fmt::print("cufft backend    {}\n", cuda ? "loads, " + cuda_device_text() : "not usable: " + why);
  fmt::print("emulators        {}\n", SNS_TORCH_TEXT);
#if SNS_HAVE_TORCH
  const std::string& no_cuda = load_cuda_backend();
  fmt::print("LibTorch's CUDA  {}\n", no_cuda.empty() ? "usable" : "not usable: " + no_cuda);
#endif
  fmt::print("GPU              {}\n", gpu_description());
  fmt::print("threads          {}\n", default_threads());
}

void print_data_set_summary(const fs::path& folder) {
  const Manifest manifest = read_manifest(folder);
  std::map<std::string, std::pair<std::int64_t, std::size_t>> splits;
  std::uint64_t bytes = 0;
  std::size_t failed = 0;
  for (const FileRecord& record : manifest.files) {
    splits[record.group.split].first += record.samples;
    splits[record.group.split].second += record.path.empty() ? 0 : 1;
    bytes += record.bytes;
    failed += record.failed.size();
  }
  fmt::print("data set         {}\n", folder.string());
  for (const auto& [split, counts] : splits) {
    fmt::print("{:<16} {} samples in {} files\n", split, counts.first, counts.second);
  }
  fmt::print("size             {}\nfailed           {} trajectories\n", human_bytes(static_cast<double>(bytes)),
             failed);
  const auto [statistics, over] = training_statistics(manifest.files);
  for (const auto& [field, s] : statistics) {
    fmt::print("{:<16} mean {:.6g}, std {:.6g}, std of differences {:.6g} ({})\n", field, s.value.mean,
               s.value.standard_deviation(), s.delta.standard_deviation(), over);
  }
  fmt::print("data hash        {}\n", manifest.data_hash);
}

void print_data_set(const fs::path& folder) {
  print_data_set_summary(folder);
  fmt::print("\n{}", read_text(folder / "config.yaml"));
}

/// What a name leads to, for a list of names; empty for a group whose contents are listed behind it.
std::string describe(const h5::File& file, const h5::Link& link, const h5::Link* next) {
  switch (link.kind) {
    case h5::Link::Kind::array: {
      const h5::Dataset dataset = file.dataset(link.path);
      return fmt::format("{} ({})", h5::name(dataset.kind()), fmt::join(dataset.shape(), ", "));
    }
    case h5::Link::Kind::group:
      if (next != nullptr && next->path.starts_with(link.path + "/")) return {};
      return file.group(link.path).names().empty() ? "group, empty" : "group that has another name, too";
    case h5::Link::Kind::soft:
      return fmt::format("-> {}{}", link.target, file.exists(link.path) ? "" : ", which is not there");
    case h5::Link::Kind::external:
      return fmt::format("-> {}{}", link.target, file.exists(link.path) ? "" : ", which cannot be opened");
    case h5::Link::Kind::other:
      break;
  }
  return "neither array nor group";
}

void print_links(const h5::File& file) {
  const std::vector<h5::Link> links = h5::links(file);
  for (std::size_t i = 0; i < links.size(); ++i) {
    const std::string text = describe(file, links[i], i + 1 < links.size() ? &links[i + 1] : nullptr);
    if (!text.empty()) fmt::print("{:<40} {}\n", links[i].path, text);
  }
}

void print_hdf5(const fs::path& path) {
  const h5::File file = h5::File::open_read(path);
  for (const char* name : {"title", "pde", "method", "dataset_name"}) {
    if (file.has_attribute(name)) fmt::print("{:<16} {}\n", name, file.attribute<std::string>(name));
  }
  print_links(file);
  if (!file.exists("provenance")) return;
  const h5::Group provenance = file.group("provenance");
  for (const char* name : {"sns_version", "git_commit", "created_utc", "fft_backend", "precision"}) {
    if (provenance.has_attribute(name))
      fmt::print("{:<16} {}\n", name, provenance.attribute<std::string>(name));
  }
}

/// Header of a safetensors file: u64 length, then JSON {name: {dtype, shape, data_offsets}}.
void print_safetensors(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::uint64_t length = 0;
  file.read(reinterpret_cast<char*>(&length), sizeof(length));
  constexpr std::uint64_t kMaximum = 100'000'000;
  require(file.good() && length > 0 && length <= kMaximum, "{} is not a safetensors file", path.string());
  std::string header(length, '\0');
  file.read(header.data(), static_cast<std::streamsize>(length));
  require(file.good(), "{} is truncated", path.string());
  const auto json = nlohmann::json::parse(header, nullptr, false);
  require(json.is_object(), "{} is not a safetensors file", path.string());
  std::uint64_t total = 0;
  for (const auto& [name, tensor] : json.items()) {
    if (name == "__metadata__") {
      for (const auto& [key, value] : tensor.items()) {
        fmt::print("{:<16} {}\n", key, value.is_string() ? value.get<std::string>() : value.dump());
      }
      continue;
    }
    const auto shape = tensor.at("shape").get<std::vector<std::uint64_t>>();
    total += h5::element_count(shape);
    fmt::print("{:<60} {} ({})\n", name, tensor.at("dtype").get<std::string>(), fmt::join(shape, ", "));
  }
  fmt::print("values           {}\n", total);
}

/// OUT.h5.partial of sns simulate.
void print_interrupted(const fs::path& folder) {
  const Checkpoint checkpoint = read_checkpoint(h5::File::open_read(folder / "checkpoint.h5"));
  const auto failed = std::count_if(checkpoint.status.begin(), checkpoint.status.end(),
                                    [](const MemberStatus& member) { return !member.alive; });
  fmt::print("interrupted run  {}\n", folder.string());
  fmt::print("members          {} ({} failed)\n", checkpoint.status.size(), failed);
  fmt::print("step             {}, {} frames\n", checkpoint.step, checkpoint.records);
  fmt::print("to go on         the same 'sns simulate' command with --resume\n");
}

#if SNS_HAVE_TORCH
/// "finished 2026-11-29T12:07:41Z, 94.7 s" and the like.
std::string outcome(const StageRecord& record) {
  if (record.state == "skipped") return fmt::format("could not be made, {}", record.ended);
  if (record.state == "finished")
    return fmt::format("finished {}, {}", record.ended,
                       record.shipped ? "shipped weights" : duration_text(record.seconds));
  std::string text = fmt::format("begun {}, not finished", record.begun);
  if (record.step) text += fmt::format("; goes on from step {}", *record.step);
  return text;
}

void print_stages(const std::vector<StageRecord>& records) {
  std::size_t width = 0;
  for (const StageRecord& record : records) width = std::max(width, record.stage.size());
  std::string experiment;
  for (const StageRecord& record : records) {
    if (record.experiment != experiment) fmt::print("\n{}\n", record.experiment);
    experiment = record.experiment;
    fmt::print("  {:<{}}  {}\n", record.stage, width, outcome(record));
  }
}
#endif

constexpr const char* kRunParts[] = {"dataset", "truth", "models", "rollouts", "evaluation", "oracle"};

void print_run(const fs::path& folder) {
  fmt::print("run              {}\n", folder.string());
#if SNS_HAVE_TORCH
  const std::vector<StageRecord> records = stage_records(folder);
  if (records.empty()) fmt::print("stages           none yet\n");
  print_stages(records);
#else
  fmt::print("stages           not listed: built without LibTorch\n");
#endif
  for (const char* part : {"dataset", "truth"}) {
    if (!fs::exists(folder / part / "MANIFEST.jsonl")) continue;
    fmt::print("\n");
    print_data_set_summary(folder / part);
  }
}

/// A folder of weights: its configuration, and what its averaged weights hold, or its raw ones where there are
/// no others.
void print_weights_folder(const fs::path& folder) {
  fmt::print("weights          {}\n{}", folder.string(), read_text(folder / "config.yaml"));
  const fs::path averaged = folder / "ema.safetensors";
  print_safetensors(fs::exists(averaged) ? averaged : folder / "model.safetensors");
}

void run_info(const fs::path& path) {
  if (path.empty()) return print_program();
  require(fs::exists(path), "{} does not exist", path.string());
  if (fs::is_directory(path)) {
    if (fs::exists(path / "ema.safetensors") && fs::exists(path / "config.yaml"))
      return print_weights_folder(path);
    if (fs::exists(path / "checkpoint.h5") && fs::exists(path / "diagnostics")) return print_interrupted(path);
    if (fs::exists(path / "MANIFEST.jsonl")) return print_data_set(path);
    if (fs::exists(path / "shipped" / "config.yaml")) return print_weights_folder(path / "shipped");
    if (const fs::path last = path / "checkpoints" / "last"; fs::exists(last)) {  // in a copy, a folder
      fmt::print("training         {}\nstate            {}\n", path.string(),
                 fs::is_symlink(last) ? fs::read_symlink(last).string() : last.string());
      return;
    }
    if (fs::exists(path / "config.yaml") && fs::exists(path / "model.safetensors"))
      return print_weights_folder(path);
    if (fs::exists(path / "config.yaml") && fs::exists(path / "partial")) {
      fmt::print("data set         {}\nstate            not finished: the same 'sns datagen' command goes on\n",
                 path.string());
      return;
    }
    require(fs::exists(path / "config.yaml") ||
                std::any_of(std::begin(kRunParts), std::end(kRunParts),
                            [&](const char* part) { return fs::exists(path / part); }),
            "{} is no data set, run, folder of weights or interrupted simulation", path.string());
    return print_run(path);
  }
  if (path.extension() == ".safetensors") return print_safetensors(path);
  print_hdf5(path);
}

}  // namespace

void add_info(CLI::App& app) {
  CLI::App* verb = app.add_subcommand("info", "versions, backends and devices; or what a file or folder holds");
  auto path = std::make_shared<fs::path>();
  verb->add_option("PATH", *path,
                   "data set folder, run folder, folder of weights, HDF5 file or .safetensors file");
  verb->footer(
      "Examples:\n"
      "  sns info\n"
      "  sns info runs/kolmogorov-quickstart/dataset\n"
      "  sns info flow.h5");
  verb->callback([path] { run_info(*path); });
}

}  // namespace sns
