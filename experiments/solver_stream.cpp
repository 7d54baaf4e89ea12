#include "experiments/solver_stream.hpp"

#include "core/error.hpp"
#include "core/files.hpp"
#include "core/log.hpp"
#include "core/memory.hpp"
#include "core/stop.hpp"
#include "datagen/statistics.hpp"
#include "experiments/round_queue.hpp"

#include <mutex>

namespace sns {

namespace {

namespace fs = std::filesystem;
constexpr const char* kStateFile = "stream.h5";

/// What training and validation frames of a stream have in common: their shape and their scales.
class SolverFrames : public TrainingFrames {
 public:
  SolverFrames(std::string name, const SolverInfo& info, const DatagenPlan& plan, std::int64_t members)
      : name_(std::move(name)),
        channels_(static_cast<std::int64_t>(info.fields.size())),
        members_(members),
        frames_(plan.frames),
        scale_(info.fields.size(), 1.0F) {
    const auto axes = coarse_axes(info, plan.coarsen);
    nx_ = static_cast<std::int64_t>(axes[0].coordinates.size());
    ny_ = static_cast<std::int64_t>(axes[1].coordinates.size());
  }
  const std::string& name() const override { return name_; }
  std::int64_t channels() const override { return channels_; }
  std::int64_t nx() const override { return nx_; }
  std::int64_t ny() const override { return ny_; }
  std::int64_t trajectories() const override { return members_; }
  std::int64_t frames(std::int64_t) const override { return frames_; }

  virtual void normalise(const std::vector<double>& field_std) {
    for (std::size_t c = 0; c < scale_.size(); ++c) scale_[c] = static_cast<float>(1.0 / field_std[c]);
  }

 protected:
  /// Normalised frames out of a round [member][frame][field][x][y].
  void copy(const std::vector<float>& round, std::int64_t member, std::int64_t first,
            std::span<float> out) const {
    const auto plane = static_cast<std::size_t>(nx_ * ny_);
    const float* from = round.data() + (member * frames_ + first) * frame_size();
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = from[i] * scale_[i / plane % scale_.size()];
  }

 private:
  std::string name_;
  std::int64_t channels_, members_, frames_, nx_ = 0, ny_ = 0;
  std::vector<float> scale_;
};

class ValidationFrames : public SolverFrames {
 public:
  ValidationFrames(const SolverSource& source, const DatagenPlan& plan, int members)
      : SolverFrames("valid", source.info(), plan, members), source_(source), plan_(plan), members_(members) {}
  std::string origin() const override { return "one round of the solver"; }

  void prepare() override {
    const std::lock_guard lock(mutex_);
    if (!round_.empty()) return;
    log::info("stream: {} validation trajectories of {} frames", members_, plan_.frames);
    StreamEnsemble ensemble(source_, plan_, members_, kFirstValidationTrajectory,
                            [] { throw_if_stopped("while the solver made validation frames"); });
    ensemble.spin_up();
    round_ = ensemble.next_round();
  }

 protected:
  void do_read(std::int64_t member, std::int64_t first, std::int64_t, std::span<float> out,
               std::uint64_t) const override {
    require(!round_.empty(), "the validation frames are not made yet");
    copy(round_, member, first, out);
  }

 private:
  const SolverSource& source_;
  DatagenPlan plan_;
  int members_;
  std::mutex mutex_;
  std::vector<float> round_;
};

/// Rounds of the training ensemble: pass r is round r.
class StreamFrames : public SolverFrames {
 public:
  StreamFrames(const SolverSource& source, const DatagenPlan& plan, const StreamConfig& stream,
               std::string identity_hash)
      : SolverFrames("train", source.info(), plan, stream.members),
        origin_(fmt::format("rounds of {} members, {} frames, from the solver", stream.members, plan.frames)),
        identity_hash_(std::move(identity_hash)),
        queue_(
            std::make_unique<RoundQueue>(source, plan, stream.members, kFirstStreamTrajectory, stream.queue)) {}
  std::string origin() const override { return origin_; }

  void begin() {
    log::info("stream: {}", origin_);
    queue_->begin();
  }
  /// Standard deviation of every field over the first round.
  std::vector<double> measure() const {
    const auto round = queue_->get(0);
    const auto plane = static_cast<std::size_t>(nx() * ny());
    std::vector<Moments> moments(static_cast<std::size_t>(channels()));
    for (std::size_t i = 0; i < round->frames.size(); i += plane)
      moments[i / plane % moments.size()].add(std::span(round->frames).subspan(i, plane));
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
  void release_before(std::uint64_t pass) override { queue_->release_before(static_cast<std::int64_t>(pass)); }
  void save(const fs::path& checkpoint, std::uint64_t pass) const override {
    save_ensemble(checkpoint / kStateFile, *queue_->start_of(static_cast<std::int64_t>(pass)), identity_hash_,
                  field_std_);
  }
  void restore(const fs::path& checkpoint) override {
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
  plan.spinup_steps = datagen.spinup_steps;
  plan.steps_per_frame = datagen.steps_per_frame;
  plan.decorrelation_steps = datagen.decorrelation_steps;
  plan.coarsen = datagen.coarsen;
  plan.spinup_cache = datagen.spinup_cache;
  plan.frames = stream.frames;
  plan.splits = {{"train", stream.members}};
  if (stream.validation_members > 0) plan.splits.push_back({"valid", stream.validation_members});
  return plan;
}

double stream_bytes(const StreamConfig& stream, double frame_bytes) {
  const double rounds = stream.queue + 2;
  return frame_bytes * static_cast<double>(stream.frames) *
         (rounds * stream.members + stream.validation_members);
}

TrainingSource solver_stream(const SolverSource& solver, const DatagenPlan& datagen,
                             const StreamConfig& stream) {
  return [&solver, plan = stream_plan(datagen, stream), stream](const std::vector<double>& field_std,
                                                                const std::optional<fs::path>& checkpoint) {
    require_divisible(solver.info(), plan.coarsen);
    TrainingData data;
    data.identity = identity_yaml(plan, solver.info(), solver.yaml());
    data.info = describe(solver, plan, data.identity);
    data.source = fmt::format("a solver that ran beside the training: rounds of {} members, {} frames",
                              stream.members, stream.frames);
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
      auto validation = std::make_unique<ValidationFrames>(solver, plan, stream.validation_members);
      validation->normalise(data.field_std);
      data.validation = std::move(validation);
    }
    data.training = std::move(training);
    return data;
  };
}

}  // namespace sns
