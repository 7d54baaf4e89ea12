#include "experiments/rollout_file.hpp"

#include "core/build_info.hpp"
#include "core/error.hpp"
#include "core/log.hpp"

#include <algorithm>
#include <cstring>

namespace sns {

namespace {

constexpr std::uint64_t u(std::int64_t value) {
  return static_cast<std::uint64_t>(value);
}

/// [frame][member][width] -> [member][frame][width]: the file keeps each member's time axis together.
template <class T>
std::vector<T> member_major(std::span<const T> rows, std::int64_t frames, std::int64_t members,
                            std::int64_t width) {
  std::vector<T> out(rows.size());
  for (std::int64_t f = 0; f < frames; ++f)
    for (std::int64_t m = 0; m < members; ++m)
      std::copy_n(rows.begin() + (f * members + m) * width, width, out.begin() + (m * frames + f) * width);
  return out;
}

}  // namespace

RolloutFile::RolloutFile(h5::File file, const RolloutJob& job)
    : file_(std::move(file)),
      levels_(file_.dataset("levels")),
      evaluations_(file_.dataset("evaluations")),
      step_seconds_(file_.dataset("step_seconds")),
      members_(static_cast<std::int64_t>(job.trajectories.size())),
      channels_(static_cast<std::int64_t>(job.fields.size())),
      points_x_(static_cast<std::int64_t>(job.axes[0].second.size())),
      points_y_(static_cast<std::int64_t>(job.axes[1].second.size())),
      cells_(points_x_ * points_y_),
      chunk_(job.chunk) {
  for (const std::string& field : job.fields) fields_.push_back(file_.dataset(field));
  frames_.resize(static_cast<std::size_t>(chunk_ * members_ * channels_ * cells_));
  level_rows_.resize(static_cast<std::size_t>(chunk_ * members_ * 2));
  evaluation_rows_.resize(static_cast<std::size_t>(chunk_ * members_ * 3));
}

RolloutFile RolloutFile::create(const std::filesystem::path& path, const RolloutJob& job) {
  h5::File file = h5::File::create(path);
  h5::Group& root = file;
  const std::uint64_t members = job.trajectories.size(), frames = u(job.steps) + 1;
  const auto& [x_name, x] = job.axes[0];
  const auto& [y_name, y] = job.axes[1];

  std::vector<double> time(frames);
  for (std::uint64_t i = 0; i < frames; ++i) time[i] = static_cast<double>(i) * job.frame_interval;
  std::vector<h5::Dataset> scales;
  const auto add_scale = [&](const std::string& name, h5::Dataset scale) {
    scale.make_scale(name);
    scales.push_back(std::move(scale));
  };
  add_scale("member", file.write<std::int64_t>("member", {members}, job.trajectories));
  add_scale("time", file.write<double>("time", {frames}, time));
  scales.back().set_attribute("units", job.time_units);
  add_scale(x_name, file.write<double>(x_name, {x.size()}, x));
  add_scale(y_name, file.write<double>(y_name, {y.size()}, y));

  for (std::size_t c = 0; c < job.fields.size(); ++c) {
    h5::Dataset field = root.create<float>(job.fields[c], {members, frames, x.size(), y.size()});
    field.set_attribute("units", job.units[c]);
    for (int axis = 0; axis < 4; ++axis) field.attach_scale(axis, scales[static_cast<std::size_t>(axis)]);
  }
  // Every axis has a scale, so that netCDF's tools open the file.
  const auto add_columns = [&](h5::Dataset& rows, int axis, const std::string& scale,
                               const std::vector<std::string>& columns) {
    rows.set_attribute("columns", columns);
    h5::Dataset names = file.write_strings(scale, columns);
    names.make_scale(scale);
    rows.attach_scale(axis, names);
  };
  const auto add_rows = [&](h5::Dataset rows, const std::string& scale,
                            const std::vector<std::string>& columns) {
    for (int axis = 0; axis < 2; ++axis) rows.attach_scale(axis, scales[static_cast<std::size_t>(axis)]);
    add_columns(rows, 2, scale, columns);
  };
  add_rows(root.create<std::int32_t>("levels", {members, frames, 2}), "frame_of_pair", {"previous", "present"});
  add_rows(root.create<std::int64_t>("evaluations", {members, frames, 3}), "network",
           {"surrogate", "classifier", "denoiser"});
  h5::Dataset seconds = root.create<double>("step_seconds", {frames, 2});
  seconds.set_attribute("units", "s");
  seconds.attach_scale(0, scales[1]);
  add_columns(seconds, 1, "clock", {"wall", "cpu"});
  file.write<std::int64_t>("failed_step", {members}, std::vector<std::int64_t>(members, -1))
      .attach_scale(0, scales[0]);

  file.set_attribute("Conventions", "CF-1.10");
  for (const auto& [name, text] : job.attributes) file.set_attribute(name, text);
  file.set_attribute("seed", job.seed);
  file.set_attribute("threads", job.threads);
  file.set_attribute("frame_interval", job.frame_interval);
  file.set_attribute("field_std", job.field_std);
  file.set_attribute("git_commit", build_info().git_commit);
  file.set_attribute("created_utc", utc_now());
  file.set_attribute("wall_seconds", 0.0);
  file.set_attribute("steps_per_second", 0.0);
  file.set_attribute("complete", false);

  RolloutFile out(std::move(file), job);
  // The first write allocates the whole contiguous extent; from here on the metadata stays as it is.
  const std::vector<std::int32_t> none(members * 2, -1);
  const std::vector<std::int64_t> zero(members * 3, 0);
  out.first_ = 0;
  out.append(0, job.initial, none, zero);
  out.record_time(0, {});
  out.flush(true);
  return out;
}

RolloutFile RolloutFile::reopen(const std::filesystem::path& path, const RolloutJob& job) {
  h5::File file = h5::File::open_edit(path);
  const int threads = file.has_attribute("threads") ? file.attribute<int>("threads") : job.threads;
  bool elsewhere = threads != job.threads && threads != kMixedThreads;
  for (const auto& [name, text] : job.attributes) {
    const std::string before = file.has_attribute(name) ? file.attribute<std::string>(name) : std::string();
    require(!name.ends_with("_sha256") || before == text, "{} was begun with other weights ({})", path.string(),
            name);
    if (name != "device" || before.ends_with(text)) continue;
    elsewhere = true;
    file.set_attribute(name, before + ", " + text);
  }
  if (elsewhere) {
    log::warn("{}: begun on another device or with other threads: its times are compared with none",
              job.output.stem().string());
    file.set_attribute("threads", kMixedThreads);
    file.flush();
  }
  return RolloutFile(std::move(file), job);
}

void RolloutFile::append(std::int64_t step, std::span<const float> physical,
                         std::span<const std::int32_t> levels, std::span<const std::int64_t> evaluations) {
  if (held_ == 0) first_ = step;
  std::copy(physical.begin(), physical.end(),
            frames_.begin() + held_ * static_cast<std::int64_t>(physical.size()));
  std::copy(levels.begin(), levels.end(),
            level_rows_.begin() + held_ * static_cast<std::int64_t>(levels.size()));
  std::copy(evaluations.begin(), evaluations.end(),
            evaluation_rows_.begin() + held_ * static_cast<std::int64_t>(evaluations.size()));
  if (++held_ == chunk_) flush(false);
}

void RolloutFile::record_time(std::int64_t step, const metrics::Seconds& seconds) {
  if (second_rows_.empty()) first_timed_ = step;
  second_rows_.insert(second_rows_.end(), {seconds.wall, seconds.cpu});
}

void RolloutFile::rewrite(std::int64_t step, std::span<const float> physical) {
  if (held_ > 0 && step >= first_)
    std::copy(physical.begin(), physical.end(),
              frames_.begin() + (step - first_) * static_cast<std::int64_t>(physical.size()));
  else
    write_frames(step, 1, physical);
}

void RolloutFile::write_frames(std::int64_t first, std::int64_t frames, std::span<const float> held) {
  const std::vector<float> by_member = member_major(held, frames, members_, channels_ * cells_);
  std::vector<float> one(static_cast<std::size_t>(frames * cells_));
  for (std::int64_t m = 0; m < members_; ++m)
    for (std::int64_t c = 0; c < channels_; ++c) {
      for (std::int64_t f = 0; f < frames; ++f)
        std::copy_n(by_member.begin() + ((m * frames + f) * channels_ + c) * cells_, cells_,
                    one.begin() + f * cells_);
      fields_[static_cast<std::size_t>(c)].write_slab<float>({u(m), u(first), 0, 0},
                                                             {1, u(frames), u(points_x_), u(points_y_)}, one);
    }
}

void RolloutFile::flush(bool durable) {
  if (held_ > 0) {
    const auto held = [&](const auto& rows) {
      return std::span(rows).first(rows.size() / static_cast<std::size_t>(chunk_) *
                                   static_cast<std::size_t>(held_));
    };
    write_frames(first_, held_, held(frames_));
    const auto levels = member_major<std::int32_t>(held(level_rows_), held_, members_, 2);
    levels_.write_slab<std::int32_t>({0, u(first_), 0}, {u(members_), u(held_), 2}, levels);
    const auto evaluations = member_major<std::int64_t>(held(evaluation_rows_), held_, members_, 3);
    evaluations_.write_slab<std::int64_t>({0, u(first_), 0}, {u(members_), u(held_), 3}, evaluations);
    held_ = 0;
  }
  if (!second_rows_.empty()) {
    step_seconds_.write_slab<double>({u(first_timed_), 0}, {second_rows_.size() / 2, 2}, second_rows_);
    second_rows_.clear();
  }
  if (durable) file_.flush();
}

void RolloutFile::complete(const RolloutSummary& summary) {
  flush(false);
  file_.dataset("failed_step").write<std::int64_t>(summary.failed_step);
  file_.set_attribute("wall_seconds", summary.wall_seconds);
  file_.set_attribute("steps_per_second", summary.steps_per_second);
  for (const auto& [name, value] : summary.remarks) file_.set_attribute(name, value);
  file_.set_attribute("complete", true);
  file_.flush();
  fields_.clear();
  levels_ = {};
  evaluations_ = {};
  step_seconds_ = {};
  file_.close();
}

}  // namespace sns
