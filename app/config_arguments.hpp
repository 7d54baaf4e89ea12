#pragma once
#include "core/config.hpp"
#include "solvers/solver.hpp"

#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace sns {

/// `FILE.yaml [key.path=value ...] [--scale NAME] [--device NAME]`, common to all verbs that read a
/// configuration.
struct ConfigArguments {
  std::filesystem::path file;
  std::vector<std::string> overrides;
  std::string scale;
  std::string device;  ///< stands for run.device=NAME; empty: as the configuration says

  /// Adds the arguments. This object must outlive the parse.
  void add_to(CLI::App& verb);
  /// The file, then the scale's values, then the overrides and the device; ConfigError if the file is missing,
  /// a block is invalid, or a key is unknown, whether the verb reads the block or not.
  Config load() const;
  /// "sns <verb> FILE --scale NAME key=value": as typed, for reports and messages.
  std::string command(const std::string& verb) const;
};

/// What the solver of the file is without the overrides; none where they do not touch it, or the file alone is
/// none.
std::optional<SolverInfo> flow_of_file(const ConfigArguments& arguments);

/// For options that take numbers from `least` on.
CLI::Validator at_least(std::int64_t least);
/// Of an option whose value is not there, as that of a variable that is not set.
CLI::Validator not_empty();

/// Adds `--time-budget SECONDS`: the verb saves its state and stops (exit code 75) when they have passed.
void add_time_budget(CLI::App& verb);

}  // namespace sns
