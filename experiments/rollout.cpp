#include "experiments/rollout.hpp"

#include "core/clock.hpp"
#include "core/error.hpp"
#include "core/files.hpp"
#include "core/log.hpp"
#include "core/progress.hpp"
#include "core/stop.hpp"
#include "datagen/frame_log.hpp"
#include "experiments/rollout_file.hpp"

#include <ATen/Functions.h>
#include <c10/core/InferenceMode.h>
#include <torch/types.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <map>
#include <optional>
#include <span>

namespace sns {

namespace {

namespace fs = std::filesystem;

/// What a rollout continues from, beside the frames in its file.
struct Checkpoint {
  std::int64_t step = 0;  ///< last frame in the file
  double wall_seconds = 0;
  std::vector<std::int64_t> failed_step;  ///< [member]
  std::vector<float> state;               ///< normalised frame `step`, [member][channel][cell]
  std::vector<float> stepper;             ///< RolloutStepper::save()
};

fs::path partial_of(const fs::path& output) {
  return output.string() + ".partial";
}

fs::path checkpoint_of(const fs::path& output) {
  return output.string() + ".checkpoint";
}

// One JSON line, then raw floats, state and stepper: stored as they are, so that the run goes on bit for bit.
void save(const fs::path& file, const Checkpoint& c, const std::string& identity) {
  write_atomically(file, [&](const fs::path& target) {
    std::ofstream out(target, std::ios::binary);
    const nlohmann::json head = {{"identity", identity},           {"step", c.step},
                                 {"wall_seconds", c.wall_seconds}, {"failed_step", c.failed_step},
                                 {"values", c.state.size()},       {"stepper_values", c.stepper.size()}};
    out << head.dump() << '\n';
    for (const std::vector<float>* part : {&c.state, &c.stepper})
      out.write(reinterpret_cast<const char*>(part->data()),
                static_cast<std::streamsize>(part->size() * sizeof(float)));
    out.flush();
    require(out.good(), "cannot write {} (is the disk full?)", target.string());
  });
}

/// The first line of a checkpoint; discarded if it is none.
nlohmann::json read_head(std::istream& in) {
  std::string line;
  std::getline(in, line);
  return nlohmann::json::parse(line, nullptr, false);
}

/// nullopt where there is none, or one of another rollout.
std::optional<Checkpoint> load(const fs::path& file, const std::string& identity, std::size_t values) {
  if (!fs::exists(file)) return std::nullopt;
  std::ifstream in(file, std::ios::binary);
  const nlohmann::json head = read_head(in);
  if (head.is_discarded() || head.value("identity", "") != identity ||
      head.value("values", std::size_t{0}) != values)
    return std::nullopt;
  Checkpoint c;
  c.step = head.at("step").get<std::int64_t>();
  c.wall_seconds = head.at("wall_seconds").get<double>();
  c.failed_step = head.at("failed_step").get<std::vector<std::int64_t>>();
  c.state.resize(values);
  c.stepper.resize(head.value("stepper_values", std::size_t{0}));
  for (std::vector<float>* part : {&c.state, &c.stepper})
    in.read(reinterpret_cast<char*>(part->data()), static_cast<std::streamsize>(part->size() * sizeof(float)));
  if (!in.good()) return std::nullopt;
  return c;
}

class Rollout {
 public:
  Rollout(const RolloutJob& job, RolloutStepper& stepper)
      : job_(job),
        stepper_(stepper),
        partial_(partial_of(job.output)),
        checkpoint_(checkpoint_of(job.output)),
        members_(static_cast<std::int64_t>(job.trajectories.size())),
        channels_(static_cast<std::int64_t>(job.fields.size())) {
    require(members_ > 0 && job.steps > 0, "a rollout needs at least one member and one step");
    require(job.axes.size() == 2 && job.units.size() == job.fields.size() &&
                job.field_std.size() == job.fields.size(),
            "a rollout needs two axes, and a unit and a standard deviation per field");
    rows_ = static_cast<std::int64_t>(job.axes[0].second.size());
    columns_ = static_cast<std::int64_t>(job.axes[1].second.size());
    values_ = static_cast<std::size_t>(members_ * channels_ * rows_ * columns_);
    require(job.initial.size() == values_,
            "the initial states hold {} values, {} members of {} x {} x {} need {}", job.initial.size(),
            members_, channels_, rows_, columns_, values_);
    require(std::all_of(job.initial.begin(), job.initial.end(), [](float v) { return std::isfinite(v); }),
            "an initial state holds a value that is not finite");
    physical_.resize(values_);
    scale_ = torch::tensor(job.field_std, torch::kFloat64).to(torch::kFloat32).view({1, channels_, 1, 1});
  }

  RolloutSummary run() {
    const c10::InferenceMode guard;
    const torch::Tensor initial = upload(job_.initial) / scale_.to(job_.device);
    RolloutFile file = open(initial);

    Progress progress("rollout " + job_.output.stem().string(), job_.steps, "steps", at_.step);
    start_ = last_checkpoint_ = Clock::now();
    earlier_seconds_ = at_.wall_seconds;
    torch::Tensor x = upload(at_.state);
    find_living();
    for (std::int64_t step = at_.step; step < job_.steps;) {
      const bool stop = stop_requested();
      const bool due = file.pending() == 0 && seconds_since(last_checkpoint_) >= job_.checkpoint_seconds;
      if (stop || due) write_checkpoint(file, x, step);
      if (stop)
        fail<Stopped>("rollout {} stopped after step {} of {}; run the same command to continue",
                      job_.output.stem().string(), step, job_.steps);
      x = advance(file, initial, x, ++step);
      progress.update(step, failures_note());
    }
    RolloutSummary summary{job_.steps, wall_seconds(), 0, at_.failed_step, stepper_.remarks()};
    summary.steps_per_second = static_cast<double>(job_.steps) / std::max(summary.wall_seconds, 1e-9);
    file.complete(summary);
    fs::rename(partial_, job_.output);
    sync_to_disk(job_.output.parent_path().empty() ? fs::path(".") : job_.output.parent_path());
    fs::remove(checkpoint_);
    progress.finish(failures_note());
    return summary;
  }

 private:
  torch::Tensor upload(const std::vector<float>& values) const {
    return torch::from_blob(const_cast<float*>(values.data()), {members_, channels_, rows_, columns_},
                            torch::kFloat32)
        .clone()
        .to(job_.device);
  }

  RolloutFile open(const torch::Tensor& initial) {
    if (auto found = load(checkpoint_, job_.identity, values_); found && fs::exists(partial_)) {
      try {
        RolloutFile file = RolloutFile::reopen(partial_, job_);
        stepper_.restore(found->stepper, job_.device);
        at_ = std::move(*found);
        log::info("rollout {}: continuing after step {}", job_.output.stem().string(), at_.step);
        return file;
      } catch (const Error& e) {
        log::warn("{}; the rollout starts again", e.what());
      }
    }
    fs::remove(checkpoint_);
    const fs::path folder = job_.output.has_parent_path() ? job_.output.parent_path() : fs::path(".");
    make_writable_folder(folder);
    fs::remove(partial_);
    require_space(folder, static_cast<std::uint64_t>(job_.steps + 1) * values_ * sizeof(float));
    RolloutFile file = RolloutFile::create(partial_, job_);
    at_.failed_step.assign(static_cast<std::size_t>(members_), -1);
    at_.state = download(initial);
    return file;
  }

  static std::vector<float> download(const torch::Tensor& t) {
    const torch::Tensor host = t.to(torch::kCPU).contiguous();
    return {host.const_data_ptr<float>(), host.const_data_ptr<float>() + host.numel()};
  }

  /// The members that are not lost, and their rows on the device.
  void find_living() {
    alive_.clear();
    ids_.clear();
    for (std::int64_t m = 0; m < members_; ++m)
      if (at_.failed_step[static_cast<std::size_t>(m)] < 0) {
        alive_.push_back(m);
        ids_.push_back(job_.trajectories[static_cast<std::size_t>(m)]);
      }
    living_ = torch::tensor(alive_, torch::kInt64).to(job_.device);
  }
  bool all_live() const { return static_cast<std::int64_t>(alive_.size()) == members_; }

  /// Frame `step` from frame step-1 for the living members; dead ones stay NaN.
  torch::Tensor advance(RolloutFile& file, const torch::Tensor& initial, const torch::Tensor& x,
                        std::int64_t step) {
    const auto begin = Clock::now();
    const double cpu_begin = cpu_seconds();
    std::vector<std::int32_t> levels(static_cast<std::size_t>(2 * members_), -1);
    std::vector<std::int64_t> evaluations(static_cast<std::size_t>(3 * members_), 0);
    torch::Tensor next = torch::full_like(x, std::numeric_limits<float>::quiet_NaN());
    torch::Tensor previous;
    std::vector<StoppedMember> stopped;
    if (!alive_.empty()) {
      const auto living = [&](const torch::Tensor& t) { return all_live() ? t : t.index_select(0, living_); };
      StepOutcome outcome = stepper_.advance(living(initial), living(x), ids_, step);
      record(outcome, levels, evaluations);
      next.index_copy_(0, living_, outcome.next);
      if (outcome.previous.defined() && step > 1)
        previous = x.clone().index_copy_(0, living_, outcome.previous).to(torch::kCPU);
      stopped = std::move(outcome.stopped);
    }
    torch::Tensor host = next.to(torch::kCPU);  // on the CPU, next itself
    bury(next, host, stopped, step);
    if (previous.defined()) rewrite(file, step - 1, previous, x);
    file.append(step, physical(host), levels, evaluations);
    if (step == job_.steps) file.flush(false);
    file.record_time(step, {.wall = seconds_since(begin), .cpu = cpu_seconds() - cpu_begin});
    return next;
  }

  /// Puts what a refinement made of frame `step` in its place, of members that live on; not where that is no
  /// frame of the flow itself.
  void rewrite(RolloutFile& file, std::int64_t step, torch::Tensor& made, const torch::Tensor& x) {
    const torch::Tensor before = x.to(torch::kCPU);
    for (std::int64_t m = 0; m < members_; ++m)
      if (at_.failed_step[static_cast<std::size_t>(m)] >= 0 || !within_limit(made, m))
        made.select(0, m).copy_(before.select(0, m));
    file.rewrite(step, physical(made));
  }

  /// Whether the member's frame, on the host, is finite and not beyond the limit.
  bool within_limit(const torch::Tensor& host, std::int64_t member) const {
    const std::size_t size = values_ / static_cast<std::size_t>(members_);
    const float* const frame = host.const_data_ptr<float>() + static_cast<std::size_t>(member) * size;
    // NaN compares false, so "not within the limit" covers it.
    return std::all_of(frame, frame + size, [this](float v) { return std::abs(v) <= job_.limit; });
  }

  /// A frame on the host in physical units; valid until the next call.
  std::span<const float> physical(const torch::Tensor& host) {
    torch::Tensor out = torch::from_blob(physical_.data(), host.sizes(), torch::kFloat32);
    at::mul_out(out, host, scale_);
    return physical_;
  }

  void record(const StepOutcome& outcome, std::vector<std::int32_t>& levels,
              std::vector<std::int64_t>& evaluations) const {
    const torch::Tensor counts = outcome.evaluations.to(torch::kCPU, torch::kInt64).contiguous();
    const torch::Tensor predicted =
        outcome.levels.defined() ? outcome.levels.to(torch::kCPU, torch::kInt64).contiguous() : torch::Tensor();
    for (std::size_t b = 0; b < alive_.size(); ++b) {
      const auto member = static_cast<std::size_t>(alive_[b]);
      std::copy_n(counts.const_data_ptr<std::int64_t>() + 3 * b, 3, evaluations.begin() + 3 * alive_[b]);
      if (predicted.defined())
        for (std::size_t k = 0; k < 2; ++k)
          levels[2 * member + k] =
              static_cast<std::int32_t>(predicted.const_data_ptr<std::int64_t>()[2 * b + k]);
    }
  }

  /// Marks members that have become non-finite or too large, or were stopped, and blanks their frame in both
  /// copies.
  void bury(torch::Tensor& next, torch::Tensor& host, const std::vector<StoppedMember>& stopped,
            std::int64_t step) {
    std::map<std::int64_t, std::string> reasons;
    for (const StoppedMember& one : stopped) reasons[alive_.at(static_cast<std::size_t>(one.row))] = one.why;
    for (const std::int64_t m : alive_)
      if (!within_limit(host, m))
        reasons.try_emplace(m, fmt::format("not finite or beyond {} standard deviations", job_.limit));
    for (const auto& [m, why] : reasons) {
      for (torch::Tensor* const frames : {&next, &host})
        frames->select(0, m).fill_(std::numeric_limits<float>::quiet_NaN());
      at_.failed_step[static_cast<std::size_t>(m)] = step;
      log::warn("rollout {}: trajectory {} failed at step {} ({})", job_.output.stem().string(),
                job_.trajectories[static_cast<std::size_t>(m)], step, why);
    }
    if (!reasons.empty()) find_living();
  }

  void write_checkpoint(RolloutFile& file, const torch::Tensor& x, std::int64_t step) {
    file.flush(true);
    at_.step = step;
    at_.wall_seconds = wall_seconds();
    at_.state = download(x);
    at_.stepper = stepper_.save();
    save(checkpoint_, at_, job_.identity);
    last_checkpoint_ = Clock::now();
  }

  std::string failures_note() const {
    const std::int64_t failed = members_ - static_cast<std::int64_t>(alive_.size());
    return failed == 0 ? "" : fmt::format("{} failed", failed);
  }
  double wall_seconds() const { return earlier_seconds_ + seconds_since(start_); }

  const RolloutJob& job_;
  RolloutStepper& stepper_;
  fs::path partial_, checkpoint_;
  std::int64_t members_, channels_, rows_ = 0, columns_ = 0;
  std::size_t values_ = 0;
  torch::Tensor scale_;  // [1, C, 1, 1], on the host
  std::vector<float> physical_;
  std::vector<std::int64_t> alive_, ids_;  // members that are not lost, and their trajectories
  torch::Tensor living_;                   // alive_, on the device
  Checkpoint at_;
  double earlier_seconds_ = 0;
  Clock::time_point start_, last_checkpoint_;
};

}  // namespace

RolloutSummary run_rollout(const RolloutJob& job, RolloutStepper& stepper) {
  return Rollout(job, stepper).run();
}

std::optional<std::int64_t> interrupted_step(const fs::path& output) {
  std::ifstream in(checkpoint_of(output), std::ios::binary);
  if (!in || !fs::exists(partial_of(output))) return std::nullopt;
  const nlohmann::json head = read_head(in);
  const auto step = head.is_object() ? head.find("step") : head.end();
  if (step == head.end() || !step->is_number_integer()) return std::nullopt;
  return step->get<std::int64_t>();
}

std::uint64_t rollout_bytes(std::int64_t steps, std::int64_t members, std::int64_t channels,
                            std::int64_t points) {
  const auto per_frame = static_cast<std::uint64_t>(channels * points * points) * sizeof(float) +
                         2 * sizeof(std::int32_t) + 3 * sizeof(std::int64_t);
  constexpr std::uint64_t kClocks = 2 * sizeof(double);
  return static_cast<std::uint64_t>(steps + 1) * (static_cast<std::uint64_t>(members) * per_frame + kClocks);
}

}  // namespace sns
