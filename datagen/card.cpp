#include "datagen/card.hpp"

#include "core/build_info.hpp"
#include "core/config_values.hpp"
#include "core/error.hpp"
#include "datagen/well_file.hpp"

#include <algorithm>
#include <map>

namespace sns {

std::string card(const DatagenPlan& plan, const SolverInfo& info, const std::vector<FileRecord>& records,
                 const std::string& identity) {
  std::int64_t samples = 0;
  std::uint64_t bytes = 0;
  std::map<std::string, std::pair<std::int64_t, std::int64_t>> splits;  // samples, files
  for (const FileRecord& r : records) {
    samples += r.samples;
    bytes += r.bytes;
    splits[r.group.split].first += r.samples;
    splits[r.group.split].second += r.path.empty() ? 0 : 1;
  }
  const char* size = samples < 1'000       ? "n<1K"
                     : samples < 10'000    ? "1K<n<10K"
                     : samples < 100'000   ? "10K<n<100K"
                     : samples < 1'000'000 ? "100K<n<1M"
                                           : "1M<n<10M";
  std::string licence = plan.licence;
  std::transform(licence.begin(), licence.end(), licence.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  std::string text = fmt::format(
      "---\nlicense: {}\npretty_name: {}\ntags:\n- physics\n- fluid-dynamics\n- chaos\n- "
      "{}\nsize_categories:\n- {}\n"
      "task_categories:\n- time-series-forecasting\n---\n\n# {}\n\n{}\n\n    {}\n\n",
      detail::to_yaml(licence), plan.name, info.system, size, plan.name, info.title, info.pde);
  std::string grid;
  for (const Axis& axis : coarse_axes(info, plan.coarsen)) {
    grid += fmt::format("{}{} ({})", grid.empty() ? "" : " x ", axis.coordinates.size(), axis.name);
  }
  std::string fields;
  for (const FieldInfo& f : info.fields)
    fields += fmt::format("{}`{}` [{}]", fields.empty() ? "" : ", ", f.name, f.units);
  text += fmt::format("- fields: {}, float32, dimensions (sample, time, {}, {})\n- grid: {}\n", fields,
                      info.axes.front().name, info.axes.back().name, grid);
  text += fmt::format("- {} frames per sample, {} apart; {} in all\n", plan.frames,
                      time_text(info.dt * static_cast<double>(plan.steps_per_frame), info),
                      human_bytes(static_cast<double>(bytes)));
  for (const auto& [split, counts] : splits) {
    text += fmt::format("- {}: {} samples in {} files\n", split, counts.first, counts.second);
  }
  text += fmt::format(
      "\nSplits are by trajectory. The layout is a superset of The Well's: files open in h5py, "
      "`xarray.open_dataset` and\nThe Well's `WellDataset(path=..., well_split_name=\"{}\")`. `stats.yaml` "
      "holds mean, "
      "std and rms of every field and of\nits frame-to-frame differences; `MANIFEST.jsonl` a checksum of every "
      "file "
      "(`sns verify` checks them).\n\nMade by sns {} (commit {}) from\n\n```yaml\n{}```\n",
      plan.splits.front().name, build_info().version, build_info().git_commit, identity);
  return text;
}

std::string metadata_file(const std::string& name) {
  return name + ".yaml";
}

std::string metadata_yaml(const DatagenPlan& plan, const SolverInfo& info,
                          const std::vector<FileRecord>& records) {
  using detail::to_yaml;
  std::vector<std::uint64_t> resolution;
  for (const Axis& axis : coarse_axes(info, plan.coarsen)) resolution.push_back(axis.coordinates.size());
  std::vector<std::string> scalars, fields;
  for (const auto& [name, value] : scalars_of(plan, info)) scalars.push_back(name);
  for (const FieldInfo& field : info.fields) fields.push_back(field.name);
  std::vector<std::int64_t> samples;
  for (const FileRecord& record : records) {
    if (!record.path.empty()) samples.push_back(record.samples);
  }
  const std::vector<std::int64_t> steps(samples.size(), plan.frames);
  return fmt::format(
      "dataset_name: {}\nn_spatial_dims: {}\nspatial_resolution: {}\nscalar_names: []\n"
      "constant_scalar_names: {}\nfield_names:\n  0: {}\n  1: []\n  2: []\n"
      "constant_field_names:\n  0: []\n  1: []\n  2: []\nboundary_condition_types: [PERIODIC]\n"
      "n_files: {}\nn_trajectories_per_file: {}\nn_steps_per_trajectory: {}\ngrid_type: cartesian\n",
      to_yaml(plan.name), resolution.size(), to_yaml(resolution), to_yaml(scalars), to_yaml(fields),
      samples.size(), to_yaml(samples), to_yaml(steps));
}

}  // namespace sns
