#pragma once
// What lies beside the data for those who look for data sets: a card for people, metadata for The Well's tools.
#include "datagen/manifest.hpp"
#include "datagen/plan.hpp"

#include <string>
#include <vector>

namespace sns {

/// README.md of the data set, with a YAML head as dataset hubs read it.
std::string card(const DatagenPlan& plan, const SolverInfo& info, const std::vector<FileRecord>& records,
                 const std::string& identity);

/// "<name>.yaml", beside config.yaml and stats.yaml.
std::string metadata_file(const std::string& name);
/// Its text: the fields of The Well's WellMetadata, over all files of all splits.
std::string metadata_yaml(const DatagenPlan& plan, const SolverInfo& info,
                          const std::vector<FileRecord>& records);

}  // namespace sns
