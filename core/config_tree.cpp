#include "core/config_tree.hpp"

#include "core/error.hpp"
#include "core/files.hpp"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <string_view>

namespace sns::detail {
namespace {

constexpr int kMaxDepth = 64;           // also ends recursion through an anchor inside itself
constexpr std::size_t kMaxNodes = 1e6;  // and the exponential growth of nested aliases

class Converter {
 public:
  /// name: empty for a value from the command line
  explicit Converter(std::string name) : name_(std::move(name)) {}

  std::shared_ptr<Value> convert(const YAML::Node& node, int depth = 0) {
    if (depth > kMaxDepth || ++nodes_ > kMaxNodes)
      fail<ConfigError>("nested too deeply or too large  {}", where(node.Mark()));
    const std::string& tag = node.Tag();
    if (!tag.empty() && tag != "?" && tag != "!")
      fail<ConfigError>("YAML tag '{}' is not supported; remove it  {}", tag, where(node.Mark()));
    auto value = std::make_shared<Value>();
    switch (node.Type()) {
      case YAML::NodeType::Undefined:
      case YAML::NodeType::Null:
        break;
      case YAML::NodeType::Scalar:
        value->type = Value::Type::scalar;
        value->text = node.Scalar();
        value->quoted = tag == "!";
        break;
      case YAML::NodeType::Sequence:
        value->type = Value::Type::list;
        for (const YAML::Node& item : node)
          value->entries.push_back({"", where(item.Mark()), convert(item, depth + 1)});
        break;
      case YAML::NodeType::Map:
        value->type = Value::Type::map;
        for (const auto& pair : node) {
          const std::string at = where(pair.first.Mark());
          if (!pair.first.IsScalar()) fail<ConfigError>("a key must be a plain name  {}", at);
          const std::string& key = pair.first.Scalar();
          if (key == "<<")
            fail<ConfigError>(
                "merge keys ('<<') are not supported: name a file as base:, or repeat the keys  {}", at);
          if (const Entry* first = value->find(key))
            fail<ConfigError>("key {} is given twice (first: {})  {}", key, first->where, at);
          value->entries.push_back({key, at, convert(pair.second, depth + 1)});
        }
        break;
    }
    return value;
  }

 private:
  std::string where(const YAML::Mark& mark) const {
    if (name_.empty()) return kCommandLine;
    return mark.is_null() ? name_ : fmt::format("{}:{}", name_, mark.line + 1);
  }
  std::string name_;
  std::size_t nodes_ = 0;
};

std::vector<std::string> split_path(std::string_view path) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  for (std::size_t i = 0; i <= path.size(); ++i) {
    if (i == path.size() || path[i] == '.') {
      parts.emplace_back(path.substr(begin, i - begin));
      begin = i + 1;
    }
  }
  return parts;
}

/// The slot that `part` names inside `value`, made if it is missing.
Entry& slot(Value& value, const std::string& part, const std::string& parent, const std::string& assignment) {
  if (value.type == Value::Type::null) value.type = Value::Type::map;
  if (value.type == Value::Type::scalar)
    fail<ConfigError>("'{}' sets a key inside {}, which is not a map  {}", assignment, parent, kCommandLine);
  if (value.type == Value::Type::map) {
    if (Entry* entry = value.find(part)) return *entry;
    value.entries.push_back({part, kCommandLine, std::make_shared<Value>()});
    value.entries.back().value->implied = true;
    return value.entries.back();
  }
  std::size_t index = 0;
  const auto [end, status] = std::from_chars(part.data(), part.data() + part.size(), index);
  const std::size_t size = value.entries.size();
  if (status != std::errc() || end != part.data() + part.size() || index > size)
    fail<ConfigError>("'{}': {} is a list of {}; address an item as 0..{} ({} appends)  {}", assignment, parent,
                      size, size == 0 ? 0 : size - 1, size, kCommandLine);
  if (index == size) value.entries.push_back({"", kCommandLine, std::make_shared<Value>()});
  return value.entries[index];
}

}  // namespace

Entry* Value::find(std::string_view key) {
  for (Entry& entry : entries)
    if (type == Type::map && entry.key == key) return &entry;
  return nullptr;
}

std::shared_ptr<Value> parse_yaml(const std::string& yaml, const std::string& name) {
  std::vector<YAML::Node> documents;
  try {
    documents = YAML::LoadAll(yaml);
  } catch (const YAML::Exception& e) {
    fail<ConfigError>("not valid YAML: {}  {}:{}:{}", e.msg, name, e.mark.line + 1, e.mark.column + 1);
  }
  if (documents.size() > 1)
    fail<ConfigError>("one YAML document is expected, not {}  {}", documents.size(), name);
  auto root = documents.empty() ? std::make_shared<Value>() : Converter(name).convert(documents[0]);
  if (root->type == Value::Type::null) root->type = Value::Type::map;
  if (root->type != Value::Type::map)
    fail<ConfigError>("the file must hold a map (key: value), not a {}  {}",
                      root->type == Value::Type::list ? "list" : "single value", name);
  return root;
}

bool is_choice(const Value& value) {
  if (value.type != Value::Type::map || value.entries.empty()) return false;
  const std::string& first = value.entries.front().key;
  return first == "name" || first == "sampling" || first == "kind";
}

namespace {

void merge_map(Value& base, const Value& changes, bool top) {
  for (const Entry& change : changes.entries) {
    Entry* present = base.find(change.key);
    const bool over_a_map = present != nullptr && present->value->type == Value::Type::map;
    if (present == nullptr)
      base.entries.push_back(change);
    else if (over_a_map && change.value->type == Value::Type::null)
      std::erase_if(base.entries, [&](const Entry& entry) { return entry.key == change.key; });
    else if (over_a_map && change.value->type == Value::Type::map && (top || !is_choice(*change.value)))
      merge_map(*present->value, *change.value, false);
    else
      *present = change;
  }
}

/// above: the files that have this one as their base.
std::shared_ptr<Value> load_with_base(const std::filesystem::path& file,
                                      std::vector<std::filesystem::path> above) {
  auto changes = parse_yaml(read_text(file), file.string());
  const Entry* entry = changes->find("base");
  if (entry == nullptr) return changes;
  const Entry named = *entry;
  if (named.value->type != Value::Type::scalar || named.value->text.empty())
    fail<ConfigError>("base must name a file  {}", named.where);
  const std::filesystem::path base = file.parent_path() / named.value->text;
  above.push_back(std::filesystem::weakly_canonical(file));
  if (std::find(above.begin(), above.end(), std::filesystem::weakly_canonical(base)) != above.end())
    fail<ConfigError>("base: {} has this file as its base  {}", base.string(), named.where);
  if (!std::filesystem::is_regular_file(base))
    fail<ConfigError>("base: there is no file {}  {}", base.string(), named.where);
  auto merged = load_with_base(base, std::move(above));
  std::erase_if(changes->entries, [](const Entry& e) { return e.key == "base"; });
  merge(*merged, *changes);
  return merged;
}

}  // namespace

std::shared_ptr<Value> copy(const Value& value) {
  auto result = std::make_shared<Value>(value);
  for (Entry& entry : result->entries) entry.value = copy(*entry.value);
  return result;
}

void merge(Value& base, const Value& changes) {
  merge_map(base, changes, true);
}

std::shared_ptr<Value> load_yaml(const std::filesystem::path& file) {
  try {
    return load_with_base(file, {});
  } catch (const ConfigError&) {
    throw;
  } catch (const Error& error) {
    throw ConfigError(error.what());
  }
}

void apply_override(Value& root, const std::string& assignment) {
  const std::size_t equals = assignment.find('=');
  const std::vector<std::string> parts = split_path(std::string_view(assignment).substr(0, equals));
  bool valid = equals != std::string::npos;
  for (const std::string& part : parts) valid = valid && !part.empty() && part.find(' ') == std::string::npos;
  if (!valid) fail<ConfigError>("'{}' is not of the form key.path=value  {}", assignment, kCommandLine);

  std::shared_ptr<Value> given;
  try {
    given = Converter("").convert(YAML::Load(assignment.substr(equals + 1)));
  } catch (const YAML::Exception& e) {
    fail<ConfigError>("'{}': the value is not valid YAML: {}  {}", assignment, e.msg, kCommandLine);
  }
  Value* value = &root;
  std::string parent;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    Entry& entry = slot(*value, parts[i], parent, assignment);
    parent += (i == 0 ? "" : ".") + parts[i];
    if (i + 1 == parts.size()) {
      const bool over_a_map = entry.value->type == Value::Type::map && value->type == Value::Type::map;
      if (over_a_map && given->type == Value::Type::null) {
        std::erase_if(value->entries, [&](const Entry& other) { return other.key == parts[i]; });
        return;
      }
      entry.value = given;
      entry.where = kCommandLine;
    }
    value = entry.value.get();
  }
}

}  // namespace sns::detail
