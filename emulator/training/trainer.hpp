#pragma once
// Training of one model, from frames to a weights folder. Torch stays out of this header.
#include "core/run_config.hpp"
#include "emulator/models/model_config.hpp"
#include "emulator/training/config.hpp"
#include "emulator/training/metrics.hpp"
#include "emulator/training_frames.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace sns {

/// One entry of the `models` block.
struct ModelSpec {
  std::string name;
  ModelConfig model;
  TrainingConfig training;
  std::optional<std::filesystem::path> weights;  ///< finished weights to be used instead of training
};

/// All entries of `models`, in file order. ConfigError if there is none.
std::vector<ModelSpec> read_models(const Config& config);
/// The entry of that name; ConfigError that lists the names otherwise.
const ModelSpec& find_model(const std::vector<ModelSpec>& models, const std::string& name);

struct TrainOptions {
  bool resume = true;         ///< continue from the last checkpoint of the folder, if there is one
  std::string command;        ///< that started the run, for the model card
  std::string configuration;  ///< resolved YAML, for the model card
  /// Files that say what the folder's weights are; removed before there are other ones.
  std::vector<std::filesystem::path> outdated;
  /// Of a refiner: measure at the end what its estimates get wrong (EstimateErrors). Twenty thousand
  /// evaluations, hours for the paper's networks without a GPU; a surrogate's error of a step is measured in
  /// any case.
  bool measure_estimates = false;
};

struct TrainResult {
  std::filesystem::path folder;
  std::int64_t steps = 0;
  std::int64_t parameters = 0;
  std::int64_t selected_step = 0;  ///< of the weights in the folder
  Metrics validation;              ///< of their average; empty if there are no validation frames
  std::int64_t best_step = -1;
  double best_loss = 0;
  int rollbacks = 0;
  double wall_seconds = 0;       ///< training time of all runs of the program
  double images_per_second = 0;  ///< of this run; 0 if there was nothing left to do
};

/// Trains `spec` on the frames of `source` and leaves in `folder`: model.safetensors (weights), ema.safetensors
/// (averaged weights), config.yaml, model_card.md, metrics.jsonl, best-<step>/ (weights of the lowest
/// validation loss at full rollout length) and checkpoints/. A finished folder of the same configuration is
/// returned as it is, but for its weights where training.select has changed. On the CPU the result is a pure
/// function of frames, configuration, seed and number of threads, however often the run was stopped or killed
/// (checkpoint_every, which may be changed on the way, is part of that: it decides where trouble leads back
/// to); one that goes on with another number of threads says so in a warning. Non-finite loss, gradient,
/// weights or moments: back to the last regular checkpoint (which holds finite ones only) with other random
/// draws and half the learning rate. Each recover_after steps without such trouble take a halving back; the run
/// ends where a fourth would be in force. Stopped: a stop was requested; the checkpoint is written.
/// ConfigError: the folder's checkpoint belongs to another configuration. Error: bad frames, full disk,
/// training that stays non-finite.
TrainResult train_model(const ModelSpec& spec, const TrainingSource& source,
                        const std::filesystem::path& folder, const RunConfig& run,
                        const TrainOptions& options = {});
/// The same on a data set folder of `sns datagen`.
TrainResult train_model(const ModelSpec& spec, const std::filesystem::path& dataset,
                        const std::filesystem::path& folder, const RunConfig& run,
                        const TrainOptions& options = {});

}  // namespace sns
