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

void write_errors(h5::Group& group, const std::vector<metrics::WindowError>& errors) {
  std::vector<double> ensemble, typical;
  for (const auto& error : errors) {
    for (const double v : {error.ensemble.value, error.ensemble.low, error.ensemble.high})
      ensemble.push_back(v);
    for (const double v : {error.member_median.value, error.member_median.low, error.member_median.high})
      typical.push_back(v);
  }
  group.write<double>("spectrum_error_ensemble", shape({errors.size(), 3}), ensemble);
  group.write<double>("spectrum_error_median", shape({errors.size(), 3}), typical);
}

void write_log(h5::Group& group, const metrics::RolloutLog& log) {
  group.write<std::int64_t>("past_levels", shape({log.past_levels.size()}), log.past_levels);
  group.write<std::int64_t>("present_levels", shape({log.present_levels.size()}), log.present_levels);
  write_vector(group, "past_level_by_window", log.past_by_window);
  write_vector(group, "present_level_by_window", log.present_by_window);
}

/// Comparison with the paired truth, time step by time step.
void write_paired(h5::Group& group, const std::vector<MemberRecord>& members, double interval) {
  std::vector<double> time;
  for (std::size_t i = 0; i < members[0].paired_nrmse.size(); ++i)
    time.push_back(static_cast<double>(i) * interval);
  write_vector(group, "paired_time", time);
  write_members(group, "paired_nrmse", members, [](const MemberRecord& m) { return m.paired_nrmse; });
  write_members(group, "paired_correlation", members,
                [](const MemberRecord& m) { return m.paired_correlation; });
}

/// Scores of an ensemble, time step by time step; nothing where there is none.
void write_ensemble(h5::Group& group, const JudgedField& field, int members) {
  const auto write = [&](const std::string& name, std::vector<double> metrics::EnsembleRecord::*series,
                         const auto& shown) {
    std::vector<double> all;
    for (const auto& record : field.ensemble)
      for (const double value : record.*series) all.push_back(shown(value));
    if (!all.empty())
      group.write<double>(name, shape({field.ensemble.size(), all.size() / field.ensemble.size()}), all);
  };
  const double finite_size = (members + 1.0) / members;
  write("ensemble_crps", &metrics::EnsembleRecord::crps, [](double v) { return v; });
  write("ensemble_spread", &metrics::EnsembleRecord::variance,
        [&](double v) { return std::sqrt(finite_size * v); });
  write("ensemble_error", &metrics::EnsembleRecord::squared_error, [](double v) { return std::sqrt(v); });
}

/// Field `f` of a forecast without dynamics.
void write_ceiling(h5::Group group, const Judged& ceiling, std::size_t f,
                   const metrics::TruthReference& reference) {
  write_paired(group, ceiling.fields[f].members, reference.interval);
  write_ensemble(group, ceiling.fields[f], 1);
}

/// Field `f` of a judged set.
void write_judged(h5::Group group, const Judged& judged, std::size_t f, const Evaluation& evaluation) {
  const JudgedField& field = judged.fields[f];
  const auto& members = field.members;
  const metrics::TruthReference& reference = *evaluation.fields[f].reference;
  const double interval = reference.interval;
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
  const std::size_t bins = reference.wavenumbers.size();
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

  std::vector<double> series_time = metrics::series_centres(judged.frames);
  for (double& time : series_time) time *= interval;
  write_vector(group, "series_time", series_time);
  write_members(group, "energy", members, [](const MemberRecord& m) { return m.energy; });
  write_members(group, "enstrophy", members, [](const MemberRecord& m) { return m.enstrophy; });
  write_members(group, "rate", members, [](const MemberRecord& m) { return m.rate; });
  write_paired(group, members, interval);
  write_members(group, "autocorrelation", members, [](const MemberRecord& m) { return m.autocorrelation; });
  write_members(group, "pdf_early", members,
                [](const MemberRecord& m) { return m.early.pixels.density(kPdfBins); });
  write_members(group, "pdf_mid", members,
                [](const MemberRecord& m) { return m.mid.pixels.density(kPdfBins); });
  write_members(group, "pdf_late", members,
                [](const MemberRecord& m) { return m.late.pixels.density(kPdfBins); });

  const metrics::TemporalRecord &begin = members[0].begin, &end = members[0].end;
  group.write<std::int64_t>("temporal_frames", shape({2, 2}),
                            std::vector<std::int64_t>{begin.first, begin.last, end.first, end.last});
  write_members(group, "autocorrelation_begin", members,
                [](const MemberRecord& m) { return m.begin.autocorrelation; });
  write_members(group, "autocorrelation_end", members,
                [](const MemberRecord& m) { return m.end.autocorrelation; });
  write_members(group, "rate_begin", members, [](const MemberRecord& m) { return m.begin.rate; });
  write_members(group, "rate_end", members, [](const MemberRecord& m) { return m.end.rate; });

  std::vector<std::int64_t> unstable, nonfinite;
  for (const auto& member : members) {
    unstable.push_back(member.first_unstable);
    nonfinite.push_back(member.first_nonfinite);
  }
  group.write<std::int64_t>("first_unstable", shape({members.size()}), unstable);
  group.write<std::int64_t>("first_nonfinite", shape({members.size()}), nonfinite);
  if (!field.errors.empty()) write_errors(group, field.errors);
  if (judged.log) write_log(group, *judged.log);
  write_ensemble(group, field, judged.ensemble_members);
  if (!field.snapshots.frames.empty()) {
    const auto points = static_cast<std::size_t>(evaluation.flow.points);
    const std::size_t columns = field.snapshots.frames.size();
    group.write<std::int64_t>("snapshot_frames", shape({columns}), field.snapshots.frames);
    group.write<float>("snapshots", shape({columns, points, points}), field.snapshots.values);
  }
}

void write_field(h5::Group group, std::size_t f, const Evaluation& evaluation) {
  const auto& reference = *evaluation.fields[f].reference;
  const auto& yardstick = evaluation.fields[f].yardstick;
  group.set_attribute("units", evaluation.flow.units[f]);
  group.set_attribute("field_mean", yardstick.mean);
  group.set_attribute("field_std", yardstick.standard_deviation);
  std::vector<bool> compared(reference.wavenumbers.size(), false);
  for (const std::size_t i : reference.mask.bins) compared[i] = true;
  group.write_booleans("compared", compared);
  write_vector(group, "truth_spectrum", reference.spectrum);
  write_vector(group, "truth_pdf", reference.pixels.density(kPdfBins));
  write_judged(group.make_group("truth"), evaluation.truth, f, evaluation);
  if (evaluation.floor) write_judged(group.make_group("floor"), *evaluation.floor, f, evaluation);
  h5::Group ceilings = group.make_group("ceiling");
  for (const Judged& ceiling : evaluation.ceilings)
    write_ceiling(ceilings.make_group(ceiling.name), ceiling, f, reference);
  if (evaluation.solver_ensemble) {
    h5::Group solver = group.make_group("solver_ensemble");
    write_ensemble(solver, evaluation.solver_ensemble->fields[f], evaluation.solver_ensemble->ensemble_members);
  }
  h5::Group methods = group.make_group("method");
  for (const auto& method : evaluation.methods)
    write_judged(methods.make_group(method.name), method, f, evaluation);
}

void write_file(const Evaluation& evaluation, const std::filesystem::path& path) {
  auto file = h5::File::create(path);
  const auto& reference = *evaluation.fields.front().reference;
  file.set_attribute("interval", reference.interval);
  file.set_attribute("time_units", evaluation.flow.time_units);
  file.set_attribute("length", evaluation.flow.length);
  file.set_attribute("axes", evaluation.flow.axes);
  file.set_attribute("fields", evaluation.flow.fields);
  file.set_attribute("spectrum", evaluation.inputs.config.spectrum);
  std::vector<std::string> methods;
  for (const auto& method : evaluation.methods) methods.push_back(method.name);
  file.set_attribute("methods", methods);

  write_vector(file, "wavenumber", reference.wavenumbers);
  std::vector<double> centres, lags;
  const double width = 2 * metrics::Distribution::kReach / kPdfBins;
  for (int i = 0; i < kPdfBins; ++i) centres.push_back(-metrics::Distribution::kReach + (i + 0.5) * width);
  for (std::size_t i = 0; i < reference.autocorrelation.size(); ++i)
    lags.push_back(static_cast<double>(i) * reference.interval);
  write_vector(file, "pdf_value", centres);
  write_vector(file, "lag", lags);
  h5::Group fields = file.make_group("field");
  for (std::size_t f = 0; f < evaluation.fields.size(); ++f)
    write_field(fields.make_group(evaluation.flow.fields[f]), f, evaluation);
  file.close();
}

}  // namespace

void write_curves(const Evaluation& evaluation, const std::filesystem::path& file) {
  write_atomically(file, [&](const std::filesystem::path& temporary) { write_file(evaluation, temporary); });
}

}  // namespace sns
