#pragma once
// The `training` block of a model, and the two schedules it describes. No LibTorch here.
#include "core/config.hpp"
#include "core/random.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace sns {

/// Learning rate against optimiser step. `step` halves (or so) every `size` steps, as PyTorch's StepLR;
/// `cosine` goes to zero at the end of the run. A linear warm-up may precede each.
struct LearningRateConfig {
  std::string name = "step";   ///< constant | step | cosine
  std::int64_t size = 100000;  ///< step: optimiser steps per reduction
  double gamma = 0.5;          ///< step: factor of each reduction
  std::int64_t warmup = 0;     ///< optimiser steps of linear rise from zero
};

/// Diffusion levels that a model is trained on. `uniform`: 0..S-1, as in the paper. `but_last`: 0..S-2, as the
/// SNS paper's code trains ACDM. `low`: 0..max_level, a fraction
/// `log_fraction` of the draws log-uniform, the others uniform: refinement in practice visits few low levels.
/// past: the past frame of SNS is `noised` to a level of its own, as in the paper, or stays `clean`, so that
/// clean conditioning (path clean_past) meets what it was trained on, or does either in every second sample
/// (`mixed`), for paths that denoise the past frame first and go on beside a clean one. A clean frame stands at
/// no level, 0 included: its noise and its label enter no loss.
struct LevelConfig {
  std::string sampling = "uniform";  ///< uniform | low | but_last
  int max_level = 50;                ///< low only; inclusive
  double log_fraction = 0.5;         ///< low only
  std::string past = "noised";       ///< noised | clean | mixed; sns only
};

/// Frames from a solver that runs beside the training. Members of an ensemble advance in rounds of `frames`
/// frames each; a round is one pass over its windows, and is then forgotten.
struct StreamConfig {
  int members = 16;            ///< trajectories that advance together
  std::int64_t frames = 32;    ///< of each member in one round
  int queue = 2;               ///< rounds made ahead, at most
  int validation_members = 4;  ///< further trajectories whose first round is the validation set; 0: none
  /// Of the training members, in place of datagen's (validation keeps that). With fewer steps than the flow
  /// needs to settle, training sees the way to the attractor too.
  std::optional<std::int64_t> spinup_steps;
  std::optional<std::int64_t> decorrelation_steps;  ///< between two rounds, in place of datagen's
};

/// Windows of the pointwise emulator: the rollout grows from 1 to max_length steps, by one every
/// `steps_per_length` optimiser steps (arXiv 2603.17750 reference code, ResidualEmulatorTrainer).
struct RolloutTrainingConfig {
  int max_length = 1;
  std::int64_t steps_per_length = 20000;
  double noise = 1.0e-4;  ///< std added to the states inside a rollout, normalised units
  double rms_penalty =
      0.0;  ///< weight of the hinge relu(rms - limit)^2 on predicted states (reference: 1 for QG)
  double rms_limit = 1.0;  ///< normalised units
  double whitening = 0.0;  ///< exponent of whitened_error; 0: mean square, the reference's
};

/// Defaults are the reference's for the Gaussian emulator; reference_training() gives each kind's.
struct TrainingConfig {
  std::int64_t steps = 100000;  ///< optimiser steps
  int batch = 32;               ///< samples of one forward pass
  int accumulate = 1;           ///< forward passes per optimiser step
  double learning_rate = 5.0e-5;
  double weight_decay = 0.05;
  LearningRateConfig schedule;
  std::optional<double> clip_norm;    ///< largest global gradient norm
  std::optional<double> clip_value;   ///< largest absolute gradient entry
  double ema = 0.995;                 ///< decay of the averaged weights per optimiser step
  RolloutTrainingConfig rollout;      ///< gaussian
  double cross_entropy_weight = 0.1;  ///< sns, thermalizer: weight of each head's cross-entropy
  LevelConfig levels;                 ///< all kinds but gaussian
  std::string data = "dataset";       ///< dataset | stream
  StreamConfig stream;                ///< stream only
  /// float32 | tf32 (of CUDA devices) | bfloat16 (autocast of the forward pass); weights are float32 in all
  std::string precision = "float32";
  bool channels_last = false;  ///< of CUDA devices: channels of a pixel together
  double bf16_fraction = 1.0;  ///< bfloat16: this first part of the run, float32 afterwards
  std::int64_t validate_every = 1000;
  std::int64_t validation_samples = 256;  ///< at most; always the same ones
  std::int64_t checkpoint_every = 1000;
  int keep_checkpoints = 2;
  /// Steps without a non-finite one after which a halving of the learning rate is taken back.
  std::int64_t recover_after = 5000;
  std::int64_t log_every = 1;
  std::string select = "last";        ///< last | best: which weights become the model's
  double memory_budget_gib = 2.0;     ///< a split up to this size is held in memory
  std::optional<std::uint64_t> seed;  ///< default: the run's
};

/// What keys `precision` of networks can say, here and in rollouts: float32, tf32, bfloat16.
const std::vector<std::string>& precision_names();

/// The reference's settings for a kind of model ("gaussian", "sns", "thermalizer", "acdm"), but for two of
/// ACDM: its reference keeps no average (ema: 0) and never draws the last level, which generation starts from
/// (levels.sampling: but_last).
TrainingConfig reference_training(const std::string& kind);

/// Highest level that sample_level draws.
int highest_level(const LevelConfig& config, int levels);

/// Reads the block; `config` holds the defaults. `levels` is the number of diffusion levels (0: none).
void read(Section& section, TrainingConfig& config, const std::string& kind, int levels);

/// Rate of optimiser step `step` = 0..steps-1.
double learning_rate(const TrainingConfig& config, std::int64_t step);

/// Rollout length in use at optimiser step `step`.
int rollout_length(const RolloutTrainingConfig& config, std::int64_t step);

/// One level; `levels` is the number S of diffusion levels.
std::int64_t sample_level(const LevelConfig& config, int levels, RandomStream& stream);

/// Entropy in nats of the levels that sample_level draws: the cross entropy of a noise head that gives every
/// frame this same distribution, the least that it can have without looking at the frame.
double level_entropy(const LevelConfig& config, int levels);

/// Canonical text of everything that decides the weights that a run arrives at after a given number of steps;
/// its hash guards a resume. How often the run reports or saves is not part of it.
std::string training_identity(const TrainingConfig& config, std::uint64_t run_seed);

}  // namespace sns
