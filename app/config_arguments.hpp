#pragma once
#include "core/config.hpp"

#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace sns {

/// `FILE.yaml [key.path=value ...] [--scale NAME]`, common to all verbs that read a configuration.
struct ConfigArguments {
  std::filesystem::path file;
  std::vector<std::string> overrides;
  std::string scale;

  /// Adds the arguments. This object must outlive the parse.
  void add_to(CLI::App& verb);
  /// The file, then the scale's values, then the overrides; ConfigError if the file is missing, a value is
  /// malformed, or an override is of no block's keys.
  Config load() const;
  /// "sns <verb> FILE --scale NAME key=value": as typed, for reports and messages.
  std::string command(const std::string& verb) const;
};

/// For options that take numbers from `least` on.
CLI::Validator at_least(std::int64_t least);

/// The top-level blocks of a configuration file apart from `used`: those that a verb lets pass unread.
std::vector<std::string> other_blocks(const std::vector<std::string>& used);

/// Adds `--time-budget SECONDS`: the verb saves its state and stops (exit code 75) when they have passed.
void add_time_budget(CLI::App& verb);

}  // namespace sns
