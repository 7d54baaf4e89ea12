#include "core/config.hpp"

#include "core/config_tree.hpp"
#include "core/config_values.hpp"

#include <algorithm>
#include <type_traits>
#include <utility>

namespace sns {
namespace detail {

/// What was asked of one map, in order.
struct ConfigNode {
  struct Record {
    std::string key;
    bool read = false;                               ///< false: only looked for with has(), or set aside
    bool aside = false;                              ///< known, but without effect here
    std::string text;                                ///< YAML of a value
    std::shared_ptr<ConfigNode> child;               ///< or a nested map
    std::vector<std::shared_ptr<ConfigNode>> items;  ///< or a list of maps
    bool is_list = false;
  };
  std::string path;
  std::string where;
  std::shared_ptr<Value> value;  ///< nullptr where the file has no such map
  std::vector<Record> records;

  Record& record(std::string_view key) {
    for (Record& r : records)
      if (r.key == key) return r;
    records.push_back({});
    records.back().key = key;
    return records.back();
  }
  Record& record_value(std::string_view key, std::string text) {
    Record& r = record(key);
    r.read = true;
    r.text = std::move(text);
    return r;
  }
  const Record* find_record(std::string_view key) const {
    for (const Record& r : records)
      if (r.key == key) return &r;
    return nullptr;
  }
  Entry* find(std::string_view key) const { return value ? value->find(key) : nullptr; }
  std::string full(std::string_view key) const {
    return path.empty() ? std::string(key) : fmt::format("{}.{}", path, key);
  }
};

}  // namespace detail

namespace {

using detail::ConfigNode;
using detail::Entry;
using detail::to_yaml;
using detail::Value;

std::string describe(const Value& value) {
  switch (value.type) {
    case Value::Type::null:
      return "empty";
    case Value::Type::list:
      return "a list";
    case Value::Type::map:
      return "a map";
    case Value::Type::scalar:
      break;
  }
  return fmt::format("'{}'", value.text);
}

template <class T>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {};
template <class T>
struct IsOptional : std::false_type {};
template <class T>
struct IsOptional<std::optional<T>> : std::true_type {};

/// Reads an entry into `out` and applies the rule; ConfigError with path and place otherwise.
template <class T>
void read_entry(const Entry& entry, const std::string& path, T& out, const RuleOf<T>& rule) {
  if constexpr (IsOptional<T>::value) {
    if (entry.value->type == Value::Type::null) {
      out.reset();
      return;
    }
    typename T::value_type inner{};
    read_entry(entry, path, inner, rule);
    out = std::move(inner);
  } else {
    if constexpr (IsVector<T>::value) {
      if (entry.value->type != Value::Type::list)
        fail<ConfigError>("{} must be a list, not {}  {}", path, describe(*entry.value), entry.where);
      T values;
      for (std::size_t i = 0; i < entry.value->entries.size(); ++i) {
        typename T::value_type item{};
        read_entry(entry.value->entries[i], fmt::format("{}.{}", path, i), item, {});
        values.push_back(std::move(item));
      }
      out = std::move(values);
    } else {
      const std::string expected = detail::read_value(*entry.value, out);
      if (!expected.empty())
        fail<ConfigError>("{} must be {}, not {}  {}", path, expected, describe(*entry.value), entry.where);
    }
    const std::string wrong = rule ? rule(out) : std::string();
    if (!wrong.empty()) {
      const std::string shown = entry.value->type == Value::Type::scalar ? entry.value->text : to_yaml(out);
      fail<ConfigError>("{} is {} but {}  {}", path, shown, wrong, entry.where);
    }
  }
}

void print(const ConfigNode& node, const std::string& indent, std::string& out);

void print_map(const ConfigNode& node, const std::string& indent, std::string& out) {
  std::string body;
  print(node, indent, body);
  out += body.empty() ? " {}\n" : "\n" + body;
}

void print(const ConfigNode& node, const std::string& indent, std::string& out) {
  for (const ConfigNode::Record& record : node.records) {
    if (!record.read) continue;
    out += indent + to_yaml(record.key) + ":";
    if (record.child) {
      print_map(*record.child, indent + "  ", out);
    } else if (record.is_list) {
      if (record.items.empty()) out += " []";
      out += "\n";
      for (const auto& item : record.items) {
        std::string body;
        print(*item, indent + "    ", body);
        // the first key shares the line of the dash
        if (body.empty())
          out += indent + "  - {}\n";
        else
          out += indent + "  - " + body.substr(indent.size() + 4);
      }
    } else {
      out += " " + record.text + "\n";
    }
  }
}

/// Dotted path of a section elsewhere that knows `key`, or empty.
std::string elsewhere(const ConfigNode& node, std::string_view key) {
  if (const auto* record = node.find_record(key)) return node.full(record->key);
  for (const ConfigNode::Record& record : node.records) {
    if (!record.child) continue;
    std::string found = elsewhere(*record.child, key);
    if (!found.empty()) return found;
  }
  return {};
}

void check_all_read(const ConfigNode& node, const ConfigNode& root, const std::vector<std::string>& ignore) {
  if (!node.value) return;
  for (const Entry& entry : node.value->entries) {
    const ConfigNode::Record* record = node.find_record(entry.key);
    if (record && record->read) {
      if (record->child) check_all_read(*record->child, root, {});
      for (const auto& item : record->items) check_all_read(*item, root, {});
      continue;
    }
    if (std::find(ignore.begin(), ignore.end(), entry.key) != ignore.end()) continue;
    if (record && record->aside) continue;
    const std::string path = node.full(entry.key);
    if (record) fail<ConfigError>("{} has no effect here; remove it  {}", path, entry.where);
    std::vector<std::string> known = ignore;
    for (const auto& r : node.records) known.push_back(r.key);
    std::string hint = nearest(entry.key, known);
    if (hint.empty()) hint = elsewhere(root, entry.key);
    if (!hint.empty()) fail<ConfigError>("{} is unknown (did you mean {}?)  {}", path, hint, entry.where);
    fail<ConfigError>("{} is unknown (known here: {})  {}", path,
                      known.empty() ? "nothing" : fmt::to_string(fmt::join(known, ", ")), entry.where);
  }
}

std::shared_ptr<ConfigNode> make_root(std::shared_ptr<Value> value, const std::vector<std::string>& overrides,
                                      const std::string& name) {
  auto root = std::make_shared<ConfigNode>();
  root->where = name;
  root->value = std::move(value);
  for (const std::string& assignment : overrides) detail::apply_override(*root->value, assignment);
  return root;
}

}  // namespace

// --- rules --------------------------------------------------------------------------------------------------

std::string positive(double v) {
  return v > 0 ? "" : "must be positive";
}
std::string non_negative(double v) {
  return v >= 0 ? "" : "must not be negative";
}
std::string at_least_one(double v) {
  return v >= 1 ? "" : "must be at least 1";
}
std::function<std::string(double)> between(double lo, double hi) {
  return [lo, hi](double v) {
    return v >= lo && v <= hi ? std::string() : fmt::format("must be between {} and {}", lo, hi);
  };
}
Rule<std::string> one_of(std::vector<std::string> names) {
  return [names = std::move(names)](const std::string& v) -> std::string {
    if (std::find(names.begin(), names.end(), v) != names.end()) return {};
    const std::string near = nearest(v, names);
    return fmt::format("must be one of {}{}", fmt::join(names, ", "),
                       near.empty() ? "" : fmt::format(" (did you mean {}?)", near));
  };
}

std::string nearest(std::string_view word, const std::vector<std::string>& candidates) {
  std::string best;
  std::size_t best_distance = word.size() / 3 + 1;  // a third of the letters wrong is still a typing error
  for (const std::string& candidate : candidates) {
    // optimal string alignment: insert, delete, replace, swap neighbours
    const std::size_t n = word.size(), m = candidate.size();
    std::vector<std::vector<std::size_t>> d(n + 1, std::vector<std::size_t>(m + 1));
    for (std::size_t i = 0; i <= n; ++i) d[i][0] = i;
    for (std::size_t j = 0; j <= m; ++j) d[0][j] = j;
    for (std::size_t i = 1; i <= n; ++i) {
      for (std::size_t j = 1; j <= m; ++j) {
        const bool same = word[i - 1] == candidate[j - 1];
        d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (same ? 0 : 1)});
        if (i > 1 && j > 1 && word[i - 1] == candidate[j - 2] && word[i - 2] == candidate[j - 1])
          d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
      }
    }
    if (d[n][m] <= best_distance && d[n][m] < std::max(n, m)) {
      if (best.empty() || d[n][m] < best_distance) best = candidate;
      best_distance = d[n][m];
    }
  }
  return best;
}

// --- Section ------------------------------------------------------------------------------------------------

Section::Section(std::shared_ptr<detail::ConfigNode> node) : node_(std::move(node)) {}
const std::string& Section::path() const {
  return node_->path;
}

bool Section::has(std::string_view key) const {
  node_->record(key);
  return node_->find(key) != nullptr;
}

bool Section::holds_list(std::string_view key) const {
  const Entry* entry = node_->find(key);
  return entry != nullptr && entry->value->type == Value::Type::list;
}

std::vector<std::string> Section::keys() const {
  std::vector<std::string> names;
  if (node_->value)
    for (const Entry& entry : node_->value->entries) names.push_back(entry.key);
  return names;
}

std::vector<std::string> Section::names() const {
  const auto is_mentioned_only = [&](const std::string& key) {
    const Entry& entry = *node_->find(key);
    const bool removed = entry.value->type == Value::Type::null && entry.where == detail::kCommandLine;
    return entry.value->implied || removed;
  };
  std::vector<std::string> chosen;
  for (const std::string& key : keys())
    if (!is_mentioned_only(key)) chosen.push_back(key);
  for (const std::string& key : keys()) {
    if (!is_mentioned_only(key)) continue;
    const std::string near = nearest(key, chosen);
    const std::string known = chosen.empty() ? "nothing" : fmt::to_string(fmt::join(chosen, ", "));
    fail<ConfigError>("{0} is unknown ({1}); {0}={{...}} adds it  {2}", node_->full(key),
                      near.empty() ? "known here: " + known : fmt::format("did you mean {}?", near),
                      node_->find(key)->where);
  }
  return chosen;
}

template <class T>
void Section::maybe(std::string_view key, T& value, const RuleOf<T>& rule) {
  if (const Entry* entry = node_->find(key)) read_entry(*entry, node_->full(key), value, rule);
  node_->record_value(key, to_yaml(value));
}

template <class T>
void Section::need(std::string_view key, T& value, const RuleOf<T>& rule) {
  if (!node_->find(key)) {
    node_->record(key);
    std::string given;
    for (const std::string& name : keys())
      if (!node_->find_record(name)) given = nearest(key, {name}).empty() ? given : name;
    if (given.empty()) fail<ConfigError>("{} is required  {}", node_->full(key), where());
    fail<ConfigError>("{} is required (is {} meant to be it?)  {}", node_->full(key), given, where(given));
  }
  maybe(key, value, rule);
}

bool Section::set_aside(std::string_view key) {
  if (!node_->find(key)) return false;
  ConfigNode::Record& record = node_->record(key);
  record.aside = !record.read;
  return record.aside;
}

Section Section::child(std::string_view key) {
  ConfigNode::Record& record = node_->record(key);
  if (!record.child) {
    auto child = std::make_shared<ConfigNode>();
    child->path = node_->full(key);
    child->where = where(key);
    if (const Entry* entry = node_->find(key)) {
      if (entry->value->type != Value::Type::map && entry->value->type != Value::Type::null)
        fail<ConfigError>("{} must be a map (key: value), not {}  {}", child->path, describe(*entry->value),
                          entry->where);
      child->value = entry->value;
    }
    record.child = std::move(child);
  }
  record.read = true;
  return Section(record.child);
}

std::vector<Section> Section::list(std::string_view key) {
  ConfigNode::Record& record = node_->record(key);
  const Entry* entry = node_->find(key);
  if (!record.is_list && entry && entry->value->type != Value::Type::null) {
    const std::string path = node_->full(key);
    if (entry->value->type != Value::Type::list)
      fail<ConfigError>("{} must be a list of maps, not {}  {}", path, describe(*entry->value), entry->where);
    for (std::size_t i = 0; i < entry->value->entries.size(); ++i) {
      const Entry& item = entry->value->entries[i];
      auto child = std::make_shared<ConfigNode>();
      child->path = fmt::format("{}.{}", path, i);
      child->where = item.where;
      if (item.value->type != Value::Type::map)
        fail<ConfigError>("{} must be a map (key: value), not {}  {}", child->path, describe(*item.value),
                          item.where);
      child->value = item.value;
      record.items.push_back(std::move(child));
    }
  }
  record.is_list = true;
  record.read = true;
  std::vector<Section> sections;
  for (const auto& item : record.items) sections.emplace_back(item);
  return sections;
}

std::optional<Section> Section::maybe_child(std::string_view key) {
  const Entry* entry = node_->find(key);
  if (entry && entry->value->type != Value::Type::null) return child(key);
  node_->record_value(key, "null");
  return std::nullopt;
}

Config Section::over(std::string_view key, const Section& base, const std::vector<std::string>& left_out) {
  const std::string name(key);
  Value below, above;
  below.type = above.type = Value::Type::map;
  if (base.node_->value) {
    auto map = detail::copy(*base.node_->value);
    std::erase_if(map->entries, [&](const Entry& entry) {
      return std::find(left_out.begin(), left_out.end(), entry.key) != left_out.end();
    });
    below.entries.push_back({name, base.where(), std::move(map)});
  }
  const Entry* entry = node_->find(key);
  if (entry) {
    if (entry->value->type != Value::Type::map)
      fail<ConfigError>("{} must be a map (key: value), not {}  {}", node_->full(key), describe(*entry->value),
                        entry->where);
    above.entries.push_back(*entry);
    node_->record_value(key, detail::to_flow_yaml(*entry->value));
  }
  detail::merge(below, above);
  Config config;
  config.root_ = std::make_shared<ConfigNode>();
  config.root_->path = path();
  config.root_->where = where(key);
  config.root_->value = std::make_shared<Value>(std::move(below));
  return config;
}

void Section::reject(std::string_view key, const std::string& why) const {
  fail<ConfigError>("{}: {}  {}", key.empty() ? path() : node_->full(key), why, where(key));
}

std::string Section::where(std::string_view key) const {
  const Entry* entry = node_->find(key);
  return entry ? entry->where : node_->where;
}

std::string Section::resolved_yaml() const {
  std::string out;
  print(*node_, "", out);
  return out;
}

#define SNS_CONFIG_TYPE(...)                                                                \
  template void Section::maybe(std::string_view, __VA_ARGS__&, const RuleOf<__VA_ARGS__>&); \
  template void Section::need(std::string_view, __VA_ARGS__&, const RuleOf<__VA_ARGS__>&);  \
  template void Section::maybe(std::string_view, std::optional<__VA_ARGS__>&,               \
                               const RuleOf<std::optional<__VA_ARGS__>>&);                  \
  template void Section::need(std::string_view, std::optional<__VA_ARGS__>&,                \
                              const RuleOf<std::optional<__VA_ARGS__>>&);
SNS_CONFIG_TYPE(bool)
SNS_CONFIG_TYPE(int)
SNS_CONFIG_TYPE(std::int64_t)
SNS_CONFIG_TYPE(std::uint64_t)
SNS_CONFIG_TYPE(double)
SNS_CONFIG_TYPE(std::string)
SNS_CONFIG_TYPE(std::vector<int>)
SNS_CONFIG_TYPE(std::vector<double>)
SNS_CONFIG_TYPE(std::vector<std::string>)
#undef SNS_CONFIG_TYPE

// --- Config -------------------------------------------------------------------------------------------------

Config Config::load(const std::filesystem::path& file, const std::vector<std::string>& overrides) {
  Config config;
  config.root_ = make_root(detail::load_yaml(file), overrides, file.string());
  config.file_ = file;
  return config;
}

Config Config::parse(const std::string& yaml, const std::vector<std::string>& overrides,
                     const std::string& name) {
  Config config;
  config.root_ = make_root(detail::parse_yaml(yaml, name), overrides, name);
  return config;
}

Section Config::root() const {
  return Section(root_);
}
void Config::finish(const std::vector<std::string>& ignore) const {
  check_all_read(*root_, *root_, ignore);
}
std::string Config::resolved_yaml() const {
  return root().resolved_yaml();
}
const std::filesystem::path& Config::file() const {
  return file_;
}

}  // namespace sns
