#include "datagen/diagnostics_file.hpp"

#include "core/stop.hpp"
#include "datagen/provenance.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <span>

namespace sns {
namespace {

constexpr std::size_t kPassValues = std::size_t{1} << 19;  ///< held in memory while a file is written or read

/// The data set of a diagnostic, and where its values lie in a member's record.
struct Part {
  DiagnosticInfo info;
  h5::Shape axes;
  std::size_t offset, values;
};

/// Moves values between records[time][member][all parts] and slabs[time][values of a part] of one member.
class Records {
 public:
  Records(const SimulatePlan& plan, const SolverInfo& info) : members_(static_cast<std::size_t>(plan.members)) {
    for (const DiagnosticInfo& diagnostic : written_diagnostics(plan, info)) {
      Part part{diagnostic, {}, values_, value_count(diagnostic, info)};
      for (const std::string& name : diagnostic.axes)
        for (const Axis& axis : info.diagnostic_axes)
          if (axis.name == name) part.axes.push_back(axis.coordinates.size());
      values_ += part.values;
      parts_.push_back(part);
    }
  }

  const std::vector<Part>& parts() const { return parts_; }
  std::size_t members() const { return members_; }
  std::size_t record_values() const { return members_ * values_; }
  /// Times that are moved at once.
  std::int64_t pass() const {
    return static_cast<std::int64_t>(
        std::max<std::size_t>(1, kPassValues / std::max<std::size_t>(1, record_values())));
  }

  static h5::Shape offset(const Part& part, std::size_t member, std::int64_t time) {
    h5::Shape shape{member, static_cast<std::uint64_t>(time)};
    shape.resize(2 + part.axes.size(), 0);
    return shape;
  }
  static h5::Shape extent(const Part& part, std::size_t members, std::int64_t times) {
    h5::Shape shape{members, static_cast<std::uint64_t>(times)};
    shape.insert(shape.end(), part.axes.begin(), part.axes.end());
    return shape;
  }

  std::vector<double> gather(std::span<const double> records, std::int64_t times, const Part& part,
                             std::size_t member) const {
    std::vector<double> slab;
    for (std::size_t t = 0; t < static_cast<std::size_t>(times); ++t) {
      const auto values = records.subspan(at(t, member, part), part.values);
      slab.insert(slab.end(), values.begin(), values.end());
    }
    return slab;
  }
  void scatter(std::span<const double> slab, std::int64_t times, const Part& part, std::size_t member,
               std::span<double> records) const {
    for (std::size_t t = 0; t < static_cast<std::size_t>(times); ++t)
      std::copy_n(slab.begin() + static_cast<std::ptrdiff_t>(t * part.values), part.values,
                  records.begin() + static_cast<std::ptrdiff_t>(at(t, member, part)));
  }

 private:
  std::size_t at(std::size_t time, std::size_t member, const Part& part) const {
    return (time * members_ + member) * values_ + part.offset;
  }

  std::vector<Part> parts_;
  std::size_t members_, values_ = 0;
};

std::map<std::string, h5::Dataset> write_axes(h5::Group& group, const SolverInfo& info) {
  std::map<std::string, h5::Dataset> scales;
  for (const Axis& axis : info.diagnostic_axes)
    scales[axis.name] = info.stacked && axis.name == info.stacked->axis
                            ? write_numbers(group, axis.name, axis.coordinates.size())
                            : write_scale(group, axis.name, axis.coordinates, axis.units);
  return scales;
}

}  // namespace

void write_diagnostics(h5::File& file, const SimulatePlan& plan, const SolverInfo& info, const FrameLog& log,
                       const h5::Dataset& member_scale, const h5::Dataset& time_scale) {
  h5::Group group = file.make_group("diagnostics");
  h5::Dataset time = time_scale;
  if (plan.diagnostics_every != plan.every) {
    time = write_scale(group, "time", record_times(log.records(), plan.diagnostics_every, info.dt),
                       info.time_units);
  }
  std::map<std::string, h5::Dataset> axes;
  if (plan.arrays) axes = write_axes(group, info);
  const Records layout(plan, info);
  std::vector<h5::Dataset> datasets;
  for (const Part& part : layout.parts()) {
    h5::Dataset dataset =
        group.create<double>(part.info.name, Records::extent(part, layout.members(), log.records()));
    dataset.set_attribute("units", part.info.units);
    dataset.set_attribute("long_name", part.info.long_name);
    dataset.attach_scale(0, member_scale);
    dataset.attach_scale(1, time);
    for (std::size_t axis = 0; axis < part.axes.size(); ++axis)
      dataset.attach_scale(static_cast<int>(axis) + 2, axes.at(part.info.axes[axis]));
    datasets.push_back(dataset);
  }
  std::vector<double> records(static_cast<std::size_t>(layout.pass()) * layout.record_values());
  for (std::int64_t first = 0; first < log.records(); first += layout.pass()) {
    throw_if_stopped("while diagnostics were written");
    const std::int64_t times = std::min(layout.pass(), log.records() - first);
    log.read(first, times, std::as_writable_bytes(std::span(records)));
    for (std::size_t p = 0; p < datasets.size(); ++p)
      for (std::size_t member = 0; member < layout.members(); ++member) {
        const Part& part = layout.parts()[p];
        datasets[p].write_slab<double>(Records::offset(part, member, first), Records::extent(part, 1, times),
                                       layout.gather(records, times, part, member));
      }
  }
}

void read_diagnostics(const h5::File& file, const SimulatePlan& plan, const SolverInfo& info, FrameLog& log) {
  const Records layout(plan, info);
  const h5::Group group = file.group("diagnostics");
  const auto count = static_cast<std::int64_t>(group.dataset(layout.parts().front().info.name).shape().at(1));
  std::vector<double> records(static_cast<std::size_t>(layout.pass()) * layout.record_values());
  for (std::int64_t first = 0; first < count; first += layout.pass()) {
    throw_if_stopped("while diagnostics were read");
    const std::int64_t times = std::min(layout.pass(), count - first);
    for (const Part& part : layout.parts()) {
      const h5::Dataset dataset = group.dataset(part.info.name);
      std::vector<double> slab(static_cast<std::size_t>(times) * part.values);
      for (std::size_t member = 0; member < layout.members(); ++member) {
        dataset.read_slab<double>(Records::offset(part, member, first), Records::extent(part, 1, times), slab);
        layout.scatter(slab, times, part, member, records);
      }
    }
    log.append(std::as_bytes(
        std::span<const double>(records).first(static_cast<std::size_t>(times) * layout.record_values())));
  }
}

std::vector<double> record_times(std::int64_t count, std::int64_t every, double dt) {
  std::vector<double> values(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<double>(i) * static_cast<double>(every) * dt;
  return values;
}

h5::Dataset write_numbers(h5::Group& group, const std::string& name, std::size_t count) {
  std::vector<std::int64_t> numbers(count);
  std::iota(numbers.begin(), numbers.end(), 1);
  h5::Dataset scale = group.write<std::int64_t>(name, {count}, numbers);
  scale.make_scale(name);
  return scale;
}

}  // namespace sns
