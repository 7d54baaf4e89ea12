#pragma once
// What differs between the kinds of models when they are trained: batches, loss and validation.
#include "emulator/dataset.hpp"
#include "emulator/models/model.hpp"
#include "emulator/training/config.hpp"
#include "emulator/training/metrics.hpp"

#include <torch/types.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace sns {

/// Where batches keep frames of a split until to(): where it can write them.
torch::TensorOptions frame_options(const TrainingFrames& split);

/// Error unless the split's frames are such as the weights of `folder` are for: their fields, on their points.
void require_frames_of(const ModelConfig& config, const TrainingFrames& split,
                       const std::filesystem::path& folder);

/// Inputs of one forward pass, on the CPU until to(), apart from frames that are on a device from the start.
struct Batch {
  /// gaussian [B, L+1, C, X, Y]; clean frames [B, F * C, X, Y] of sns (long, past, present), thermalizer (F =
  /// 1) and acdm (past, present)
  torch::Tensor frames;
  /// gaussian [B, L-1, C, X, Y], scaled (undefined for L = 1); the others: of the frames that are noised
  torch::Tensor noise;
  torch::Tensor levels;  ///< sns [B, 2] int64 (past, present); thermalizer and acdm [B]
  torch::Tensor lags;    ///< lagged sns [B] int64, steps from the long frame to the present one
  /// For a CUDA device: a copy in host memory that the device reads by itself, so that to() does not wait; on
  /// the CPU the batch itself. From any thread.
  Batch staged_for(torch::Device device) const;
  Batch to(torch::Device device) const;
};

struct BatchLoss {
  torch::Tensor total;                                          ///< carries the graph
  std::vector<std::pair<std::string, torch::Tensor>> reported;  ///< detached scalars
};

class TrainingTask {
 public:
  virtual ~TrainingTask() = default;
  /// Windows of the training split, the unit that epochs count.
  virtual std::uint64_t windows() const = 0;
  /// Batch of forward pass `pass` (= optimiser step x accumulate + part), a pure function of its arguments and
  /// of the seed. Called by one thread at a time, which need not be the one that computes losses.
  virtual Batch make_batch(std::int64_t step, std::int64_t pass, int attempt) = 0;
  virtual BatchLoss loss(const Batch& batch) = 0;
  /// Metrics on fixed samples with fixed noise. "loss", the training loss on them, decides which weights are
  /// best.
  virtual Metrics validate() = 0;
};

/// `validation` may be null: then validate() returns nothing. The model, the frames and the configuration must
/// outlive the task.
std::unique_ptr<TrainingTask> make_task(Model& model, const TrainingConfig& config,
                                        const TrainingFrames& training, const TrainingFrames* validation,
                                        std::uint64_t seed);

/// The two sets of levels that the samples of a validation stand at; each has random streams of its own.
enum class ValidationLevels : std::uint64_t {
  spread = 0,   ///< evenly over the bands, so that low levels are measured as well as high ones
  trained = 1,  ///< as training draws them
};

/// loss() and what it reports, averaged over the samples 0..samples-1; make(first, count) gives a batch of
/// them. No gradients.
Metrics mean_loss(TrainingTask& task, std::int64_t samples, std::int64_t batch, torch::Device device,
                  const std::function<Batch(std::int64_t first, std::int64_t count)>& make);

/// The order in which training visits its windows, and the seed of its other draws. After a return to a
/// checkpoint, an attempt, both are other ones than those that failed.
class AttemptSampler {
 public:
  AttemptSampler(std::uint64_t windows, std::uint64_t seed) : first_seed_(seed), sampler_(windows, seed) {}
  /// attempt: how many returns there were. Returns the seed of the streams.
  std::uint64_t begin(int attempt);
  /// Window at a position, and the epoch that the position lies in.
  std::uint64_t operator()(std::uint64_t position) { return sampler_(position); }
  std::uint64_t epoch(std::uint64_t position) const { return sampler_.epoch(position); }
  std::uint64_t size() const { return sampler_.size(); }

 private:
  std::uint64_t first_seed_;
  EpochSampler sampler_;
  int attempt_ = 0;
};

}  // namespace sns
