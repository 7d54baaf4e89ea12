#include "experiments/overlay.hpp"

#include "core/config.hpp"
#include "core/config_tree.hpp"
#include "core/config_values.hpp"
#include "core/error.hpp"
#include "core/files.hpp"

#include <algorithm>

namespace sns {

namespace {

namespace fs = std::filesystem;
using detail::Value;

const Value* child(const Value* value, const std::string& key) {
  if (value == nullptr || value->type != Value::Type::map) return nullptr;
  const auto found = std::find_if(value->entries.begin(), value->entries.end(),
                                  [&](const detail::Entry& entry) { return entry.key == key; });
  return found == value->entries.end() ? nullptr : found->value.get();
}

/// Appends path=value for every leaf of `overlay`; `base` is what the experiment has at the same path.
void flatten(const Value& overlay, const Value* base, const std::string& path, std::vector<std::string>& out) {
  const bool named_entries = path == "models" || path == "rollout.methods";
  for (const auto& entry : overlay.entries) {
    const Value* below = child(base, entry.key);
    const bool optional_block = path.empty() && (entry.key == "oracle" || entry.key == "video");
    if ((named_entries || optional_block) && below == nullptr) continue;
    const std::string full = path.empty() ? entry.key : path + "." + entry.key;
    if (entry.value->type == Value::Type::map && !detail::is_choice(*entry.value))
      flatten(*entry.value, below, full, out);
    else
      out.push_back(full + "=" + detail::to_flow_yaml(*entry.value));
  }
}

}  // namespace

bool has_one_size(const fs::path& experiment) {
  const auto file = detail::load_yaml(experiment);
  const Value* given = child(child(file.get(), "run"), "one_size");
  return given != nullptr && given->text == "true";
}

fs::path find_scale(const fs::path& experiment, const std::string& name) {
  // A file of the working directory that happens to be called like a scale is none.
  const bool path = name.find('/') != std::string::npos || name.ends_with(".yaml");
  if (path && fs::is_regular_file(name)) return name;
  if (has_one_size(experiment))
    fail<ConfigError>(
        "{} has one size (run.one_size): its numbers belong together, and --scale {} is not for it",
        experiment.string(), name);
  for (fs::path folder = fs::absolute(experiment).parent_path();; folder = folder.parent_path()) {
    const fs::path scales = folder / "scales";
    if (fs::is_directory(scales)) {
      fs::path file = scales / (name + ".yaml");
      if (fs::is_regular_file(file)) return file;
      std::vector<std::string> known;
      for (const auto& entry : fs::directory_iterator(scales))
        if (entry.path().extension() == ".yaml") known.push_back(entry.path().stem().string());
      std::sort(known.begin(), known.end());
      std::string list;
      for (const std::string& scale : known) list += (list.empty() ? "" : ", ") + scale;
      fail<ConfigError>("there is no scale '{}' in {} (have: {})", name, scales.string(), list);
    }
    if (folder == folder.parent_path()) break;
  }
  fail<ConfigError>("there is no folder 'scales' beside or above {}: give the overlay's file",
                    experiment.string());
}

std::vector<std::string> scale_overrides(const fs::path& experiment, const fs::path& overlay,
                                         const std::vector<std::string>& typed) {
  const auto base = detail::load_yaml(experiment);
  const auto values = detail::parse_yaml(read_text(overlay), overlay.string());
  std::vector<std::string> out;
  flatten(*values, base.get(), "", out);
  const Value* run = child(base.get(), "run");
  const Value* output = child(run, "output");
  const Value* name = child(run, "name");
  if (child(child(values.get(), "run"), "output") == nullptr) {
    std::string called = name != nullptr ? name->text : "run";
    constexpr std::string_view kName = "run.name=";
    for (const std::string& text : typed)
      if (text.starts_with(kName))
        called = child(detail::parse_yaml("name: " + text.substr(kName.size()), text).get(), "name")->text;
    const std::string folder = output != nullptr ? output->text : "runs/" + called;
    out.push_back(fmt::format("run.output=\"{}-{}\"", folder, overlay.stem().string()));
  }
  return out;
}

}  // namespace sns
