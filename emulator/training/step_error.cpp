#include "emulator/training/step_error.hpp"

#include "core/error.hpp"
#include "core/files.hpp"
#include "emulator/dataset.hpp"
#include "emulator/safetensors.hpp"
#include "emulator/training/task.hpp"

#include <ATen/Functions.h>

#include <algorithm>
#include <sstream>
#include <string>

namespace sns {
namespace {

namespace fs = std::filesystem;

/// Metadata key of the file: SHA-256 of the weights.
std::string hash_key(Weights weights) {
  return std::string(weights == Weights::ema ? "ema" : "raw") + "_sha256";
}
std::string tensor_name(Weights weights) {
  return weights == Weights::ema ? "ema" : "raw";
}

/// Mean of covariances, each with the number of fields that it is of.
class Mean {
 public:
  void add(const torch::Tensor& fields) {
    const auto count = static_cast<double>(fields.size(0));
    const torch::Tensor sum = FieldCovariance::of(fields).spectrum() * count;
    sum_ = sum_.defined() ? sum_ + sum : sum;
    count_ += count;
  }
  FieldCovariance value() const { return FieldCovariance(sum_ / count_); }

 private:
  torch::Tensor sum_;
  double count_ = 0;
};

}  // namespace

StepError measure_step_error(GaussianEmulator& model, const TrainingFrames& frames, std::int64_t pairs) {
  constexpr std::int64_t kBatch = 32;
  const std::int64_t windows = frames.windows(2), count = std::min(windows, pairs);
  require(count > 0, "split {} has no two consecutive frames to measure a step's error on", frames.name());
  const Permutation order(static_cast<std::uint64_t>(windows), /*seed=*/0, /*epoch=*/0);
  const std::int64_t size = 2 * frames.frame_size();
  Mean error, change, frame, prediction;
  for (std::int64_t first = 0; first < count; first += kBatch) {
    const std::int64_t batch = std::min(kBatch, count - first);
    torch::Tensor pair =
        at::empty({batch, 2, frames.channels(), frames.nx(), frames.ny()}, frame_options(frames));
    for (std::int64_t b = 0; b < batch; ++b)
      frames.read_window(static_cast<std::int64_t>(order(static_cast<std::uint64_t>(first + b))), 2,
                         {pair.data_ptr<float>() + b * size, static_cast<std::size_t>(size)});
    pair = pair.to(model.device());
    const torch::Tensor before = pair.select(1, 0), after = pair.select(1, 1);
    const torch::Tensor predicted = model.step(before);
    error.add(after - predicted);
    prediction.add(predicted);
    change.add(after - before);
    frame.add(after);
  }
  return {error.value(), change.value(), frame.value(), prediction.value(), count};
}

std::map<Weights, StepError> measure_step_errors(const fs::path& folder, const TrainingFrames& frames,
                                                 std::int64_t pairs, torch::Device device) {
  const ModelConfig config = load_model_config(folder / "config.yaml");
  require(
      frames.channels() == config.field_channels && frames.nx() == config.image && frames.ny() == config.image,
      "the frames are of {} fields on {} x {} points, and the weights of {} for {} on {} x {}",
      frames.channels(), frames.nx(), frames.ny(), folder.string(), config.field_channels, config.image,
      config.image);
  std::map<Weights, StepError> found;
  for (const Weights weights : {Weights::ema, Weights::raw}) {
    if (!fs::exists(folder / file_name(weights))) continue;
    const auto model = load_model_as<GaussianEmulator>(folder, weights, device);
    found.emplace(weights, measure_step_error(*model, frames, pairs));
  }
  require(!found.empty(), "{} holds no weights", folder.string());
  return found;
}

void save_step_errors(const fs::path& folder, const std::map<Weights, StepError>& measured) {
  NamedTensors tensors;
  std::map<std::string, std::string> metadata;
  for (const Weights weights : {Weights::ema, Weights::raw}) {
    const auto found = measured.find(weights);
    if (found == measured.end()) continue;
    tensors.emplace_back(tensor_name(weights), found->second.error.spectrum().to(torch::kFloat32));
    metadata.emplace(hash_key(weights), sha256_file(folder / file_name(weights)));
  }
  save_safetensors(folder / kStepErrorFile, tensors, metadata);
  const fs::path sums = folder / "SHA256SUMS";
  if (!fs::exists(sums)) return;
  std::istringstream lines(read_text(sums));
  std::map<std::string, std::string> listed;
  for (std::string hash, name; lines >> hash >> name;) listed[name] = hash;
  listed[kStepErrorFile] = sha256_file(folder / kStepErrorFile);
  std::string text;
  for (const auto& [name, hash] : listed) text += hash + "  " + name + "\n";
  write_text(sums, text);
}

namespace {

/// Whether the file holds the error of these weights of its folder.
bool holds(const SafeTensors& stored, Weights weights) {
  const auto hash = stored.metadata().find(hash_key(weights));
  return stored.contains(tensor_name(weights)) && hash != stored.metadata().end() &&
         hash->second == sha256_file(stored.path().parent_path() / file_name(weights));
}

}  // namespace

bool has_step_errors(const fs::path& folder) {
  if (!fs::exists(folder / kStepErrorFile)) return false;
  try {
    const SafeTensors stored(folder / kStepErrorFile);
    for (const Weights weights : {Weights::ema, Weights::raw})
      if (fs::exists(folder / file_name(weights)) && !holds(stored, weights)) return false;
    return true;
  } catch (const Error&) {  // a damaged file
    return false;
  }
}

FieldCovariance load_step_error(const fs::path& folder, Weights weights) {
  const fs::path file = folder / kStepErrorFile;
  const std::string advice =
      fmt::format("measure it: sns calibrate --weights {} --data DATASET", folder.string());
  require(fs::exists(file), "{} does not hold the error of its steps, which samples of a surrogate need; {}",
          folder.string(), advice);
  const SafeTensors stored(file);
  require(holds(stored, weights), "{} is not of the folder's {}; {}", file.string(), file_name(weights),
          advice);
  FieldCovariance covariance(stored.tensor(tensor_name(weights)));
  const ModelConfig config = load_model_config(folder / "config.yaml");
  require(covariance.points() == config.image && covariance.channels() == config.field_channels,
          "{} is of {} channels of {} x {} points, but the network's frames are of {} and {} x {}",
          file.string(), covariance.channels(), covariance.points(), covariance.points(), config.field_channels,
          config.image, config.image);
  return covariance;
}

}  // namespace sns
