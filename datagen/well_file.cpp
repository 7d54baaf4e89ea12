#include "datagen/well_file.hpp"

#include "core/error.hpp"
#include "core/files.hpp"
#include "core/hdf5.hpp"
#include "core/stop.hpp"
#include "datagen/provenance.hpp"

#include <algorithm>
#include <set>
#include <span>

namespace sns {
namespace {

/// One sample: a window of one trajectory.
struct Sample {
  std::int64_t member;
  std::uint64_t trajectory;
  std::int64_t window;
};

std::vector<Sample> samples_of(const WellFileInput& input) {
  std::set<std::uint64_t> failed;
  for (const auto& f : input.failed) failed.insert(f.trajectory);
  std::vector<Sample> samples;
  for (std::int64_t member = 0; member < input.group.count; ++member) {
    const std::uint64_t id = input.group.first + static_cast<std::uint64_t>(member);
    if (failed.contains(id)) continue;
    for (std::int64_t w = 0; w < input.plan.samples_per_trajectory; ++w) samples.push_back({member, id, w});
  }
  return samples;
}

void mark_varying(h5::Object& object, bool sample, bool time) {
  object.set_attribute("sample_varying", sample);
  object.set_attribute("time_varying", time);
}

void write_root_attributes(h5::File& file, const WellFileInput& input, std::int64_t samples) {
  file.set_attribute("dataset_name", input.plan.name);
  file.set_attribute("grid_type", "cartesian");
  file.set_attribute("n_spatial_dims", static_cast<std::int64_t>(input.info.axes.size()));
  file.set_attribute("n_trajectories", samples);
  file.set_attribute("Conventions", "CF-1.10");
  file.set_attribute("title", input.info.title);
  file.set_attribute("pde", input.info.pde);
  file.set_attribute("license", input.plan.licence);
  file.set_attribute("sns_schema", "1.0");
}

/// Scalars as The Well has them; the solver's other constants are root attributes only.
void write_parameters(h5::File& file, const WellFileInput& input) {
  for (const auto& [name, value] : input.info.parameters) file.set_attribute(name, value);
  std::vector<std::string> names;
  h5::Group group = file.make_group("scalars");
  for (const auto& [name, value] : scalars_of(input.plan, input.info)) {
    names.push_back(name);
    file.set_attribute(name, value);
    const float stored = static_cast<float>(value);
    h5::Dataset scalar = group.write<float>(name, {}, std::span(&stored, 1));
    mark_varying(scalar, false, false);
  }
  group.set_attribute("field_names", names);
  file.set_attribute("simulation_parameters", names);
}

/// The scales sample, time and space, in the order of the field's axes, with hard links at the root: netCDF-4
/// looks for a dimension in the variable's group and its ancestors only.
std::vector<h5::Dataset> write_dimensions(h5::File& file, const WellFileInput& input,
                                          const std::vector<Axis>& axes, const std::vector<Sample>& samples) {
  h5::Group group = file.make_group("dimensions");
  std::vector<std::string> spatial;
  for (const Axis& axis : axes) spatial.push_back(axis.name);
  group.set_attribute("spatial_dims", spatial);

  std::vector<h5::Dataset> scales;
  std::vector<std::int32_t> numbers;
  for (const Sample& s : samples) {
    numbers.push_back(static_cast<std::int32_t>(
        static_cast<std::int64_t>(s.trajectory) * input.plan.samples_per_trajectory + s.window));
  }
  h5::Dataset sample = group.write<std::int32_t>("sample", {numbers.size()}, numbers);
  sample.set_attribute("long_name", "trajectory id times windows per trajectory, plus window");
  sample.make_scale("sample");
  mark_varying(sample, true, false);
  scales.push_back(sample);

  std::vector<double> times(static_cast<std::size_t>(input.plan.frames));
  for (std::size_t i = 0; i < times.size(); ++i) {
    times[i] = static_cast<double>(i) * static_cast<double>(input.plan.steps_per_frame) * input.info.dt;
  }
  h5::Dataset time = write_scale(group, "time", times, input.info.time_units);
  time.set_attribute("long_name", "time since the first frame of the sample");
  mark_varying(time, false, true);
  scales.push_back(time);

  for (const Axis& axis : axes) {
    h5::Dataset scale = write_scale(group, axis.name, axis.coordinates, axis.units);
    mark_varying(scale, false, false);
    scales.push_back(scale);
  }
  for (const char* name : {"sample", "time"}) file.hard_link(std::string("/dimensions/") + name, name);
  for (const Axis& axis : axes) file.hard_link("/dimensions/" + axis.name, axis.name);
  return scales;
}

void write_boundaries(h5::File& file, const std::vector<Axis>& axes) {
  h5::Group boundaries = file.make_group("boundary_conditions");
  for (const Axis& axis : axes) {
    h5::Group boundary = boundaries.make_group(axis.name + "_periodic");
    boundary.set_attribute("bc_type", "periodic");
    boundary.set_attribute("associated_dims", std::vector<std::string>{axis.name});
    boundary.set_attribute("associated_fields", std::vector<std::string>{});
    mark_varying(boundary, false, false);
    std::vector<bool> mask(axis.coordinates.size(), false);
    mask.front() = mask.back() = true;
    boundary.write_booleans("mask", mask);
    boundary.write<float>("values", {0}, {});
  }
}

std::vector<h5::Dataset> create_fields(h5::File& file, const WellFileInput& input,
                                       const std::vector<Axis>& axes, std::vector<h5::Dataset>& scales,
                                       std::size_t samples, std::int64_t chunk) {
  const auto frames = static_cast<std::uint64_t>(input.plan.frames);
  h5::Shape shape{samples, frames}, chunks{1, static_cast<std::uint64_t>(chunk)};
  for (const Axis& axis : axes) {
    shape.push_back(axis.coordinates.size());
    chunks.push_back(axis.coordinates.size());
  }
  h5::DatasetOptions options;
  options.chunk = chunks;
  options.deflate = input.plan.deflate ? 4 : 0;
  h5::Group group = file.make_group("t0_fields");
  std::vector<h5::Dataset> datasets;
  std::vector<std::string> names;
  for (const FieldInfo& field : input.info.fields) {
    names.push_back(field.name);
    h5::Dataset dataset = group.create<float>(field.name, shape, options);
    mark_varying(dataset, true, true);
    dataset.set_attribute("dim_varying", std::vector<bool>(axes.size(), true));
    dataset.set_attribute("units", field.units);
    dataset.set_attribute("long_name", stored_name(field, input.plan.coarsen));
    for (std::size_t axis = 0; axis < scales.size(); ++axis)
      dataset.attach_scale(static_cast<int>(axis), scales[axis]);
    file.hard_link("/t0_fields/" + field.name, field.name);
    datasets.push_back(dataset);
  }
  group.set_attribute("field_names", names);
  for (const char* name : {"t1_fields", "t2_fields"}) {
    file.make_group(name).set_attribute("field_names", std::vector<std::string>{});
  }
  return datasets;
}

/// Copies the log into the fields, chunk by chunk in time; returns the hash of every frame, [sample][time].
std::vector<std::uint64_t> copy_frames(const WellFileInput& input, const FrameLog& log,
                                       const std::vector<Sample>& samples, std::vector<h5::Dataset>& fields,
                                       const std::vector<Axis>& axes, std::int64_t chunk) {
  const std::int64_t frames = input.plan.frames;
  std::size_t points = 1;
  for (const Axis& axis : axes) points *= axis.coordinates.size();
  const std::size_t member_values = fields.size() * points;
  const std::size_t record_values = member_values * static_cast<std::size_t>(input.group.count);
  std::vector<float> records(static_cast<std::size_t>(chunk) * record_values);
  std::vector<float> slab(static_cast<std::size_t>(chunk) * points);
  std::vector<std::uint64_t> hashes(samples.size() * static_cast<std::size_t>(frames));
  for (std::int64_t window = 0; window < input.plan.samples_per_trajectory; ++window) {
    for (std::int64_t first = 0; first < frames; first += chunk) {
      throw_if_stopped("while frames were written");
      const std::int64_t count = std::min(chunk, frames - first);
      log.read(window * frames + first, count, std::as_writable_bytes(std::span(records)));
      for (std::size_t s = 0; s < samples.size(); ++s) {
        if (samples[s].window != window) continue;
        const float* member = records.data() + static_cast<std::size_t>(samples[s].member) * member_values;
        for (std::int64_t j = 0; j < count; ++j) {
          const std::span<const float> frame(member + static_cast<std::size_t>(j) * record_values,
                                             member_values);
          hashes[s * static_cast<std::size_t>(frames) + static_cast<std::size_t>(first + j)] =
              frame_hash(frame);
        }
        for (std::size_t f = 0; f < fields.size(); ++f) {
          for (std::int64_t j = 0; j < count; ++j) {
            const float* from = member + static_cast<std::size_t>(j) * record_values + f * points;
            std::copy_n(from, points, slab.data() + static_cast<std::size_t>(j) * points);
          }
          h5::Shape offset{s, static_cast<std::uint64_t>(first)}, extent{1, static_cast<std::uint64_t>(count)};
          for (const Axis& axis : axes) {
            offset.push_back(0);
            extent.push_back(axis.coordinates.size());
          }
          fields[f].write_slab<float>(offset, extent,
                                      std::span(slab).first(static_cast<std::size_t>(count) * points));
        }
      }
    }
  }
  return hashes;
}

void write_sample_provenance(h5::Group& group, const WellFileInput& input, const std::vector<Sample>& samples,
                             const std::vector<h5::Dataset>& scales, const std::vector<std::uint64_t>& hashes) {
  std::vector<std::uint64_t> seeds(samples.size(), input.plan.seed);
  std::vector<std::int64_t> ids, steps;
  std::vector<std::int32_t> windows;
  const float wall =
      static_cast<float>(input.wall_seconds / static_cast<double>(std::max<std::size_t>(1, samples.size())));
  std::vector<float> walls(samples.size(), wall);
  for (const Sample& s : samples) {
    ids.push_back(static_cast<std::int64_t>(s.trajectory));
    windows.push_back(static_cast<std::int32_t>(s.window));
    steps.push_back(input.plan.step_of(s.window * input.plan.frames));
  }
  const h5::Shape shape{samples.size()};
  const auto attach = [&](h5::Dataset dataset) { dataset.attach_scale(0, scales[0]); };
  attach(group.write<std::uint64_t>("seed", shape, seeds));
  attach(group.write<std::int64_t>("trajectory_id", shape, ids));
  attach(group.write<std::int32_t>("window", shape, windows));
  attach(group.write<std::int64_t>("first_step", shape, steps));
  attach(group.write<float>("wall_s", shape, walls));
  h5::Dataset hash_dataset = group.write<std::uint64_t>(
      "frame_hash", {samples.size(), static_cast<std::uint64_t>(input.plan.frames)}, hashes);
  hash_dataset.attach_scale(0, scales[0]);
  hash_dataset.attach_scale(1, scales[1]);
  group.set_attribute("coarsening", name(input.plan.coarsen.kind));
  group.set_attribute("removed", name(input.plan.coarsen.remove));

  std::vector<std::int64_t> failed_ids, failed_steps;
  std::vector<std::string> reasons;
  for (const FailedTrajectory& failed : input.failed) {
    failed_ids.push_back(static_cast<std::int64_t>(failed.trajectory));
    failed_steps.push_back(failed.step);
    reasons.push_back(failed.reason);
  }
  if (!failed_ids.empty()) {
    group.write<std::int64_t>("failed_trajectory", {failed_ids.size()}, failed_ids);
    group.write<std::int64_t>("failed_step", {failed_steps.size()}, failed_steps);
    group.write_strings("failed_reason", reasons);
  }
}

}  // namespace

std::vector<std::pair<std::string, double>> scalars_of(const DatagenPlan& plan, const SolverInfo& info) {
  auto scalars = info.scalars;
  scalars.insert(scalars.end(), {{"dt", info.dt},
                                 {"save_interval", info.dt * static_cast<double>(plan.steps_per_frame)},
                                 {"nx_solver", static_cast<double>(info.axes.back().coordinates.size())},
                                 {"downsample", static_cast<double>(plan.coarsen.factor)}});
  return scalars;
}

std::int64_t chunk_frames(std::int64_t frames, std::size_t frame_values) {
  constexpr std::int64_t kFrames = 16, kBytes = 4 << 20;
  const auto fitting = kBytes / static_cast<std::int64_t>(frame_values * sizeof(float));
  return std::clamp<std::int64_t>(fitting, 1, std::min(frames, kFrames));
}

std::uint64_t frame_hash(std::span<const float> fields) {
  return fnv1a({reinterpret_cast<const char*>(fields.data()), fields.size_bytes()});
}

void write_well_file(const std::filesystem::path& path, const WellFileInput& input, const FrameLog& log) {
  const std::vector<Axis> axes = coarse_axes(input.info, input.plan.coarsen);
  std::size_t points = 1;
  for (const Axis& axis : axes) points *= axis.coordinates.size();
  const std::int64_t chunk = chunk_frames(input.plan.frames, points);
  const std::vector<Sample> samples = samples_of(input);

  h5::File file = h5::File::create(path, true);
  write_root_attributes(file, input, static_cast<std::int64_t>(samples.size()));
  write_parameters(file, input);
  auto scales = write_dimensions(file, input, axes, samples);
  write_boundaries(file, axes);
  auto fields = create_fields(file, input, axes, scales, samples.size(), chunk);
  h5::Group provenance = write_provenance(file, input.info, input.identity, input.plan.seed);
  const auto hashes = copy_frames(input, log, samples, fields, axes, chunk);
  write_sample_provenance(provenance, input, samples, scales, hashes);
  file.flush();
  const std::vector<std::uint8_t> complete(samples.size(), 1);
  provenance.write<std::uint8_t>("complete", {complete.size()}, complete).attach_scale(0, scales.front());
  file.flush();
  file.close();
}

}  // namespace sns
