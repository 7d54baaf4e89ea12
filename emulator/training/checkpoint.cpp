#include "emulator/training/checkpoint.hpp"

#include "core/error.hpp"
#include "core/files.hpp"
#include "core/memory.hpp"
#include "emulator/safetensors.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

namespace sns {
namespace {

namespace fs = std::filesystem;
constexpr const char* kPrefix = "ckpt-";
constexpr const char* kMoments[] = {"exp_avg", "exp_avg_sq"};
constexpr const char* kReplaced = ".old.tmp";  ///< ending of a checkpoint that the same step's new one replaces

/// Step of a folder name "ckpt-<step>", or -1.
std::int64_t step_of(const fs::path& folder) {
  const std::string name = folder.filename().string();
  const std::string_view prefix = kPrefix;
  if (!name.starts_with(prefix)) return -1;
  std::int64_t step = -1;
  const auto [end, error] = std::from_chars(name.data() + prefix.size(), name.data() + name.size(), step);
  return error == std::errc() && end == name.data() + name.size() ? step : -1;
}

/// Metrics keep their order; what is not finite becomes null.
nlohmann::ordered_json metrics_json(const Metrics& metrics) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  for (const auto& [name, value] : metrics)
    json[name] = std::isfinite(value) ? nlohmann::ordered_json(value) : nullptr;
  return json;
}

/// Inverse of metrics_json; empty for the states of older versions.
Metrics read_metrics(const nlohmann::ordered_json& state, const char* key) {
  Metrics metrics;
  if (!state.contains(key)) return metrics;
  for (const auto& [name, value] : state.at(key).items())
    metrics.emplace_back(name,
                         value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>());
  return metrics;
}

std::string state_json(const TrainingState& state) {
  nlohmann::ordered_json json;
  json["step"] = state.step;
  json["epoch"] = state.epoch;
  json["learning_rate"] = state.learning_rate;
  json["rollbacks"] = state.rollbacks;
  json["halvings"] = state.halvings;
  json["troubled_step"] = state.troubled_step;
  json["threads"] = state.threads;
  json["best_step"] = state.best_step;
  json["best_loss"] = std::isfinite(state.best_loss) ? nlohmann::ordered_json(state.best_loss) : nullptr;
  json["validated_step"] = state.validated_step;
  json["validation_samples"] = state.validation_samples;
  json["validation"] = metrics_json(state.validation);
  json["best_validation"] = metrics_json(state.best_validation);
  json["wall_seconds"] = state.wall_seconds;
  json["config_hash"] = sha256(state.identity);
  json["identity"] = state.identity;
  return json.dump(2) + "\n";
}

/// A process that is killed meanwhile leaves no half of it under its name.
void remove_at_once(const fs::path& checkpoint) {
  const fs::path leaving = checkpoint.string() + ".tmp";
  fs::remove_all(leaving);
  fs::rename(checkpoint, leaving);
  fs::remove_all(leaving);
}

void copy_tensor(const SafeTensors& file, const std::string& name, const torch::Tensor& target) {
  require(file.contains(name), "{} has no tensor '{}'", file.path().string(), name);
  require(file.shape(name) == target.sizes().vec(), "{}: tensor '{}' has another shape than the model's",
          file.path().string(), name);
  const torch::NoGradGuard no_grad;
  target.detach().copy_(file.tensor(name));
}

}  // namespace

CheckpointFolder::CheckpointFolder(fs::path folder, int keep, std::int64_t every)
    : folder_(std::move(folder)), keep_(keep), every_(every) {
  make_writable_folder(folder_);
  std::vector<fs::path> unfinished;
  for (const auto& entry : fs::directory_iterator(folder_))
    if (entry.path().extension() == ".tmp") unfinished.push_back(entry.path());
  for (const fs::path& left : unfinished) {
    const std::string name = left.string();
    const fs::path target =
        name.ends_with(kReplaced) ? name.substr(0, name.size() - std::strlen(kReplaced)) : "";
    // Killed between the two renames of save(): what was to be replaced may be the only checkpoint.
    if (!target.empty() && !fs::exists(target))
      fs::rename(left, target);
    else
      fs::remove_all(left);
  }
}

std::vector<fs::path> CheckpointFolder::complete() const {
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(folder_)) {
    if (!entry.is_symlink() && entry.is_directory() && step_of(entry.path()) >= 0 &&
        fs::exists(entry.path() / "state.json"))
      found.push_back(entry.path());
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return step_of(a) < step_of(b); });
  return found;
}

std::optional<fs::path> CheckpointFolder::latest() const {
  const auto link = folder_ / "last";
  if (fs::exists(link / "state.json")) return fs::canonical(link);
  const auto found = complete();
  if (found.empty()) return std::nullopt;
  return found.back();
}

std::optional<fs::path> CheckpointFolder::to_return_to() const {
  std::optional<fs::path> newest;
  for (const auto& checkpoint : complete())
    if (step_of(checkpoint) % every_ == 0) newest = checkpoint;
  return newest ? newest : latest();
}

void CheckpointFolder::remove_after(std::int64_t step) {
  for (const auto& checkpoint : complete())
    if (step_of(checkpoint) > step) remove_at_once(checkpoint);
}

void CheckpointFolder::save(const TrainingState& state, const FlatParameters& parameters, const Ema& ema,
                            const AdamW& optimizer, const std::function<void(const fs::path&)>& add) {
  const fs::path target = folder_ / fmt::format("{}{:08d}", kPrefix, state.step);
  const fs::path temporary = target.string() + ".tmp", replaced = target.string() + kReplaced;
  fs::remove_all(temporary);
  fs::create_directories(temporary);

  NamedTensors model, averaged(ema.shadow().begin(), ema.shadow().end()), moments;
  for (const auto& slice : parameters.slices()) {
    model.emplace_back(slice.name, FlatParameters::view(parameters.values(), slice));
    moments.emplace_back(std::string(kMoments[0]) + "." + slice.name,
                         FlatParameters::view(optimizer.first_moment, slice));
    moments.emplace_back(std::string(kMoments[1]) + "." + slice.name,
                         FlatParameters::view(optimizer.second_moment, slice));
  }
  moments.emplace_back("steps", optimizer.steps);
  save_safetensors(temporary / "model.safetensors", model);
  save_safetensors(temporary / "ema.safetensors", averaged);
  save_safetensors(temporary / "optimizer.safetensors", moments);
  if (add) add(temporary);
  write_text(temporary / "state.json", state_json(state));
  sync_to_disk(temporary);

  // A step is saved twice after a rollback or a resume; the old one leaves only when the new one is in place.
  fs::remove_all(replaced);
  if (fs::exists(target)) fs::rename(target, replaced);
  fs::rename(temporary, target);
  const fs::path link = folder_ / "last.tmp";
  fs::remove(link);
  fs::create_directory_symlink(target.filename(), link);
  // Where a copy of a run followed its links, `last` is a folder, which no rename replaces.
  if (!fs::is_symlink(folder_ / "last")) fs::remove_all(folder_ / "last");
  fs::rename(link, folder_ / "last");
  sync_to_disk(folder_);
  fs::remove_all(replaced);

  remove_after(state.step);  // those that a rollback abandoned
  const auto found = complete();
  const auto newer_regular = [&](const fs::path& than) {
    return std::count_if(found.begin(), found.end(), [&](const auto& other) {
      return step_of(other) > step_of(than) && step_of(other) % every_ == 0;
    });
  };
  const bool any_regular =
      std::any_of(found.begin(), found.end(), [&](const auto& other) { return step_of(other) % every_ == 0; });
  // Without a regular one (every was changed on the way) each may be what a run has to return to.
  for (const auto& old : found) {
    const bool regular = step_of(old) % every_ == 0;
    if (regular ? newer_regular(old) >= keep_ : any_regular && step_of(old) < state.step) remove_at_once(old);
  }
}

void CheckpointFolder::clear() {
  fs::remove_all(folder_ / "last");
  for (const auto& checkpoint : complete()) remove_at_once(checkpoint);
}

std::string CheckpointFolder::disk_warning(std::int64_t parameters, std::int64_t weights) const {
  const double network = static_cast<double>(parameters) * sizeof(float);
  const double checkpoint = 4 * network;  // weights, their average, and two moments
  const double needed = checkpoint * (keep_ + 1 - static_cast<double>(complete().size())) +
                        2 * network * static_cast<double>(weights);
  std::error_code error;
  const auto space = fs::space(folder_, error);
  if (error || static_cast<double>(space.available) >= needed) return {};
  return fmt::format(
      "checkpoints and weights will take up to {} more, and {} has {} free: training fails when the disk is "
      "full "
      "(training.keep_checkpoints is {}; {} each)",
      human_bytes(needed), folder_.string(), human_bytes(static_cast<double>(space.available)), keep_,
      human_bytes(checkpoint));
}

std::int64_t trained_steps(const fs::path& model_folder) {
  std::int64_t furthest = 0;
  std::error_code none;  // where there is nothing, or another process takes it away meanwhile
  for (fs::directory_iterator entry(model_folder / "checkpoints", none), end; !none && entry != end;
       entry.increment(none)) {
    std::error_code gone;
    if (fs::exists(entry->path() / "state.json", gone)) furthest = std::max(furthest, step_of(entry->path()));
  }
  return furthest;
}

TrainingState read_training_state(const fs::path& checkpoint) {
  const auto file = checkpoint / "state.json";
  try {
    const auto json = nlohmann::ordered_json::parse(read_text(file));
    TrainingState state;
    state.step = json.at("step").get<std::int64_t>();
    state.epoch = json.at("epoch").get<double>();
    state.learning_rate = json.at("learning_rate").get<double>();
    state.rollbacks = json.at("rollbacks").get<int>();
    // Older versions took no halving back, and did not say how many threads they had.
    state.halvings = json.value("halvings", state.rollbacks);
    state.troubled_step = json.value("troubled_step", state.step);
    state.threads = json.value("threads", 0);
    state.best_step = json.at("best_step").get<std::int64_t>();
    if (!json.at("best_loss").is_null()) state.best_loss = json.at("best_loss").get<double>();
    state.validated_step = json.value("validated_step", std::int64_t{-1});
    state.validation_samples = json.value("validation_samples", std::int64_t{0});
    state.validation = read_metrics(json, "validation");
    state.best_validation = read_metrics(json, "best_validation");
    if (state.best_step >= 0 && state.best_validation.empty())
      state.best_validation = {{"loss", state.best_loss}};  // of an older version
    state.wall_seconds = json.at("wall_seconds").get<double>();
    state.identity = json.at("identity").get<std::string>();
    return state;
  } catch (const nlohmann::json::exception& error) {
    fail("{} is not a training state ({}); remove the checkpoint or train with --resume never", file.string(),
         error.what());
  }
}

void load_checkpoint(const fs::path& checkpoint, const FlatParameters& parameters, Ema& ema, AdamW& optimizer) {
  const SafeTensors model(checkpoint / "model.safetensors");
  const SafeTensors averaged(checkpoint / "ema.safetensors");
  const SafeTensors moments(checkpoint / "optimizer.safetensors");
  for (const auto& slice : parameters.slices()) {
    copy_tensor(model, slice.name, FlatParameters::view(parameters.values(), slice));
    copy_tensor(moments, std::string(kMoments[0]) + "." + slice.name,
                FlatParameters::view(optimizer.first_moment, slice));
    copy_tensor(moments, std::string(kMoments[1]) + "." + slice.name,
                FlatParameters::view(optimizer.second_moment, slice));
  }
  copy_tensor(moments, "steps", optimizer.steps);
  for (const auto& [name, tensor] : ema.shadow()) copy_tensor(averaged, name, tensor);
}

}  // namespace sns
