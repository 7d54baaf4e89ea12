#include "core/files.hpp"
#include "core/hdf5.hpp"
#include "experiments/evaluation.hpp"

#include <cmath>

namespace sns {
namespace {

using metrics::MemberRecord;
using metrics::WindowRecord;

constexpr int kPdfBins = 512;

h5::Shape shape(std::initializer_list<std::size_t> extents) {
  return {extents.begin(), extents.end()};
}

void write_vector(h5::Group& group, const std::string& name, const std::vector<double>& values) {
  group.write<double>(name, shape({values.size()}), values);
}

/// [member][n] from one vector per member.
template <class Get>
void write_members(h5::Group& group, const std::string& name, const std::vector<MemberRecord>& members,
                   const Get& get) {
  std::vector<double> all;
  std::size_t width = 0;
  for (const auto& member : members) {
    const std::vector<double> values = get(member);
    width = values.size();
    all.insert(all.end(), values.begin(), values.end());
  }
  group.write<double>(name, shape({members.size(), width}), all);
}

template <class Get>
void write_windows(h5::Group& group, const std::string& name, const std::vector<MemberRecord>& members,
                   const Get& get) {
  write_members(group, name, members, [&](const MemberRecord& member) {
    std::vector<double> values;
    for (const WindowRecord& window : member.windows) values.push_back(get(window));
    return values;
  });
}

void write_errors(h5::Group& group, const Judged& judged) {
  std::vector<double> ensemble, typical;
  for (const auto& error : judged.errors) {
    for (const double v : {error.ensemble.value, error.ensemble.low, error.ensemble.high})
      ensemble.push_back(v);
    for (const double v : {error.member_median.value, error.member_median.low, error.member_median.high})
      typical.push_back(v);
  }
  group.write<double>("spectrum_error_ensemble", shape({judged.errors.size(), 3}), ensemble);
  group.write<double>("spectrum_error_median", shape({judged.errors.size(), 3}), typical);
}

void write_log(h5::Group& group, const metrics::RolloutLog& log) {
  group.write<std::int64_t>("past_levels", shape({log.past_levels.size()}), log.past_levels);
  group.write<std::int64_t>("present_levels", shape({log.present_levels.size()}), log.present_levels);
  write_vector(group, "past_level_by_window", log.past_by_window);
  write_vector(group, "present_level_by_window", log.present_by_window);
}

void write_judged(h5::Group group, const Judged& judged, const Evaluation& evaluation) {
  const auto& members = judged.members;
  const double interval = evaluation.reference->interval;
  group.set_attribute("name", judged.name);
  group.set_attribute("members", static_cast<std::int64_t>(members.size()));
  group.set_attribute("frames", judged.frames);
  group.write<std::int64_t>("member", shape({judged.ids.size()}), judged.ids);

  const auto windows = metrics::make_windows(judged.frames, evaluation.inputs.config.window);
  std::vector<std::int64_t> bounds;
  for (const auto& window : windows) {
    bounds.push_back(window.first);
    bounds.push_back(window.last);
  }
  group.write<std::int64_t>("window_frames", shape({windows.size(), 2}), bounds);
  const std::size_t bins = evaluation.reference->wavenumbers.size();
  std::vector<double> spectra;
  for (const auto& member : members)
    for (const auto& window : member.windows)
      spectra.insert(spectra.end(), window.spectrum.begin(), window.spectrum.end());
  group.write<double>("window_spectra", shape({members.size(), windows.size(), bins}), spectra);
  write_windows(group, "window_finite", members, [](const WindowRecord& w) {
    return static_cast<double>(w.finite) / static_cast<double>(w.frames);
  });
  write_windows(group, "window_rate", members, [](const WindowRecord& w) { return w.rate; });
  write_windows(group, "window_energy", members, [](const WindowRecord& w) { return w.energy; });
  write_windows(group, "window_enstrophy", members, [](const WindowRecord& w) { return w.enstrophy; });

  std::vector<double> series_time, paired_time;
  const std::int64_t stride = metrics::series_stride(judged.frames);
  for (std::size_t i = 0; i < members[0].energy.size(); ++i)
    series_time.push_back(static_cast<double>(static_cast<std::int64_t>(i) * stride) * interval);
  for (std::size_t i = 0; i < members[0].paired_nrmse.size(); ++i)
    paired_time.push_back(static_cast<double>(i) * interval);
  write_vector(group, "series_time", series_time);
  write_members(group, "energy", members, [](const MemberRecord& m) { return m.energy; });
  write_members(group, "enstrophy", members, [](const MemberRecord& m) { return m.enstrophy; });
  write_members(group, "rate", members, [](const MemberRecord& m) { return m.rate; });
  write_vector(group, "paired_time", paired_time);
  write_members(group, "paired_nrmse", members, [](const MemberRecord& m) { return m.paired_nrmse; });
  write_members(group, "paired_correlation", members,
                [](const MemberRecord& m) { return m.paired_correlation; });
  write_members(group, "autocorrelation", members, [](const MemberRecord& m) { return m.autocorrelation; });
  write_members(group, "pdf_early", members, [](const MemberRecord& m) { return m.early.density(kPdfBins); });
  write_members(group, "pdf_mid", members, [](const MemberRecord& m) { return m.mid.density(kPdfBins); });
  write_members(group, "pdf_late", members, [](const MemberRecord& m) { return m.late.density(kPdfBins); });

  std::vector<std::int64_t> unstable, nonfinite;
  for (const auto& member : members) {
    unstable.push_back(member.first_unstable);
    nonfinite.push_back(member.first_nonfinite);
  }
  group.write<std::int64_t>("first_unstable", shape({members.size()}), unstable);
  group.write<std::int64_t>("first_nonfinite", shape({members.size()}), nonfinite);
  if (!judged.errors.empty()) write_errors(group, judged);
  if (judged.log) write_log(group, *judged.log);
  if (!judged.snapshots.frames.empty()) {
    const auto points = static_cast<std::size_t>(evaluation.points);
    const std::size_t columns = judged.snapshots.frames.size();
    group.write<std::int64_t>("snapshot_frames", shape({columns}), judged.snapshots.frames);
    group.write<float>("snapshots", shape({columns, points, points}), judged.snapshots.values);
  }
}

void write_file(const Evaluation& evaluation, const std::filesystem::path& path) {
  auto file = h5::File::create(path);
  const auto& reference = *evaluation.reference;
  file.set_attribute("interval", reference.interval);
  file.set_attribute("length", evaluation.length);
  file.set_attribute("field_mean", evaluation.yardstick.mean);
  file.set_attribute("field_std", evaluation.yardstick.standard_deviation);
  file.set_attribute("spectrum", evaluation.inputs.config.spectrum);
  std::vector<std::string> methods;
  for (const auto& method : evaluation.methods) methods.push_back(method.name);
  file.set_attribute("methods", methods);

  write_vector(file, "wavenumber", reference.wavenumbers);
  std::vector<bool> compared(reference.wavenumbers.size(), false);
  for (const std::size_t i : reference.mask.bins) compared[i] = true;
  file.write_booleans("compared", compared);
  write_vector(file, "truth_spectrum", reference.spectrum);
  write_vector(file, "truth_pdf", reference.pixels.density(kPdfBins));
  std::vector<double> centres, lags;
  const double width = 2 * metrics::Distribution::kReach / kPdfBins;
  for (int i = 0; i < kPdfBins; ++i) centres.push_back(-metrics::Distribution::kReach + (i + 0.5) * width);
  for (std::size_t i = 0; i < reference.autocorrelation.size(); ++i)
    lags.push_back(static_cast<double>(i) * reference.interval);
  write_vector(file, "pdf_value", centres);
  write_vector(file, "lag", lags);

  write_judged(file.make_group("truth"), evaluation.truth, evaluation);
  if (evaluation.floor) write_judged(file.make_group("floor"), *evaluation.floor, evaluation);
  for (const auto& method : evaluation.methods)
    write_judged(file.make_group("method/" + method.name), method, evaluation);
  file.close();
}

}  // namespace

void write_curves(const Evaluation& evaluation, const std::filesystem::path& file) {
  write_atomically(file, [&](const std::filesystem::path& temporary) { write_file(evaluation, temporary); });
}

}  // namespace sns
