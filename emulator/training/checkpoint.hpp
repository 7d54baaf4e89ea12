#pragma once
// Training state on disk: <folder>/ckpt-<step>/ {model, ema, optimizer .safetensors, state.json, what the
// source of the samples adds} and a symbolic link `last`. A checkpoint is written under a temporary name,
// brought to disk and renamed, so that a killed process leaves the previous one intact. There is no generator
// state to keep: all random streams are keyed by the step.
#include "emulator/training/ema.hpp"
#include "emulator/training/metrics.hpp"
#include "emulator/training/optimizer.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <optional>
#include <string>

namespace sns {

/// Counters of a training run.
struct TrainingState {
  std::int64_t step = 0;           ///< optimiser steps done
  double epoch = 0;                ///< passes over the training windows
  double learning_rate = 0;        ///< of the last step
  int rollbacks = 0;               ///< returns to a checkpoint after a non-finite step, in all
  int halvings = 0;                ///< of the learning rate that they brought and that are still in force
  std::int64_t troubled_step = 0;  ///< since which nothing was non-finite and no halving taken back
  int threads = 0;                 ///< that the last steps were computed with; 0: not known
  std::int64_t best_step = -1;
  double best_loss = std::numeric_limits<double>::infinity();  ///< validation loss at best_step
  std::int64_t validated_step = -1;
  std::int64_t validation_samples = 0;  ///< that validation losses are over; 0: not known
  Metrics validation;                   ///< of the averaged weights at validated_step
  Metrics best_validation;              ///< the same at best_step
  double wall_seconds = 0;              ///< training time of all sessions
  std::string identity;  ///< text of the configuration that decides the result, one item per line
};

class CheckpointFolder {
 public:
  /// Creates the folder, removes what a killed process left half written, and puts back what it was about to
  /// replace. `keep` >= 1 checkpoints of steps that are multiples of `every` stay, and the newest if it is of
  /// another.
  CheckpointFolder(std::filesystem::path folder, int keep, std::int64_t every);

  /// Newest complete checkpoint, or nullopt.
  std::optional<std::filesystem::path> latest() const;
  /// Where a run returns to after trouble: the newest one of a step that is a multiple of `every`, since what
  /// is saved besides, when a run is stopped, must not change where that is; the newest of all where there is
  /// none, or nullopt.
  std::optional<std::filesystem::path> to_return_to() const;
  /// Removes those of later steps, which a return to an earlier one has abandoned.
  void remove_after(std::int64_t step);
  /// `add` puts further files into the checkpoint's folder.
  void save(const TrainingState& state, const FlatParameters& parameters, const Ema& ema,
            const AdamW& optimizer, const std::function<void(const std::filesystem::path&)>& add = {});
  /// Removes all checkpoints.
  void clear();
  /// What to say where the disk has less space left than checkpoints, and `weights` further pairs of raw and
  /// averaged weights, of a network with so many parameters still take, each new checkpoint being complete
  /// before an old one goes; else empty.
  std::string disk_warning(std::int64_t parameters, std::int64_t weights) const;

 private:
  std::vector<std::filesystem::path> complete() const;  ///< by step, oldest first
  std::filesystem::path folder_;
  int keep_;
  std::int64_t every_;
};

/// state.json of a checkpoint. Error if it is malformed.
TrainingState read_training_state(const std::filesystem::path& checkpoint);
/// Steps of the furthest checkpoint in a model's folder; 0 where there is none.
std::int64_t trained_steps(const std::filesystem::path& model_folder);
/// Restores weights, averaged weights and moments in place. Error if the tensors do not fit.
void load_checkpoint(const std::filesystem::path& checkpoint, const FlatParameters& parameters, Ema& ema,
                     AdamW& optimizer);

}  // namespace sns
