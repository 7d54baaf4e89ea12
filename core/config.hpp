#pragma once
// Strict YAML configuration. Defaults live in the structs that are read; reading is one line per key;
// whatever was not read is an error that names the nearest valid key. Everything that was read, defaults
// included, is recorded and saved as the resolved configuration.
//
//   struct StepperConfig { std::string name = "cn_rk4"; double dt = 1e-3; };
//   void read(Section& s, StepperConfig& c) {
//     s.maybe("name", c.name, one_of({"cn_rk4", "cn_rk2"}));
//     s.maybe("dt", c.dt, positive);
//   }
//   Section stepper = section.child("stepper");  read(stepper, c.stepper);
//
// A Section checks for unread keys when its Config's finish() is called.
#include "core/error.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sns {

/// A rule for a value: returns an empty string if it holds, otherwise what is allowed ("must be positive").
template <class T>
using Rule = std::function<std::string(const T&)>;

std::string positive(double v);
std::string non_negative(double v);
std::string at_least_one(double v);
/// lo <= v <= hi
std::function<std::string(double)> between(double lo, double hi);
/// v in {a, b, c}; the error lists them and the nearest one.
Rule<std::string> one_of(std::vector<std::string> names);

namespace detail {
struct ConfigNode;
template <class T>
struct RuleFor {
  using type = Rule<T>;
};
template <class T>
struct RuleFor<std::optional<T>> {
  using type = Rule<T>;
};
}  // namespace detail

/// The rule that fits a value of type T: for an optional, a rule for the value it holds.
template <class T>
using RuleOf = typename detail::RuleFor<T>::type;

class Config;

/// A map of the YAML file (or an empty one where the file has none), addressed by a dotted path.
class Section {
 public:
  /// Dotted path from the root ("solver.stepper").
  const std::string& path() const;
  bool has(std::string_view key) const;
  /// Whether `key` is present and holds a list: for values that may be given one for all or one for each.
  bool holds_list(std::string_view key) const;
  /// Keys present in the file, in file order.
  std::vector<std::string> keys() const;
  /// As keys, of a map whose keys are user-chosen names. ConfigError for a name that only an override,
  /// `path.name.key=value` or `path.name=null`, mentions: most likely it is misspelt.
  std::vector<std::string> names() const;

  /// Reads `key` if it is present; `value` holds the default otherwise. T: bool, int, std::int64_t,
  /// std::uint64_t, double, std::string, std::vector<int|double|std::string>, or std::optional of these
  /// (YAML null = nullopt; absence keeps the default). Types are exact: an integer is not taken from "1.5",
  /// a flag only from true or false; a double also takes integers, and neither an infinity nor NaN. The rule
  /// sees values from the file only.
  template <class T>
  void maybe(std::string_view key, T& value, const RuleOf<T>& rule = {});
  /// As maybe, but absence is an error.
  template <class T>
  void need(std::string_view key, T& value, const RuleOf<T>& rule = {});

  /// Whether `key` is present and was not read. It then counts as known although it says nothing here: it is no
  /// error, and no part of the resolved configuration. For keys that make sense beside another choice.
  bool set_aside(std::string_view key);

  /// The nested map under `key`; an empty section if absent (so that defaults are recorded).
  Section child(std::string_view key);
  /// A list of maps under `key`; empty if absent.
  std::vector<Section> list(std::string_view key);
  /// Reads the child as an optional block: nullopt if absent or null.
  std::optional<Section> maybe_child(std::string_view key);
  /// The map under `key` laid over the map of `base`, as the keys of a file over those of its base, but without
  /// the keys `left_out` of the latter. The result holds it under `key` and is read and finished by itself: its
  /// errors point at the lines that were written. Here it counts as read, as it stands.
  Config over(std::string_view key, const Section& base, const std::vector<std::string>& left_out = {});

  /// ConfigError that points at `key` (file, line, dotted path).
  [[noreturn]] void reject(std::string_view key, const std::string& why) const;
  /// "file.yaml:12" of `key`, or of this section when the key is absent or empty.
  std::string where(std::string_view key = {}) const;
  /// Resolved YAML of this section alone: what was read from it so far, defaults included, keys sorted as
  /// read. Equal configurations give equal text, so it is what stage hashes are made of.
  std::string resolved_yaml() const;

  explicit Section(std::shared_ptr<detail::ConfigNode> node);

 private:
  std::shared_ptr<detail::ConfigNode> node_;
};

class Config {
 public:
  /// Parses a file, over its `base` where it names one, and applies `key.path=value` overrides in order (YAML
  /// values; "a.b=null" removes a default or a whole map; list items go by number). Syntax errors name file,
  /// line and column.
  static Config load(const std::filesystem::path& file, const std::vector<std::string>& overrides = {});
  static Config parse(const std::string& yaml, const std::vector<std::string>& overrides = {},
                      const std::string& name = "<text>");

  Section root() const;
  /// Throws ConfigError if any key was never read: "solver.viscosty is unknown (did you mean viscosity?)".
  /// `ignore` lists top-level blocks that the present verb has no use for.
  void finish(const std::vector<std::string>& ignore = {}) const;
  std::string resolved_yaml() const;
  const std::filesystem::path& file() const;

 private:
  friend class Section;
  std::shared_ptr<detail::ConfigNode> root_;
  std::filesystem::path file_;
};

/// Closest of `candidates` to `word` by edit distance, or empty if none is near.
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace sns
