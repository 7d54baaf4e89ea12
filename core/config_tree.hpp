#pragma once
// The parsed YAML file before any meaning: what Section reads from. Internal to sns_core.
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace sns::detail {

struct Value;

/// `where` of entries that overrides brought in.
inline constexpr const char* kCommandLine = "from the command line";

/// One `key: value` of a map, or one item of a list (empty key).
struct Entry {
  std::string key;
  std::string where;  ///< "file.yaml:12" or "from the command line"
  std::shared_ptr<Value> value;
};

struct Value {
  enum class Type { null, scalar, list, map };
  Type type = Type::null;
  std::string text;      ///< of a scalar
  bool quoted = false;   ///< a quoted scalar is a string, whatever it looks like
  bool implied = false;  ///< a map that an override made because it puts a key into it
  std::vector<Entry> entries;

  /// Entry of a map by key; nullptr if absent.
  Entry* find(std::string_view key);
};

/// Parses one YAML document, an empty one being an empty map. ConfigError (file, line, column) for syntax
/// errors, repeated keys, tags and anything but a map at the top.
std::shared_ptr<Value> parse_yaml(const std::string& yaml, const std::string& name);

/// As parse_yaml, of a file. Its key `base` names another file, relative to its own folder, that this one
/// changes keys of: see merge. The base may have a base itself. ConfigError also for a file that cannot be
/// read, and for files that are each other's base.
std::shared_ptr<Value> load_yaml(const std::filesystem::path& file);

/// A copy that shares nothing with the value.
std::shared_ptr<Value> copy(const Value& value);

/// Puts `changes` into `base`: maps are merged key by key, except choices below the top, which replace what is
/// there; everything else replaces; null takes a map out. Entries keep the place they were written at.
void merge(Value& base, const Value& changes);

/// {name: cosine}, {sampling: low, ...}, {kind: sns, ...}: a choice with its settings. It replaces another one
/// as a whole, since the settings of one mean nothing to the other.
bool is_choice(const Value& value);

/// Applies one `key.path=value` of the command line; maps on the way are made, and null takes a map out, as in
/// merge.
void apply_override(Value& root, const std::string& assignment);

}  // namespace sns::detail
