#include "datagen/simulate_file.hpp"

#include "core/error.hpp"
#include "core/files.hpp"
#include "core/stop.hpp"
#include "datagen/diagnostics_file.hpp"
#include "datagen/provenance.hpp"
#include "datagen/well_file.hpp"

#include <algorithm>
#include <span>

namespace sns {
namespace {

std::vector<Axis> frame_axes(const SimulatePlan& plan, const SolverInfo& info) {
  return plan.full ? info.axes : coarse_axes(info, plan.coarsen);
}

/// Calls move(frame offset, frames, member, field, values) for every slab [frame][axis0][axis1], in passes over
/// time; `values` is the buffer that is read from or written to.
template <class T>
class Slabs {
 public:
  Slabs(const SimulatePlan& plan, const SolverInfo& info)
      : axes_(frame_axes(plan, info)),
        members_(static_cast<std::size_t>(plan.members)),
        fields_(info.fields.size()),
        stacked_(writes_stacked(plan, info)) {
    for (const Axis& axis : axes_) points_ *= axis.coordinates.size();
  }
  std::size_t record_values() const { return members_ * fields_ * points_; }
  std::int64_t pass(std::int64_t frames) const { return frames > 0 ? chunk_frames(frames, points_) : 1; }

  h5::Shape offset(std::size_t member, std::int64_t frame, std::size_t field) const {
    h5::Shape shape{member, static_cast<std::uint64_t>(frame)};
    if (stacked_) shape.push_back(field);
    shape.resize(shape.size() + axes_.size(), 0);
    return shape;
  }
  /// `fields` counts where they lie in one array.
  h5::Shape extent(std::size_t members, std::int64_t frames, std::size_t fields) const {
    h5::Shape shape{members, static_cast<std::uint64_t>(frames)};
    if (stacked_) shape.push_back(fields);
    for (const Axis& axis : axes_) shape.push_back(axis.coordinates.size());
    return shape;
  }

  /// records[frame][member][field][points] <-> slab[frame][points]
  void gather(std::span<const T> records, std::int64_t frames, std::size_t member, std::size_t field,
              std::span<T> slab) const {
    for (std::size_t j = 0; j < static_cast<std::size_t>(frames); ++j) {
      const std::size_t from = ((j * members_ + member) * fields_ + field) * points_;
      std::copy_n(records.begin() + static_cast<std::ptrdiff_t>(from), points_,
                  slab.begin() + static_cast<std::ptrdiff_t>(j * points_));
    }
  }
  void scatter(std::span<const T> slab, std::int64_t frames, std::size_t member, std::size_t field,
               std::span<T> records) const {
    for (std::size_t j = 0; j < static_cast<std::size_t>(frames); ++j) {
      const std::size_t to = ((j * members_ + member) * fields_ + field) * points_;
      std::copy_n(slab.begin() + static_cast<std::ptrdiff_t>(j * points_), points_,
                  records.begin() + static_cast<std::ptrdiff_t>(to));
    }
  }

  const std::vector<Axis>& axes() const { return axes_; }
  std::size_t members() const { return members_; }
  std::size_t fields() const { return fields_; }
  std::size_t points() const { return points_; }

 private:
  std::vector<Axis> axes_;
  std::size_t members_, fields_, points_ = 1;
  bool stacked_;
};

/// Data set of each field; the same one for all where they are stacked.
std::string dataset_name(const SimulatePlan& plan, const SolverInfo& info, std::size_t field) {
  return writes_stacked(plan, info) ? info.stacked->field.name : info.fields[field].name;
}

template <class T>
void write_frames(h5::Group& file, const SimulatePlan& plan, const SolverInfo& info, const FrameLog& log,
                  const std::vector<h5::Dataset>& scales) {
  const Slabs<T> slabs(plan, info);
  const std::int64_t frames = log.records(), pass = slabs.pass(frames);
  std::vector<h5::Dataset> datasets;
  const bool stacked = writes_stacked(plan, info);
  for (const FieldInfo& field : stacked ? std::vector{info.stacked->field} : info.fields) {
    h5::DatasetOptions options;
    options.chunk = slabs.extent(1, pass, 1);
    h5::Dataset dataset =
        file.create<T>(field.name, slabs.extent(slabs.members(), frames, slabs.fields()), options);
    dataset.set_attribute("units", field.units);
    dataset.set_attribute("long_name", plan.full ? field.long_name : stored_name(field, plan.coarsen));
    for (std::size_t axis = 0; axis < scales.size(); ++axis)
      dataset.attach_scale(static_cast<int>(axis), scales[axis]);
    datasets.push_back(dataset);
  }
  std::vector<T> records(static_cast<std::size_t>(pass) * slabs.record_values());
  std::vector<T> slab(static_cast<std::size_t>(pass) * slabs.points());
  for (std::int64_t first = 0; first < frames; first += pass) {
    throw_if_stopped("while frames were written");
    const std::int64_t count = std::min(pass, frames - first);
    log.read(first, count, std::as_writable_bytes(std::span(records)));
    for (std::size_t member = 0; member < slabs.members(); ++member) {
      for (std::size_t field = 0; field < slabs.fields(); ++field) {
        slabs.gather(records, count, member, field, slab);
        datasets[stacked ? 0 : field].write_slab<T>(
            slabs.offset(member, first, field), slabs.extent(1, count, 1),
            std::span<const T>(slab).first(static_cast<std::size_t>(count) * slabs.points()));
      }
    }
  }
}

template <class T>
void read_frames(const h5::File& file, const SimulatePlan& plan, const SolverInfo& info, FrameLog& log) {
  const Slabs<T> slabs(plan, info);
  const auto frames = static_cast<std::int64_t>(file.dataset("time").shape().front());
  const std::int64_t pass = slabs.pass(frames);
  std::vector<T> records(static_cast<std::size_t>(pass) * slabs.record_values());
  std::vector<T> slab(static_cast<std::size_t>(pass) * slabs.points());
  for (std::int64_t first = 0; first < frames; first += pass) {
    throw_if_stopped("while frames were read");
    const std::int64_t count = std::min(pass, frames - first);
    for (std::size_t field = 0; field < slabs.fields(); ++field) {
      const h5::Dataset dataset = file.dataset(dataset_name(plan, info, field));
      for (std::size_t member = 0; member < slabs.members(); ++member) {
        const auto part = std::span(slab).first(static_cast<std::size_t>(count) * slabs.points());
        dataset.read_slab<T>(slabs.offset(member, first, field), slabs.extent(1, count, 1), part);
        slabs.scatter(part, count, member, field, records);
      }
    }
    log.append(std::as_bytes(
        std::span<const T>(records).first(static_cast<std::size_t>(count) * slabs.record_values())));
  }
}

}  // namespace

void write_simulation(const std::filesystem::path& output, const SimulatePlan& plan, const SolverInfo& info,
                      const std::string& config_yaml, const std::string& made_of, const Checkpoint& state,
                      const FrameLog& frames, const FrameLog& diagnostics) {
  write_atomically(output, [&](const std::filesystem::path& temporary) {
    h5::File file = h5::File::create(temporary);
    file.set_attribute("Conventions", "CF-1.10");
    file.set_attribute("title", info.title);
    file.set_attribute("pde", info.pde);
    file.set_attribute("system", info.system);
    file.set_attribute("sns_schema", "1.0");
    file.set_attribute("steps", state.step);
    file.set_attribute("dt", info.dt);
    for (const auto& [name, value] : info.parameters) file.set_attribute(name, value);

    std::vector<std::int64_t> ids(static_cast<std::size_t>(plan.members));
    for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<std::int64_t>(i);
    h5::Dataset member = file.write<std::int64_t>("member", {ids.size()}, ids);
    member.set_attribute("long_name", plan.initial ? "row of the initial states" : "trajectory id");
    member.make_scale("member");
    std::vector<h5::Dataset> scales{member};
    scales.push_back(
        write_scale(file, "time", record_times(frames.records(), plan.every, info.dt), info.time_units));
    if (writes_stacked(plan, info)) {
      scales.push_back(write_numbers(file, info.stacked->axis, info.fields.size()));
    }
    for (const Axis& axis : frame_axes(plan, info)) {
      scales.push_back(write_scale(file, axis.name, axis.coordinates, axis.units));
    }
    if (writes_float64(plan, info)) {
      write_frames<double>(file, plan, info, frames, scales);
    } else {
      write_frames<float>(file, plan, info, frames, scales);
    }
    write_diagnostics(file, plan, info, diagnostics, scales[0], scales[1]);

    h5::Group provenance = write_provenance(file, info, config_yaml, plan.seed);
    provenance.set_attribute("made_of", made_of);
    provenance.set_attribute("coarsening", name(plan.full ? Coarsening::none : plan.coarsen.kind));
    provenance.set_attribute("removed", name(plan.full ? Removal::none : plan.coarsen.remove));
    if (plan.initial) {
      provenance.set_attribute("initial", plan.initial->address);
      provenance.set_attribute("initial_sha256", plan.initial->hash);
      if (plan.initial->resampled_from > 0)
        provenance.set_attribute("initial_resampled_from", plan.initial->resampled_from);
    }
    std::vector<std::int64_t> failed_steps;
    std::vector<std::string> reasons;
    for (const MemberStatus& status : state.status) {
      failed_steps.push_back(status.alive ? -1 : status.failed_step);
      reasons.push_back(status.reason);
    }
    provenance.write<std::int64_t>("failed_step", {failed_steps.size()}, failed_steps).attach_scale(0, member);
    provenance.write_strings("failed_reason", reasons).attach_scale(0, member);
    write_checkpoint(file.make_group("checkpoint"), state);
    file.close();
  });
}

Checkpoint read_simulation_state(const std::filesystem::path& output) {
  const h5::File file = h5::File::open_read(output);
  require(file.exists("checkpoint"), "{} was not written by 'sns simulate'", output.string());
  return read_checkpoint(file.group("checkpoint"));
}

void read_simulation(const std::filesystem::path& output, const SimulatePlan& plan, const SolverInfo& info,
                     FrameLog& frames, FrameLog& diagnostics) {
  const h5::File file = h5::File::open_read(output);
  if (writes_float64(plan, info)) {
    read_frames<double>(file, plan, info, frames);
  } else {
    read_frames<float>(file, plan, info, frames);
  }
  read_diagnostics(file, plan, info, diagnostics);
}

}  // namespace sns
