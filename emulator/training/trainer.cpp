#include "emulator/training/trainer.hpp"

#include "core/clock.hpp"
#include "core/error.hpp"
#include "core/files.hpp"
#include "core/log.hpp"
#include "core/progress.hpp"
#include "core/stop.hpp"
#include "core/text.hpp"
#include "emulator/dataset.hpp"
#include "emulator/device.hpp"
#include "emulator/failures.hpp"
#include "emulator/models/model.hpp"
#include "emulator/nets/initialise.hpp"
#include "emulator/nets/unet.hpp"
#include "emulator/runtime.hpp"
#include "emulator/safetensors.hpp"
#include "emulator/training/checkpoint.hpp"
#include "emulator/training/estimate_error.hpp"
#include "emulator/training/frame_spectrum.hpp"
#include "emulator/training/learner.hpp"
#include "emulator/training/model_card.hpp"
#include "emulator/training/precision.hpp"
#include "emulator/training/step_error.hpp"
#include "emulator/training/task.hpp"

#include <torch/nn/module.h>
#include <algorithm>
#include <cmath>
#include <future>
#include <limits>

namespace sns {
namespace {

namespace fs = std::filesystem;
constexpr int kMostHalvings = 3;

/// Fills in what the data decide: channels, image, normalisation, frame interval, hash, whitening.
ModelConfig complete(const ModelSpec& spec, const TrainingData& data) {
  const DatasetInfo& info = data.info;
  ModelConfig model = spec.model;
  require(info.nx == info.ny, "{} has frames of {}x{}; the networks need square ones", data.source, info.nx,
          info.ny);
  require_same_force(model.network, info.forcing_wavenumber, "models." + spec.name);
  model.field_channels = static_cast<int>(info.fields.size());
  model.image = static_cast<int>(info.nx);
  model.field_std = data.field_std;
  model.frame_interval = info.frame_interval;
  model.data_hash = info.hash;
  if (model.network.whitened) {
    require(!info.folder.empty(), "models.{}.network.whitened needs frames of a data set", spec.name);
    model.whitening = measure_whitening(*data.training, make_schedule(model.diffusion));
  }
  return model;
}

/// One training run; train_model() is its only user.
class Trainer {
 public:
  Trainer(const ModelSpec& spec, const TrainingSource& source, fs::path folder, const RunConfig& run,
          const TrainOptions& options)
      : spec_(spec),
        config_(spec_.training),
        options_(options),
        folder_(std::move(folder)),
        seed_(config_.seed.value_or(run.seed)),
        threads_(run.threads),
        checkpoints_(folder_ / "checkpoints", config_.keep_checkpoints, config_.checkpoint_every) {
    data_ = source(spec.model.field_std, options_.resume ? checkpoints_.latest() : std::nullopt);
    spec_.model = complete(spec, data_);
    model_ = make_model(spec_.model, seed_, pick_device(run.device));
    if (config_.select == "best" && !data_.validation)
      fail<ConfigError>(
          "models.{}.training.select: best needs validation frames, and {} has none; give datagen.split.valid "
          "some, or select: last",
          spec_.name, data_.source);
    task_ = make_task(*model_, config_, *data_.training, data_.validation.get(), seed_);
    learner_ = std::make_unique<Learner>(*model_, config_);
    state_.identity = to_yaml(spec_.model) + "\n" + training_identity(config_, run.seed);
    // The identity has these among what concerns training.
    spec_.model.trained_past = config_.levels.past;
    if (config_.levels.sampling == "low")
      spec_.model.trained_max_level = highest_level(config_.levels, spec_.model.diffusion.levels);
  }

  TrainResult run() {
    start();
    log::info("{}: {} parameters, {} windows of {}x{} ({}), {} steps of batch {}, {}", spec_.name,
              learner_->parameters.count(), task_->windows(), data_.info.nx, data_.info.ny,
              data_.training->origin(), config_.steps, config_.batch * config_.accumulate,
              model_->device().str());
    if (static_cast<std::uint64_t>(images_per_step()) > task_->windows())
      log::warn(
          "{}: training.batch: each step takes {} windows, and the data have {}: it sees some of them twice",
          spec_.name, images_per_step(), task_->windows());
    // The installed weights, and the best ones of each validation until the next checkpoint.
    const std::int64_t ahead = std::min(config_.checkpoint_every, config_.steps - state_.step);
    const std::int64_t weights = 2 + (data_.validation ? ahead / config_.validate_every : 0);
    const std::string disk = checkpoints_.disk_warning(learner_->parameters.count(), weights);
    if (state_.step < config_.steps && !disk.empty()) log::warn("{}: {}", spec_.name, disk);
    const auto first = state_.step;
    if (state_.step < config_.steps) train();
    return finish(first);
  }

 private:
  void train() {
    const std::string warning = precision_warning("training.precision", config_.precision, model_->device());
    if (!warning.empty()) log::warn("{}", warning);
    const TensorFloat32 products(config_.precision == "tf32");
    const ChannelsLast order(config_.channels_last);
    const TimedConvolutions timed;
    data_.training->prepare();
    if (data_.validation) data_.validation->prepare();
    session_start_ = run_start_ = Clock::now();
    Progress progress("train " + spec_.name, config_.steps * images_per_step(), "images",
                      state_.step * images_per_step());
    while (state_.step < config_.steps) {
      if (stop_requested()) stop();
      Metrics losses;
      try {
        losses = step();
      } catch (const Stopped&) {  // while it waited for frames; nothing was updated
        stop();
      }
      if (losses.empty() || (due() && !finite())) {
        roll_back();
        continue;
      }
      if (due(config_.log_every)) log_step(losses, progress);
      if (due(config_.validate_every)) validate();
      if (due(config_.checkpoint_every)) save();
      data_.training->release_before(pass());
    }
  }

  /// Whether something that comes every so many steps, and at the end, is to be done now.
  bool due(std::int64_t every) const { return state_.step % every == 0 || state_.step == config_.steps; }
  /// Whether the weights are about to be used for more than the next step.
  bool due() const { return due(config_.validate_every) || due(config_.checkpoint_every); }

  /// Whether everything that a checkpoint holds is. An update can overflow although its gradient did not.
  bool finite() const {
    const auto averaged = learner_->ema.shadow();
    return all_finite(learner_->parameters.values()) && all_finite(learner_->optimizer.first_moment) &&
           all_finite(learner_->optimizer.second_moment) &&
           std::all_of(averaged.begin(), averaged.end(),
                       [](const auto& item) { return all_finite(item.second); });
  }

  /// Pass over the training windows that the next sample belongs to.
  std::uint64_t pass() const {
    return static_cast<std::uint64_t>(state_.step * images_per_step()) / task_->windows();
  }

  std::int64_t images_per_step() const { return std::int64_t{config_.batch} * config_.accumulate; }
  fs::path log_file() const { return folder_ / "metrics.jsonl"; }

  /// Continues from the last checkpoint, or begins with a checkpoint of the initial weights to fall back to.
  void start() {
    if (!options_.resume) checkpoints_.clear();
    if (const auto last = checkpoints_.latest()) {
      const auto stored = read_training_state(*last);
      if (stored.identity != state_.identity) {
        const auto [there, wanted] = first_difference(stored.identity, state_.identity);
        fail<ConfigError>(
            "{} was made with another configuration (it has '{}', wanted is '{}'); use --resume never to train "
            "anew",
            last->string(), there, wanted);
      }
      if (stored.step > config_.steps)
        fail<ConfigError>(
            "{} was trained for {} steps, and training.steps is {}: weights of fewer steps are not kept; use "
            "'sns train' with --resume never to train anew, or another run.output",
            folder_.string(), stored.step, config_.steps);
      restore(*last);
      warn_of_other_threads();
      if (state_.step < config_.steps) {
        log::info("{}: resuming at step {}", spec_.name, state_.step);
        remove_outdated();
      }
    } else {
      remove_old_results();
      state_.validation_samples = config_.validation_samples;
      save();
    }
  }

  /// Sums on the CPU depend on how they are divided.
  void warn_of_other_threads() const {
    if (state_.step < config_.steps && model_->device().is_cpu() && state_.threads > 0 &&
        state_.threads != threads_)
      log::warn(
          "{}: run.threads is {}, it was {} until step {}: the result will not have the bits of a run with {}",
          spec_.name, threads_, state_.threads, state_.step, state_.threads);
  }

  void restore(const fs::path& checkpoint) {
    state_ = read_training_state(checkpoint);
    saved_step_ = state_.step;
    // Another checkpoint_every goes back to a step whose best weights a later checkpoint let go.
    if (state_.step < config_.steps && state_.best_step >= 0 && !fs::exists(best_folder(state_.best_step))) {
      state_.best_step = -1;
      state_.best_loss = std::numeric_limits<double>::infinity();
    }
    forget_other_validations();
    load_checkpoint(checkpoint, learner_->parameters, learner_->ema, learner_->optimizer);
    data_.training->restore(checkpoint);
    wall_before_ = state_.wall_seconds;
    session_start_ = Clock::now();
    waited_ = 0;
    truncate_log(log_file(), state_.step);
  }

  /// Losses over other samples say nothing of which step is the best.
  void forget_other_validations() {
    const std::int64_t before = state_.validation_samples;
    state_.validation_samples = config_.validation_samples;
    if (before == 0 || before == config_.validation_samples || state_.step >= config_.steps) return;
    log::warn(
        "{}: training.validation_samples is {}, it was {} until step {}: the best step is looked for anew",
        spec_.name, config_.validation_samples, before, state_.step);
    state_.best_step = state_.validated_step = -1;
    state_.best_loss = std::numeric_limits<double>::infinity();
  }

  double wall() const { return wall_before_ + seconds_since(session_start_); }

  Batch next_batch(std::int64_t pass) {
    // Batches are pure functions of the pass, so that one is prepared while the other is computed with.
    const auto make = [this, attempt = state_.rollbacks](std::int64_t number) {
      return task_->make_batch(number / config_.accumulate, number, attempt).staged_for(model_->device());
    };
    const auto start = Clock::now();
    Batch batch = prepared_.valid() ? prepared_.get() : make(pass);
    waited_ += seconds_since(start);
    if (pass + 1 < config_.steps * config_.accumulate) {
      prepared_ = std::async(std::launch::async, make, pass + 1);
    }
    return batch.to(model_->device());
  }

  bool in_bfloat16() const {
    return config_.precision == "bfloat16" &&
           static_cast<double>(state_.step) < config_.bf16_fraction * static_cast<double>(config_.steps);
  }

  /// One optimiser step; empty if loss or gradient were not finite (nothing was updated then).
  Metrics step() {
    learner_->zero_gradients();
    Metrics losses;
    for (int part = 0; part < config_.accumulate; ++part) {
      const Batch batch = next_batch(state_.step * config_.accumulate + part);
      Metrics values = learner_->add_gradient(*task_, batch, config_.accumulate, in_bfloat16());
      for (auto& [name, value] : values) value /= config_.accumulate;
      for (std::size_t i = 0; i < losses.size(); ++i) values[i].second += losses[i].second;
      losses = std::move(values);
    }
    const double gradient_norm = learner_->clip();
    if (!std::isfinite(losses[0].second) || !std::isfinite(gradient_norm)) return {};
    take_back_a_halving();
    state_.learning_rate = learning_rate(config_, state_.step) * std::pow(0.5, state_.halvings);
    learner_->update(state_.learning_rate);
    ++state_.step;
    losses.emplace_back("lr", state_.learning_rate);
    losses.emplace_back("grad_norm", gradient_norm);
    return losses;
  }

  /// After long enough without trouble.
  void take_back_a_halving() {
    if (state_.halvings == 0 || state_.step - state_.troubled_step < config_.recover_after) return;
    --state_.halvings;
    state_.troubled_step = state_.step;
    log::info("{}: {} steps without a non-finite one; the learning rate is doubled again", spec_.name,
              config_.recover_after);
  }

  void drop_prepared() {
    if (prepared_.valid()) prepared_.wait();
    prepared_ = {};
  }

  void roll_back() {
    const TrainingState failed = state_;
    require(
        failed.halvings < kMostHalvings,
        "{}: loss, gradient or weights are not finite at step {}, after {} restarts from earlier checkpoints; "
        "lower training.learning_rate or set training.clip_norm",
        spec_.name, failed.step, kMostHalvings);
    drop_prepared();
    const auto last = checkpoints_.to_return_to();
    require(last.has_value(), "{}: no checkpoint to return to at step {}", spec_.name, failed.step);
    const double spent = wall();
    restore(*last);
    checkpoints_.remove_after(state_.step);
    wall_before_ = spent;
    state_.rollbacks = failed.rollbacks + 1;
    state_.halvings = failed.halvings + 1;
    state_.troubled_step = failed.step;
    log::warn(
        "{}: loss, gradient or weights not finite at step {}; back to step {} with half the learning rate "
        "(halving {} of {})",
        spec_.name, failed.step, state_.step, state_.halvings, kMostHalvings);
  }

  void log_step(const Metrics& losses, Progress& progress) {
    const auto now = Clock::now();
    const double elapsed = std::chrono::duration<double>(now - last_log_).count();
    const double waiting = waited_ / seconds_since(session_start_);
    const bool first = last_logged_ < 0 || last_logged_ >= state_.step;
    const double rate =
        first ? 0.0 : static_cast<double>((state_.step - last_logged_) * images_per_step()) / elapsed;
    last_log_ = now;
    last_logged_ = state_.step;
    Metrics line{{"step", static_cast<double>(state_.step)}};
    line.insert(line.end(), losses.begin(), losses.end());
    line.emplace_back("images_per_second", rate);
    line.emplace_back("wall", wall());
    append_line(log_file(), to_json(line));
    std::string note = fmt::format("loss {:.5f}", losses[0].second);
    constexpr double kWorthSaying = 0.05;
    if (waiting > kWorthSaying) note += fmt::format(", {:.0f} % of the time waiting for frames", 100 * waiting);
    progress.update(state_.step * images_per_step(), note);
  }

  /// Validates the averaged weights, unless that was done at this step.
  void update_validation() {
    if (!data_.validation || state_.validated_step == state_.step) return;
    data_.validation->prepare();
    const Ema::Applied averaged(learner_->ema);
    state_.validation = task_->validate();
    state_.validated_step = state_.step;
  }

  void validate() {
    if (!data_.validation) return;
    update_validation();
    append_line(log_file(),
                fmt::format("{{\"step\": {}, \"validation\": {}}}", state_.step, to_json(state_.validation)));
    warn_of_no_use();
    const double loss = metric(state_.validation, "loss");
    const bool full_length = spec_.model.kind != "gaussian" ||
                             rollout_length(config_.rollout, state_.step - 1) == config_.rollout.max_length;
    if (full_length && std::isfinite(loss) && loss < state_.best_loss) {
      state_.best_loss = loss;
      state_.best_step = state_.step;
      state_.best_validation = state_.validation;
      write_weights(best_folder(state_.best_step));
    }
  }

  /// One large update can leave a network without gradient: from then on it says "no change", and its loss
  /// looks like one that has settled. Averaged weights lag behind, hence a second look before anything is said.
  void warn_of_no_use() {
    if (spec_.model.kind != "gaussian") return;
    constexpr double kNoChange = 0.98;
    constexpr int kPatience = 2;
    const double ratio = metric(state_.validation, "ratio");
    idle_validations_ = ratio >= kNoChange ? idle_validations_ + 1 : 0;
    if (idle_validations_ != kPatience) return;
    log::warn(
        "{}: at step {} its one-step error is still {:.2f} times that of a frame that does not change; if this "
        "goes on, lower training.learning_rate or set training.clip_norm, and train anew",
        spec_.name, state_.step, ratio);
  }

  /// A noise head may say the same of every frame for thousands of steps. A rate that has decayed before it
  /// begins to learn leaves it so, and the loss does not show it, as it falls with the other head's.
  void warn_of_blind_heads(const Metrics& validation) const {
    if (config_.cross_entropy_weight == 0) return;
    for (const std::string& name : heads_that_have_not_learned(validation)) {
      log::warn(
          "{}: a noise head has hardly learned: {} is {:.2f}, and {:.2f} for a head that does not look at "
          "frames; consider strong noise among the levels that are trained (training.levels, "
          "diffusion.noise_range), which is learned first",
          spec_.name, name, metric(validation, name), metric(validation, kBlindCrossEntropy));
    }
  }

  /// Named by step: after a return to a checkpoint, the best weights of that time are still there.
  fs::path best_folder(std::int64_t step) const { return folder_ / fmt::format("best-{}", step); }

  void remove_best_but(std::int64_t step) const {
    std::vector<fs::path> old;
    for (const auto& entry : fs::directory_iterator(folder_))
      if (entry.path().filename().string().starts_with("best-") && entry.path() != best_folder(step))
        old.push_back(entry.path());
    for (const fs::path& folder : old) fs::remove_all(folder);
  }

  /// What a run that starts from nothing finds in its folder says nothing of the weights to come.
  void remove_old_results() const {
    for (const char* file : {"metrics.jsonl", file_name(Weights::raw), file_name(Weights::ema), kStepErrorFile,
                             kEstimateErrorFile, "model_card.md", "SHA256SUMS"})
      fs::remove(folder_ / file);
    remove_outdated();
    remove_best_but(-1);
  }

  void remove_outdated() const {
    for (const fs::path& file : options_.outdated) fs::remove(file);
  }

  void save() {
    state_.epoch = static_cast<double>(state_.step * images_per_step()) / static_cast<double>(task_->windows());
    state_.wall_seconds = wall();
    state_.threads = threads_;
    checkpoints_.save(state_, learner_->parameters, learner_->ema, learner_->optimizer,
                      [this](const fs::path& checkpoint) { data_.training->save(checkpoint, pass()); });
    saved_step_ = state_.step;
    // No checkpoint that a run returns to wants an earlier one.
    if (state_.step % config_.checkpoint_every == 0) remove_best_but(state_.best_step);
  }

  [[noreturn]] void stop() {
    drop_prepared();
    if (saved_step_ != state_.step && finite()) save();
    throw Stopped(fmt::format("{}: checkpoint written at step {} of {}; the same command continues", spec_.name,
                              saved_step_, config_.steps));
  }

  void write_weights(const fs::path& target) const {
    make_writable_folder(target);
    save_weights(model_->network(), target / file_name(Weights::raw));
    save_safetensors(target / file_name(Weights::ema),
                     {learner_->ema.shadow().begin(), learner_->ema.shadow().end()});
    save_model_config(spec_.model, target);
  }

  TrainResult finish(std::int64_t first) {
    const bool best = config_.select == "best" && state_.best_step >= 0;
    if (config_.select == "best" && !best)
      log::warn(
          "{}: training.select: no validation counts (of the longest rollouts, with a finite loss); the last "
          "weights are used",
          spec_.name);
    if (!best) update_validation();
    TrainResult result;
    result.folder = folder_;
    result.steps = state_.step;
    result.parameters = learner_->parameters.count();
    result.selected_step = best ? state_.best_step : state_.step;
    result.validation = best ? state_.best_validation : state_.validation;
    warn_of_blind_heads(result.validation);
    result.best_step = state_.best_step;
    result.best_loss = state_.best_loss;
    result.rollbacks = state_.rollbacks;
    result.wall_seconds = state_.wall_seconds;
    if (state_.step > first) {
      result.images_per_second =
          static_cast<double>((state_.step - first) * images_per_step()) / seconds_since(run_start_);
    }
    const bool installed =
        install_weights(best ? best_folder(state_.best_step) : checkpoints_.latest().value());
    if (installed || state_.step > first || !fs::exists(folder_ / "model_card.md"))
      write_model_card(folder_, spec_, data_, result, seed_, options_);
    if (data_.validation) keep_errors();
    return result;
  }

  /// Measures what the weights get wrong, for samples of surrogates and refiners, unless that of these weights
  /// is there. No training is lost for want of it.
  void keep_errors() {
    try {
      if (spec_.model.kind == "gaussian" && !has_step_errors(folder_)) {
        data_.validation->prepare();
        save_step_errors(folder_,
                         measure_step_errors(folder_, *data_.validation, kStepErrorPairs, model_->device()));
      } else if (options_.measure_estimates && measures_estimates(spec_.model.kind) &&
                 !has_estimate_errors(folder_)) {
        data_.validation->prepare();
        log::info("{}: measuring what its estimates get wrong", spec_.name);
        const int highest = highest_level(spec_.training.levels, spec_.model.diffusion.levels);
        save_estimate_errors(folder_,
                             measure_estimate_errors(folder_, *data_.validation, measured_levels(highest),
                                                     kEstimateErrorSamples, model_->device()));
      }
    } catch (const Stopped&) {
      throw;
    } catch (const std::exception& error) {  // of LibTorch, too: it may be short of memory
      log::warn(
          "{}: beside the weights there is not what they get wrong, which samples (sampled: true, reverse_std: "
          "measured) and unpredicted_scales need: {}",
          spec_.name, failure_text(error));
    }
  }

  /// Makes the weights of `source` the folder's; false if they were that already.
  bool install_weights(const fs::path& source) const {
    bool changed = false;
    for (const char* file : {file_name(Weights::raw), file_name(Weights::ema)}) {
      if (fs::exists(folder_ / file) && sha256_file(folder_ / file) == sha256_file(source / file)) continue;
      changed = true;
      // Of other weights; sums where somebody has made them.
      for (const char* other : {"SHA256SUMS", "model_card.md"}) fs::remove(folder_ / other);
      remove_outdated();
      write_atomically(folder_ / file, [&](const fs::path& temporary) {
        fs::copy_file(source / file, temporary, fs::copy_options::overwrite_existing);
      });
    }
    if (changed || !fs::exists(folder_ / "config.yaml")) save_model_config(spec_.model, folder_);
    return changed;
  }

  ModelSpec spec_;
  const TrainingConfig& config_;
  const TrainOptions& options_;
  fs::path folder_;
  std::uint64_t seed_;
  int threads_;
  CheckpointFolder checkpoints_;
  TrainingData data_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<TrainingTask> task_;
  std::unique_ptr<Learner> learner_;
  TrainingState state_;
  double wall_before_ = 0;
  double waited_ = 0;  ///< seconds for batches since session_start_
  Clock::time_point session_start_ = Clock::now(), run_start_ = session_start_, last_log_{};
  int idle_validations_ = 0;  ///< in a row, of a surrogate no better than no change
  std::int64_t last_logged_ = -1, saved_step_ = -1;
  std::future<Batch> prepared_;  // last: its thread uses the members above, and its destructor waits for it
};

}  // namespace

TrainResult train_model(const ModelSpec& spec, const TrainingSource& source, const fs::path& folder,
                        const RunConfig& run, const TrainOptions& options) {
  prepare_torch(run.threads);
  make_writable_folder(folder);
  const FolderLock lock(folder);
  std::optional<EndAtOnce> opening(std::in_place);  // a data set, perhaps all of it into memory, or a solver
  Trainer trainer(spec, source, folder, run, options);
  opening.reset();
  return trainer.run();
}

TrainResult train_model(const ModelSpec& spec, const fs::path& dataset, const fs::path& folder,
                        const RunConfig& run, const TrainOptions& options) {
  const auto budget = static_cast<std::uint64_t>(spec.training.memory_budget_gib * (1ULL << 30));
  return train_model(spec, dataset_source(dataset, budget), folder, run, options);
}

}  // namespace sns
