#include "experiments/solver_stream.hpp"

#include "core/error.hpp"
#include "core/files.hpp"
#include "core/log.hpp"
#include "core/memory.hpp"
#include "core/stop.hpp"
#include "datagen/statistics.hpp"
#include "emulator/device.hpp"
#include "experiments/round_queue.hpp"

#include <c10/core/impl/VirtualGuardImpl.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <mutex>

namespace sns {

namespace {

namespace fs = std::filesystem;
constexpr const char* kStateFile = "stream.h5";

/// Frames stay in the memory of the solver's device where LibTorch can use it, and go to the host where not.
bool stays_on_device(const SolverSource& source) {
  return source.device() >= 0 && load_cuda_backend().empty();
}
RoundMemory round_memory(const SolverSource& source) {
  return stays_on_device(source) ? RoundMemory::solver : RoundMemory::host;
}

/// Values in the memory of a CUDA device as a tensor, without a copy.
torch::Tensor on_device(float* values, int device, at::IntArrayRef shape) {
  return torch::from_blob(values, shape,
                          torch::TensorOptions()
                              .dtype(torch::kFloat32)
                              .device(torch::kCUDA, static_cast<torch::DeviceIndex>(device)));
}

/// Waits until LibTorch's stream of a device, on which all threads here work, has done what was queued: copies
/// out of rounds, too.
void wait_for_reads(int device) {
  const c10::impl::VirtualGuardImpl guard(torch::kCUDA);
  guard.getStream({torch::kCUDA, static_cast<torch::DeviceIndex>(device)}).synchronize();
}

/// What training and validation frames of a stream have in common: their shape and their scales.
class SolverFrames : public TrainingFrames {
 public:
  SolverFrames(std::string name, const SolverSource& source, const DatagenPlan& plan, std::int64_t members)
      : name_(std::move(name)),
        channels_(static_cast<std::int64_t>(source.info().fields.size())),
        members_(members),
        frames_(plan.frames),
        device_(stays_on_device(source) ? source.device() : -1),
        scale_(source.info().fields.size(), 1.0F) {
    const auto axes = coarse_axes(source.info(), plan.coarsen);
    nx_ = static_cast<std::int64_t>(axes[0].coordinates.size());
    ny_ = static_cast<std::int64_t>(axes[1].coordinates.size());
  }
  const std::string& name() const override { return name_; }
  std::int64_t channels() const override { return channels_; }
  std::int64_t nx() const override { return nx_; }
  std::int64_t ny() const override { return ny_; }
  std::int64_t trajectories() const override { return members_; }
  std::int64_t frames(std::int64_t) const override { return frames_; }
  int device() const override { return device_; }

  virtual void normalise(const std::vector<double>& field_std) {
    for (std::size_t c = 0; c < scale_.size(); ++c) scale_[c] = static_cast<float>(1.0 / field_std[c]);
  }

 protected:
  /// Normalised frames out of a round.
  void copy(const RoundFrames& round, std::int64_t member, std::int64_t first, std::span<float> out) const {
    const std::int64_t offset = (member * frames_ + first) * frame_size();
    if (round.device >= 0) return copy_on_device(round.data.get() + offset, out);
    const auto plane = static_cast<std::size_t>(nx_ * ny_);
    const float* from = round.values().data() + offset;
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = from[i] * scale_[i / plane % scale_.size()];
  }

 private:
  void copy_on_device(float* from, std::span<float> out) const {
    const torch::NoGradGuard no_grad;
    const std::int64_t shape[] = {static_cast<std::int64_t>(out.size()) / frame_size(), channels_, nx_, ny_};
    const torch::Tensor source = on_device(from, device_, shape);
    torch::Tensor target = on_device(out.data(), device_, shape);
    for (std::int64_t c = 0; c < channels_; ++c) {
      torch::Tensor channel = target.select(1, c);
      at::mul_out(channel, source.select(1, c), torch::scalar_tensor(scale_[static_cast<std::size_t>(c)]));
    }
  }

  std::string name_;
  std::int64_t channels_, members_, frames_, nx_ = 0, ny_ = 0;
  int device_;
  std::vector<float> scale_;
};

class ValidationFrames : public SolverFrames {
 public:
  ValidationFrames(const SolverSource& source, const DatagenPlan& plan, int members)
      : SolverFrames("valid", source, plan, members), source_(source), plan_(plan), members_(members) {}
  std::string origin() const override { return "one round of the solver"; }

  void prepare() override {
    const std::lock_guard lock(mutex_);
    if (round_.size > 0) return;
    log::info("stream: {} validation trajectories of {} frames", members_, plan_.frames);
    StreamEnsemble ensemble(
        source_, plan_, members_, kFirstValidationTrajectory,
        [] { throw_if_stopped("while the solver made validation frames"); }, round_memory(source_));
    ensemble.spin_up();
    round_ = ensemble.next_round();
  }

 protected:
  void do_read(std::int64_t member, std::int64_t first, std::int64_t, std::span<float> out,
               std::uint64_t) const override {
    require(round_.size > 0, "the validation frames are not made yet");
    copy(round_, member, first, out);
  }

 private:
  const SolverSource& source_;
  DatagenPlan plan_;
  int members_;
  std::mutex mutex_;
  RoundFrames round_;
};

/// Rounds of the training ensemble: pass r is round r.
class StreamFrames : public SolverFrames {
 public:
  StreamFrames(const SolverSource& source, const DatagenPlan& plan, const StreamConfig& stream,
               std::string identity_hash)
      : SolverFrames("train", source, plan, stream.members),
        origin_(fmt::format("rounds of {} members, {} frames, from the solver", stream.members, plan.frames)),
        identity_hash_(std::move(identity_hash)),
        queue_(std::make_unique<RoundQueue>(source, plan, stream.members, kFirstStreamTrajectory, stream.queue,
                                            round_memory(source))) {}
  std::string origin() const override { return origin_; }

  void begin() {
    log::info("stream: {}", origin_);
    queue_->begin();
  }
  /// Standard deviation of every field over the first round.
  std::vector<double> measure() const {
    const RoundFrames round = queue_->get(0)->frames;
    torch::Tensor copy;  // of one round, to be measured with the host's sums
    std::span<const float> values;
    if (round.device < 0) {
      values = round.values();
    } else {
      copy = on_device(round.data.get(), round.device, {static_cast<std::int64_t>(round.size)}).cpu();
      values = {copy.const_data_ptr<float>(), round.size};
    }
    const auto plane = static_cast<std::size_t>(nx() * ny());
    std::vector<Moments> moments(static_cast<std::size_t>(channels()));
    for (std::size_t i = 0; i < values.size(); i += plane)
      moments[i / plane % moments.size()].add(values.subspan(i, plane));
    std::vector<double> stds;
    for (const Moments& field : moments) stds.push_back(field.standard_deviation());
    return stds;
  }
  /// Every checkpoint keeps the scales, so that they are not measured again.
  void normalise(const std::vector<double>& field_std) override {
    SolverFrames::normalise(field_std);
    field_std_ = field_std;
  }

  void prepare() override { queue_->start(); }
  void release_before(std::uint64_t pass) override {
    const auto number = static_cast<std::int64_t>(pass);
    if (device() >= 0 && queue_->holds_before(number)) wait_for_reads(device());
    queue_->release_before(number);
  }
  void save(const fs::path& checkpoint, std::uint64_t pass) const override {
    save_ensemble(checkpoint / kStateFile, *queue_->start_of(static_cast<std::int64_t>(pass)), identity_hash_,
                  field_std_);
  }
  void restore(const fs::path& checkpoint) override {
    if (device() >= 0) wait_for_reads(device());
    queue_->restore(load_ensemble(checkpoint / kStateFile, identity_hash_).state);
  }

 protected:
  void do_read(std::int64_t member, std::int64_t first, std::int64_t, std::span<float> out,
               std::uint64_t pass) const override {
    copy(queue_->get(static_cast<std::int64_t>(pass))->frames, member, first, out);
  }

 private:
  std::string origin_, identity_hash_;
  std::vector<double> field_std_;
  std::unique_ptr<RoundQueue> queue_;
};

DatasetInfo describe(const SolverSource& source, const DatagenPlan& plan, const std::string& identity) {
  const SolverInfo& solver = source.info();
  const auto axes = coarse_axes(solver, plan.coarsen);
  DatasetInfo info;
  info.name = "stream";
  for (const FieldInfo& field : solver.fields) info.fields.push_back(field.name);
  info.nx = static_cast<std::int64_t>(axes.at(0).coordinates.size());
  info.ny = static_cast<std::int64_t>(axes.at(1).coordinates.size());
  info.frame_interval = solver.dt * static_cast<double>(plan.steps_per_frame);
  info.forcing_wavenumber = scalar(solver, kForcingWavenumber);
  info.hash = sha256(identity);
  return info;
}

double frame_bytes(const DatasetInfo& info) {
  return static_cast<double>(info.nx * info.ny) * static_cast<double>(info.fields.size()) * sizeof(float);
}

}  // namespace

DatagenPlan stream_plan(const DatagenPlan& datagen, const StreamConfig& stream) {
  DatagenPlan plan;
  plan.name = "stream";
  plan.licence = "any";
  plan.seed = datagen.seed;
  plan.first_trajectory = kFirstStreamTrajectory;
  plan.spinup_steps = stream.spinup_steps.value_or(datagen.spinup_steps);
  plan.steps_per_frame = datagen.steps_per_frame;
  plan.decorrelation_steps = stream.decorrelation_steps.value_or(datagen.decorrelation_steps);
  plan.coarsen = datagen.coarsen;
  plan.spinup_cache = datagen.spinup_cache;
  plan.frames = stream.frames;
  plan.splits = {{"train", stream.members}};
  if (stream.validation_members > 0) plan.splits.push_back({"valid", stream.validation_members});
  return plan;
}

DatagenPlan stream_validation_plan(const DatagenPlan& datagen, const StreamConfig& stream) {
  DatagenPlan plan = stream_plan(datagen, stream);
  plan.spinup_steps = datagen.spinup_steps;
  return plan;
}

double stream_bytes(const StreamConfig& stream, double frame_bytes) {
  const double rounds = stream.queue + 2;
  return frame_bytes * static_cast<double>(stream.frames) *
         (rounds * stream.members + stream.validation_members);
}

TrainingSource solver_stream(const SolverSource& solver, const DatagenPlan& datagen,
                             const StreamConfig& stream) {
  return [&solver, plan = stream_plan(datagen, stream),
          for_validation = stream_validation_plan(datagen, stream),
          stream](const std::vector<double>& field_std, const std::optional<fs::path>& checkpoint) {
    require_divisible(solver.info(), plan.coarsen);
    TrainingData data;
    data.identity = identity_yaml(plan, solver.info(), solver.yaml());
    if (for_validation.spinup_steps != plan.spinup_steps)
      data.identity += fmt::format("validation:\n  spinup_steps: {}\n", for_validation.spinup_steps);
    data.info = describe(solver, plan, data.identity);
    data.source = fmt::format("a solver that ran beside the training: rounds of {} members, {} frames",
                              stream.members, stream.frames);
    if (!stays_on_device(solver))  // which says itself what it has room for
      require_memory(stream_bytes(stream, frame_bytes(data.info)),
                     fmt::format("the frames of training.stream ({} members, {} frames, queue {})",
                                 stream.members, stream.frames, stream.queue));
    auto training = std::make_unique<StreamFrames>(solver, plan, stream, data.info.hash);
    if (checkpoint) {
      if (field_std.empty())
        data.info.field_std = load_ensemble(*checkpoint / kStateFile, data.info.hash).field_std;
      training->restore(*checkpoint);
    } else {
      training->begin();
      if (field_std.empty()) data.info.field_std = training->measure();
    }
    data.field_std = scales_per_field(field_std, data.info);
    training->normalise(data.field_std);
    if (stream.validation_members > 0) {
      auto validation = std::make_unique<ValidationFrames>(solver, for_validation, stream.validation_members);
      validation->normalise(data.field_std);
      data.validation = std::move(validation);
    }
    data.training = std::move(training);
    return data;
  };
}

}  // namespace sns
