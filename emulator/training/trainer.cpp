#include "emulator/training/trainer.hpp"

#include "core/error.hpp"
#include "core/files.hpp"
#include "core/log.hpp"
#include "core/progress.hpp"
#include "core/stop.hpp"
#include "emulator/device.hpp"
#include "emulator/models/model.hpp"
#include "emulator/nets/initialise.hpp"
#include "emulator/runtime.hpp"
#include "emulator/safetensors.hpp"
#include "emulator/training/checkpoint.hpp"
#include "emulator/training/model_card.hpp"
#include "emulator/training/task.hpp"

#include <ATen/autocast_mode.h>
#include <torch/nn/module.h>
#include <chrono>
#include <cmath>
#include <future>
#include <sstream>

namespace sns {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
constexpr int kMostRollbacks = 3;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// bfloat16 autocast of what runs while it lives, if switched on.
class Autocast {
 public:
  Autocast(bool on, torch::Device device) : on_(on), device_(device.type()) {
    if (!on_) return;
    before_ = at::autocast::is_autocast_enabled(device_);
    at::autocast::set_autocast_enabled(device_, true);
    at::autocast::set_autocast_dtype(device_, at::kBFloat16);
    at::autocast::increment_nesting();
  }
  ~Autocast() {
    if (!on_) return;
    if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
    at::autocast::set_autocast_enabled(device_, before_);
  }
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  bool on_, before_ = false;
  at::DeviceType device_;
};

/// Fills in what the data set decides: channels, image, normalisation, frame interval, hash.
ModelConfig complete(const ModelSpec& spec, const DatasetInfo& data) {
  ModelConfig model = spec.model;
  require(data.nx == data.ny, "data set {} has frames of {}x{}; the networks need square ones",
          data.folder.string(), data.nx, data.ny);
  model.field_channels = static_cast<int>(data.fields.size());
  model.image = static_cast<int>(data.nx);
  if (model.field_std.empty()) model.field_std = data.field_std;
  model.field_std = field_std_per_channel(model);
  model.frame_interval = data.frame_interval;
  model.data_hash = data.hash;
  return model;
}

/// First line in which two texts differ.
std::string first_difference(const std::string& stored, const std::string& wanted) {
  std::istringstream a(stored), b(wanted);
  std::string line_a, line_b;
  while (true) {
    const bool more_a = static_cast<bool>(std::getline(a, line_a)),
               more_b = static_cast<bool>(std::getline(b, line_b));
    if (!more_a) line_a = "nothing";
    if (!more_b) line_b = "nothing";
    if ((!more_a && !more_b) || line_a != line_b)
      return fmt::format("it has '{}', wanted is '{}'", line_a, line_b);
  }
}

/// One training run; train_model() is its only user.
class Trainer {
 public:
  Trainer(const ModelSpec& spec, const fs::path& dataset, fs::path folder, const RunConfig& run,
          const TrainOptions& options)
      : spec_(spec),
        config_(spec_.training),
        options_(options),
        folder_(std::move(folder)),
        seed_(config_.seed.value_or(run.seed)),
        data_(describe_dataset(dataset)),
        checkpoints_(folder_ / "checkpoints", config_.keep_checkpoints) {
    spec_.model = complete(spec, data_);
    const std::vector<double>& stds = spec_.model.field_std;
    const auto budget = static_cast<std::uint64_t>(config_.memory_budget_gib * (1ULL << 30));
    training_ = std::make_unique<DataSplit>(data_, "train", stds, budget);
    if (fs::is_directory(data_.folder / "data" / "valid")) {
      validation_ = std::make_unique<DataSplit>(data_, "valid", stds, budget);
    }
    model_ = make_model(spec_.model, seed_, pick_device(run.device));
    task_ = make_task(*model_, config_, *training_, validation_.get(), seed_);
    parameters_ = std::make_unique<FlatParameters>(model_->network());
    ema_ = std::make_unique<Ema>(model_->network(), config_.ema);
    optimizer_ = std::make_unique<AdamW>(*parameters_, config_.weight_decay);
    state_.identity = to_yaml(spec_.model) + "\n" + training_identity(config_, run.seed);
  }

  TrainResult run() {
    start();
    log::info("{}: {} parameters, {} windows of {}x{} ({}), {} steps of batch {}, {}", spec_.name,
              parameters_->count(), task_->windows(), data_.nx, data_.ny,
              training_->in_memory() ? "in memory" : "read from disk", config_.steps,
              config_.batch * config_.accumulate, model_->device().str());
    Metrics validation;
    const auto first = state_.step;
    session_start_ = Clock::now();
    if (state_.step < config_.steps) {
      Progress progress("train " + spec_.name, config_.steps * images_per_step(), "images",
                        state_.step * images_per_step());
      while (state_.step < config_.steps) {
        if (stop_requested()) stop();
        const auto losses = step();
        if (losses.empty()) {
          roll_back();
          continue;
        }
        if (state_.step % config_.log_every == 0 || state_.step == config_.steps) log_step(losses, progress);
        if (state_.step % config_.validate_every == 0 || state_.step == config_.steps) validation = validate();
        if (state_.step % config_.checkpoint_every == 0 || state_.step == config_.steps) save();
      }
    } else {
      validation = validate_averaged();
    }
    return finish(first, validation);
  }

 private:
  std::int64_t images_per_step() const { return std::int64_t{config_.batch} * config_.accumulate; }
  fs::path log_file() const { return folder_ / "metrics.jsonl"; }

  /// Continues from the last checkpoint, or begins with a checkpoint of the initial weights to fall back to.
  void start() {
    if (!options_.resume) checkpoints_.clear();
    if (const auto last = checkpoints_.latest()) {
      const auto stored = read_training_state(*last);
      if (stored.identity != state_.identity) {
        fail<ConfigError>("{} was made with another configuration ({}); use --resume never to train anew",
                          last->string(), first_difference(stored.identity, state_.identity));
      }
      restore(*last);
      if (state_.step < config_.steps) log::info("{}: resuming at step {}", spec_.name, state_.step);
    } else {
      fs::remove(log_file());
      remove_best_but(-1);
      save();
    }
  }

  void restore(const fs::path& checkpoint) {
    const auto rollbacks = state_.rollbacks;
    state_ = read_training_state(checkpoint);
    state_.rollbacks = std::max(state_.rollbacks, rollbacks);
    load_checkpoint(checkpoint, *parameters_, *ema_, *optimizer_);
    wall_before_ = state_.wall_seconds;
    session_start_ = Clock::now();
    truncate_log(log_file(), state_.step);
  }

  double wall() const { return wall_before_ + seconds_since(session_start_); }

  Batch next_batch(std::int64_t pass) {
    // Batches are pure functions of the pass, so that one is prepared while the other is computed with.
    const auto make = [this, attempt = state_.rollbacks](std::int64_t number) {
      return task_->make_batch(number / config_.accumulate, number, attempt);
    };
    Batch batch = prepared_.valid() ? prepared_.get() : make(pass);
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
    parameters_->zero_gradients();
    Metrics losses{{"loss", 0.0}};
    for (int part = 0; part < config_.accumulate; ++part) {
      const auto batch = next_batch(state_.step * config_.accumulate + part);
      BatchLoss loss;
      {
        const Autocast autocast(in_bfloat16(), model_->device());
        loss = task_->loss(batch);
      }
      (loss.total / config_.accumulate).backward();
      losses[0].second += loss.total.item<double>() / config_.accumulate;
      for (std::size_t i = 0; i < loss.reported.size(); ++i) {
        if (part == 0) losses.emplace_back(loss.reported[i].first, 0.0);
        losses[i + 1].second += loss.reported[i].second.item<double>() / config_.accumulate;
      }
    }
    const double gradient_norm = optimizer_->clip(config_.clip_norm, config_.clip_value);
    if (!std::isfinite(losses[0].second) || !std::isfinite(gradient_norm)) return {};
    state_.learning_rate = learning_rate(config_, state_.step) * std::pow(0.5, state_.rollbacks);
    optimizer_->step(state_.learning_rate);
    ema_->update();
    ++state_.step;
    losses.emplace_back("lr", state_.learning_rate);
    losses.emplace_back("grad_norm", gradient_norm);
    return losses;
  }

  void roll_back() {
    const auto failed = state_.step;
    require(state_.rollbacks < kMostRollbacks,
            "{}: loss or gradient is not finite at step {}, after {} restarts from earlier checkpoints; lower "
            "training.learning_rate or set training.clip_norm",
            spec_.name, failed, kMostRollbacks);
    if (prepared_.valid()) prepared_.get();
    const auto last = checkpoints_.latest();
    require(last.has_value(), "{}: no checkpoint to return to at step {}", spec_.name, failed);
    ++state_.rollbacks;
    restore(*last);
    log::warn(
        "{}: loss or gradient not finite at step {}; back to step {} with half the learning rate (restart {} "
        "of {})",
        spec_.name, failed, state_.step, state_.rollbacks, kMostRollbacks);
  }

  void log_step(const Metrics& losses, Progress& progress) {
    const auto now = Clock::now();
    const double elapsed = std::chrono::duration<double>(now - last_log_).count();
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
    progress.update(state_.step * images_per_step(), fmt::format("loss {:.5f}", losses[0].second));
  }

  Metrics validate_averaged() {
    if (!validation_) return {};
    const Ema::Applied averaged(*ema_);
    return task_->validate();
  }

  Metrics validate() {
    const auto metrics = validate_averaged();
    if (metrics.empty()) return metrics;
    append_line(log_file(), fmt::format("{{\"step\": {}, \"validation\": {}}}", state_.step, to_json(metrics)));
    const double loss = metric(metrics, "loss");
    const bool full_length = spec_.model.kind != "gaussian" ||
                             rollout_length(config_.rollout, state_.step - 1) == config_.rollout.max_length;
    if (full_length && std::isfinite(loss) && loss < state_.best_loss) {
      state_.best_loss = loss;
      state_.best_step = state_.step;
      write_weights(best_folder(state_.best_step));
    }
    return metrics;
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

  void save() {
    state_.epoch = static_cast<double>(state_.step * images_per_step()) / static_cast<double>(task_->windows());
    state_.wall_seconds = wall();
    checkpoints_.save(state_, *parameters_, *ema_, *optimizer_);
    saved_step_ = state_.step;
    remove_best_but(state_.best_step);  // no checkpoint that a run returns to wants an earlier one
  }

  [[noreturn]] void stop() {
    if (prepared_.valid()) prepared_.get();
    if (saved_step_ != state_.step) save();
    throw Stopped(fmt::format("{}: checkpoint written at step {} of {}; the same command continues", spec_.name,
                              state_.step, config_.steps));
  }

  void write_weights(const fs::path& target) const {
    make_writable_folder(target);
    save_weights(model_->network(), target / file_name(Weights::raw));
    save_safetensors(target / file_name(Weights::ema), {ema_->shadow().begin(), ema_->shadow().end()});
    save_model_config(spec_.model, target);
  }

  TrainResult finish(std::int64_t first, const Metrics& validation) {
    TrainResult result;
    result.folder = folder_;
    result.steps = state_.step;
    result.parameters = parameters_->count();
    result.validation = validation;
    result.best_step = state_.best_step;
    result.best_loss = state_.best_loss;
    result.rollbacks = state_.rollbacks;
    result.wall_seconds = state_.wall_seconds;
    if (state_.step > first) {
      result.images_per_second =
          static_cast<double>((state_.step - first) * images_per_step()) / seconds_since(session_start_);
    }
    const bool present = fs::exists(folder_ / file_name(Weights::raw)) &&
                         fs::exists(folder_ / file_name(Weights::ema)) && fs::exists(folder_ / "model_card.md");
    if (state_.step == first && present) return result;
    if (config_.select == "best" && state_.best_step >= 0) {
      for (const auto* file : {file_name(Weights::raw), file_name(Weights::ema), "config.yaml"}) {
        write_atomically(folder_ / file, [&](const fs::path& temporary) {
          fs::copy_file(best_folder(state_.best_step) / file, temporary, fs::copy_options::overwrite_existing);
        });
      }
    } else {
      write_weights(folder_);
    }
    write_model_card(folder_, spec_, data_, result, seed_, options_);
    return result;
  }

  ModelSpec spec_;
  const TrainingConfig& config_;
  const TrainOptions& options_;
  fs::path folder_;
  std::uint64_t seed_;
  DatasetInfo data_;
  CheckpointFolder checkpoints_;
  std::unique_ptr<DataSplit> training_, validation_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<TrainingTask> task_;
  std::unique_ptr<FlatParameters> parameters_;
  std::unique_ptr<Ema> ema_;
  std::unique_ptr<AdamW> optimizer_;
  TrainingState state_;
  double wall_before_ = 0;
  Clock::time_point session_start_ = Clock::now(), last_log_{};
  std::int64_t last_logged_ = -1, saved_step_ = -1;
  std::future<Batch> prepared_;  // last: its thread uses the members above, and its destructor waits for it
};

}  // namespace

TrainResult train_model(const ModelSpec& spec, const fs::path& dataset, const fs::path& folder,
                        const RunConfig& run, const TrainOptions& options) {
  prepare_torch(run.threads);
  make_writable_folder(folder);
  const FolderLock lock(folder);
  std::optional<EndAtOnce> reading(std::in_place);  // the data set, perhaps all of it into memory
  Trainer trainer(spec, dataset, folder, run, options);
  reading.reset();
  return trainer.run();
}

}  // namespace sns
