#pragma once
#include "core/config.hpp"

#include <CLI/CLI.hpp>
#include <filesystem>
#include <string>
#include <vector>

namespace sns {

/// `FILE.yaml [key.path=value ...]`, common to all verbs that read a configuration.
struct ConfigArguments {
  std::filesystem::path file;
  std::vector<std::string> overrides;

  /// Adds the positional arguments. This object must outlive the parse.
  void add_to(CLI::App& verb);
  /// The file with the overrides applied; ConfigError if the file is missing or a value is malformed.
  Config load() const;
};

/// The top-level blocks of a configuration file apart from `used`: those that a verb lets pass unread.
std::vector<std::string> other_blocks(const std::vector<std::string>& used);

/// Adds `--time-budget SECONDS`: the verb saves its state and stops (exit code 75) when they have passed.
void add_time_budget(CLI::App& verb);

}  // namespace sns
