#pragma once
#include "app/config_arguments.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace sns {

/// A YAML file that lists experiments (yaml/paper.yaml): they are made one after the other, or together
/// (--jobs), and shown on one page.
struct Collection {
  std::string title;
  std::filesystem::path output;              ///< folder of the page
  std::vector<ConfigArguments> experiments;  ///< with the scale and the overrides of the collection
};

/// The collection that a file holds; nullopt for a file without the key `experiments`. Files of experiments are
/// relative to it, and the page goes to <output>-<scale>. ConfigError for a bad one, and for overrides that
/// would put all experiments into one folder.
std::optional<Collection> read_collection(const ConfigArguments& arguments);

}  // namespace sns
