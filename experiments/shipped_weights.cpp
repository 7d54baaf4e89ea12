#include "experiments/shipped_weights.hpp"

#include "core/error.hpp"
#include "core/files.hpp"
#include "emulator/models/model.hpp"
#include "emulator/training/combination.hpp"
#include "emulator/training/estimate_error.hpp"
#include "emulator/training/step_error.hpp"
#include "emulator/training_frames.hpp"
#include "experiments/noise_frames.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <sstream>
#include <vector>

namespace sns {

namespace {

namespace fs = std::filesystem;

bool has_raw_weights(const fs::path& folder) {
  return fs::exists(folder / file_name(Weights::raw));
}

/// ConfigError if `user`, a key of the file, takes raw weights of a model whose folder holds none.
void require_raw_weights(const std::string& user, const std::string& weights, const fs::path& folder) {
  if (parse_weights(weights) == Weights::raw && !has_raw_weights(folder))
    fail<ConfigError>(
        "{}.weights is raw, but {} holds averaged weights only: give weights: ema, or train with retrain=true",
        user, folder.string());
}

/// The part of a model's configuration that decides which network it is.
std::string architecture(const ModelConfig& config) {
  ModelConfig part = resolved(config);
  part.field_std.clear();
  part.whitening.clear();
  part.frame_interval = 0;
  part.data_hash.clear();
  part.field_channels = part.image = 1;
  part.trained_past = ModelConfig{}.trained_past;  // the training block has these
  part.trained_max_level.reset();
  return to_yaml(part);
}

/// The lines of `text` that `other` does not have, without indentation.
std::vector<std::string> lines_of_its_own(const std::string& text, const std::string& other) {
  std::istringstream in(text);
  std::vector<std::string> found;
  for (std::string line; std::getline(in, line);)
    if (!line.empty() && ("\n" + other + "\n").find("\n" + line + "\n") == std::string::npos)
      found.push_back(line.substr(line.find_first_not_of(' ')));
  return found;
}

/// ConfigError where the file gives other scales than the shipped weights of `folder` were trained with:
/// networks work on field / field_std, so that nothing else fits them.
void check_scales(const ModelSpec& model, const fs::path& folder) {
  if (model.model.field_std.empty()) return;
  constexpr double kSame = 1e-5;  // a model card shows six digits
  const ModelConfig stored = load_model_config(folder / "config.yaml");
  ModelConfig given = model.model;
  given.field_channels = stored.field_channels;
  const std::vector<double> theirs = field_std_per_channel(stored), ours = field_std_per_channel(given);
  if (std::equal(ours.begin(), ours.end(), theirs.begin(), theirs.end(),
                 [](double a, double b) { return std::abs(a - b) <= kSame * b; }))
    return;
  fail<ConfigError>(
      "models.{}.field_std is [{}], but the weights of {} were trained with [{}]: take the key out, or give "
      "retrain=true",
      model.name, fmt::join(ours, ", "), folder.string(), fmt::join(theirs, ", "));
}

}  // namespace

fs::path shipped_folder(const ModelSpec& model, const fs::path& experiment_file) {
  const fs::path given = *model.weights;
  const char* const needed = file_name(Weights::ema);
  if (fs::exists(given / needed)) return given;
  // The program runs from anywhere.
  for (fs::path above = fs::absolute(experiment_file).parent_path(); given.is_relative();
       above = above.parent_path()) {
    if (fs::exists(above / given / needed)) return above / given;
    if (above == above.parent_path()) break;
  }
  fail<ConfigError>("models.{}.weights: there is no {}; give a folder of weights, or train with retrain=true",
                    model.name, (given / needed).string());
}

std::string shipped_identity(const fs::path& folder) {
  const std::map<std::string, std::string> listed = read_sums(folder);
  const std::string raw = file_name(Weights::raw), averaged = file_name(Weights::ema);
  std::map<std::string, std::string> hashes{{averaged, sha256_file(folder / averaged)}};
  if (has_raw_weights(folder))
    hashes[raw] = sha256_file(folder / raw);
  else if (const auto left_out = listed.find(raw); left_out != listed.end())
    hashes[raw] = left_out->second;
  for (const auto& [name, hash] : listed) {
    const auto known = hashes.find(name);
    require_as_listed(folder, name, known == hashes.end() ? "" : known->second);
  }
  const auto of_raw = hashes.find(raw);
  return (of_raw == hashes.end() ? "" : fmt::format("model: {}\n", of_raw->second)) +
         fmt::format("ema: {}", hashes.at(averaged));
}

std::optional<NeededMeasurement> needed_measurement(const MethodConfig& method, const ModelSpec& model) {
  if (method.holds_scales() && method.emulator == model.name)
    return NeededMeasurement{
        kStepErrorFile, "unpredicted_scales", "error of a step",
        [](const fs::path& folder, Weights weights) { load_unpredicted_scales(folder, weights); }};
  if (method.sampled && method.emulator == model.name)
    return NeededMeasurement{kStepErrorFile, "sampled", "error of a step",
                             [](const fs::path& folder, Weights weights) { load_step_error(folder, weights); }};
  if (method.draws_from_errors() && method.refiner == model.name)
    return NeededMeasurement{
        kEstimateErrorFile, "reverse_std", "errors of estimates",
        [](const fs::path& folder, Weights weights) { load_estimate_errors(folder, weights); }};
  return std::nullopt;
}

std::optional<fs::path> shipped_combination(const MethodConfig& method, const std::vector<ModelSpec>& models,
                                            const fs::path& experiment_file) {
  if (!method.combines()) return std::nullopt;
  const ModelSpec &refiner = find_model(models, *method.refiner),
                  &surrogate = find_model(models, *method.emulator);
  if (!refiner.weights || !surrogate.weights) return std::nullopt;
  const fs::path folder = shipped_folder(refiner, experiment_file);
  return folder / combination_file(shipped_folder(surrogate, experiment_file), parse_weights(method.weights));
}

namespace {

bool has_validation(const DatagenPlan& data) {
  return std::any_of(data.splits.begin(), data.splits.end(),
                     [](const Split& split) { return split.name == "valid" && split.trajectories > 0; });
}

}  // namespace

bool trains_on_dataset(const std::vector<ModelSpec>& models, bool retrain) {
  return std::any_of(models.begin(), models.end(), [retrain](const ModelSpec& model) {
    return (retrain || !model.weights) && model.training.data == "dataset";
  });
}

void require_trainable(const ModelSpec& model, const DatagenPlan& data, bool retrain) {
  if (model.weights && !retrain) return;
  const TrainingConfig& training = model.training;
  const bool stream = training.data == "stream";
  const std::int64_t frames = stream ? training.stream.frames : data.frames, window = longest_window(model);
  if (model.model.kind != "thermalizer" && window > frames)
    fail<ConfigError>("models.{}: its training takes windows of {} frames, and {} is {}", model.name, window,
                      stream ? fmt::format("models.{}.training.stream.frames", model.name) : "datagen.frames",
                      frames);
  if (training.select == "best" && !(stream ? training.stream.validation_members > 0 : has_validation(data)))
    fail<ConfigError>("models.{}.training.select: best needs validation frames, of which {} leaves none",
                      model.name, stream ? "training.stream.validation_members: 0" : "datagen.split");
}

void require_measurable(const std::vector<ModelSpec>& models, const std::vector<MethodConfig>& methods,
                        const DatagenPlan& data, bool retrain, const fs::path& experiment_file) {
  const bool validates = has_validation(data);
  const auto require_validation = [&](const MethodConfig& method, const char* key) {
    if (!validates)
      fail<ConfigError>(
          "rollout.methods.{}.{}: what it needs is measured on validation frames, of which datagen.split "
          "leaves none",
          method.name, key);
  };
  for (const MethodConfig& method : methods) {
    if (method.combines() && (retrain || !shipped_combination(method, models, experiment_file))) {
      if (!trains_on_dataset(models, retrain))
        fail<ConfigError>(
            "rollout.methods.{}.estimate: combined is measured on the frames of a data set, and this run makes "
            "none: its networks are finished or trained on streams. Name weights of both that sns calibrate "
            "--surrogate has measured",
            method.name);
      require_validation(method, "estimate");
    }
    for (const ModelSpec& model : models)
      if (const auto needed = needed_measurement(method, model); needed && (retrain || !model.weights)) {
        if (model.training.data == "dataset")
          require_validation(method, needed->key);
        else if (model.training.stream.validation_members == 0)
          fail<ConfigError>(
              "rollout.methods.{}.{}: what it needs is measured on validation frames, of which "
              "models.{}.training.stream.validation_members: 0 leaves none",
              method.name, needed->key, model.name);
      }
  }
}

std::string check_shipped(const ModelSpec& model, const SolverInfo& solver, const DatagenPlan& data,
                          const fs::path& folder) {
  std::string hashes = shipped_identity(folder);
  const ModelConfig stored = load_model_config(folder / "config.yaml");
  // Where a list of hashes vouches for the folder config.yaml is what came with the weights. Elsewhere, as
  // beside converted ones, it may be corrected, and says what frames the same weights make.
  if (!read_sums(folder).contains("config.yaml"))
    hashes += fmt::format("\nconfig: {}", sha256_file(folder / "config.yaml"));
  const std::string theirs = architecture(stored), ours = architecture(model.model);
  if (theirs != ours)
    fail<ConfigError>(
        "models.{}.weights: {} holds another network than this file describes ({}; here {}); give it the same, "
        "or train "
        "with retrain=true",
        model.name, folder.string(), fmt::join(lines_of_its_own(theirs, ours), ", "),
        fmt::join(lines_of_its_own(ours, theirs), ", "));
  if (stored.trained_past != model.training.levels.past)
    fail<ConfigError>(
        "models.{}.weights: {} was trained beside {} past frames (trained_past of its config.yaml); this "
        "file's "
        "training.levels.past is {}. Give it the same, or train with retrain=true",
        model.name, folder.string(), stored.trained_past, model.training.levels.past);
  const int highest = highest_level(model.training.levels, model.model.diffusion.levels);
  if (stored.trained_max_level && highest > *stored.trained_max_level)
    fail<ConfigError>(
        "models.{}.weights: {} was trained on levels up to {} (trained_max_level of its config.yaml); this "
        "file's "
        "training.levels go up to {}. Give it the same, or train with retrain=true",
        model.name, folder.string(), *stored.trained_max_level, highest);
  const auto points = static_cast<int>(solver.axes.front().coordinates.size()) / data.coarsen.factor;
  const auto channels = static_cast<int>(solver.fields.size());
  if (stored.field_channels != channels)
    fail<ConfigError>(
        "models.{}.weights: {} is for frames of {} fields; here they have {}. Train with retrain=true",
        model.name, folder.string(), stored.field_channels, channels);
  const double interval = solver.dt * static_cast<double>(data.steps_per_frame);
  // 0: converted weights often do not know it.
  const bool other_interval =
      stored.frame_interval > 0 && std::abs(stored.frame_interval - interval) > 1e-9 * interval;
  if (stored.image != points || other_interval)
    fail<ConfigError>(
        "models.{}.weights: {} is for frames of {} points, {:g} time units apart; here they have {} points and "
        "are "
        "{:g} apart. Train with retrain=true",
        model.name, folder.string(), stored.image, stored.frame_interval, points, interval);
  check_model(folder);
  check_scales(model, folder);
  return hashes;
}

std::string changed_flow(const std::vector<ModelSpec>& models, const SolverInfo& solver,
                         const SolverInfo& of_file) {
  std::string names;
  for (const ModelSpec& model : models)
    if (model.weights) names += (names.empty() ? "" : ", ") + model.name;
  if (names.empty()) return {};
  for (const auto& [name, value] : solver.scalars) {
    const std::optional<double> theirs = scalar(of_file, name);
    if (theirs != value)
      return fmt::format(
          "the flow has {} {:g}, and the finished weights of {} were trained on that of the file ({}); "
          "retrain=true "
          "trains on this one",
          name, value, names, theirs ? fmt::format("{:g}", *theirs) : "none");
  }
  return {};
}

void require_same_force(const std::vector<ModelSpec>& models, const SolverInfo& solver) {
  const std::optional<double> periods = scalar(solver, kForcingWavenumber);
  for (const ModelSpec& model : models)
    require_same_force(model.model.network, periods, "models." + model.name);
}

void require_shipped_weights(const std::vector<ModelSpec>& models, const std::vector<MethodConfig>& methods,
                             const std::optional<OracleConfig>& oracle, const fs::path& experiment_file) {
  for (const ModelSpec& model : models) {
    if (!model.weights) continue;
    const fs::path folder = shipped_folder(model, experiment_file);
    for (const MethodConfig& method : methods) {
      const std::string user = "rollout.methods." + method.name;
      if (method.emulator == model.name || method.diffusion_model() == model.name)
        require_raw_weights(user, method.weights, folder);
      const auto needed = needed_measurement(method, model);
      if (!needed) continue;
      try {
        needed->check(folder, parse_weights(method.weights));
      } catch (const Error& error) {
        fail<ConfigError>("{}.{}: {}, or train with retrain=true", user, needed->key, error.what());
      }
    }
    if (oracle && oracle->model == model.name) require_raw_weights("oracle", oracle->weights, folder);
  }
  for (const MethodConfig& method : methods) {
    const auto file = shipped_combination(method, models, experiment_file);
    if (!file) continue;
    try {
      load_combination(file->parent_path(),
                       shipped_folder(find_model(models, *method.emulator), experiment_file),
                       parse_weights(method.weights));
    } catch (const Error& error) {
      fail<ConfigError>("rollout.methods.{}.estimate: {}, or train with retrain=true", method.name,
                        error.what());
    }
  }
}

}  // namespace sns
