#include "datagen/provenance.hpp"

#include "core/build_info.hpp"

#include <cstdlib>

namespace sns {

h5::Group write_provenance(h5::Group& root, const SolverInfo& info, const std::string& config_yaml,
                           std::uint64_t seed) {
  h5::Group group = root.make_group("provenance");
  const BuildInfo& build = build_info();
  group.set_attribute("sns_version", build.version);
  group.set_attribute("git_commit", build.git_commit);
  group.set_attribute("git_dirty", build.git_dirty);
  group.set_attribute("compiler", build.compiler + " " + build.flags);
  group.set_attribute("fft_backend", info.backend);
  group.set_attribute("precision", info.precision);
  group.set_attribute("hostname_hash", hostname_hash());
  group.set_attribute("created_utc", utc_now());
  group.set_attribute("config_yaml", config_yaml);
  group.set_attribute("run_seed", seed);
  for (const char* variable : {"SLURM_JOB_ID", "SLURM_RESTART_COUNT"}) {
    if (const char* value = std::getenv(variable)) group.set_attribute(variable, std::string(value));
  }
  return group;
}

h5::Dataset write_scale(h5::Group& parent, const std::string& name, std::span<const double> values,
                        const std::string& units) {
  h5::Dataset dataset = parent.write<double>(name, {values.size()}, values);
  dataset.set_attribute("units", units);
  dataset.make_scale(name);
  return dataset;
}

}  // namespace sns
