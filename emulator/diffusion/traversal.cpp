#include "emulator/diffusion/traversal.hpp"

#include "core/error.hpp"

#include <algorithm>

namespace sns {
namespace {

std::size_t position(const std::string& what, const std::string& name, const std::vector<std::string>& names) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) {
    std::string allowed;
    for (const std::string& n : names) allowed += (allowed.empty() ? "" : ", ") + n;
    fail<ConfigError>("{} is '{}'; allowed are {}", what, name, allowed);
  }
  return static_cast<std::size_t>(found - names.begin());
}

}  // namespace

const std::vector<std::string>& path_names() {
  static const std::vector<std::string> names = {"A", "B", "C", "fixed_past"};
  return names;
}

const std::vector<std::string>& rule_names() {
  static const std::vector<std::string> names = {"inclusive", "reference"};
  return names;
}

Path parse_path(const std::string& name) {
  return static_cast<Path>(position("path", name, path_names()));
}
SweepRule parse_rule(const std::string& name) {
  return static_cast<SweepRule>(position("rule", name, rule_names()));
}

std::vector<Walk> plan_walks(Path path, SweepRule rule, const std::vector<Levels>& levels) {
  Levels highest{0, 0};
  for (const Levels& p : levels) {
    highest.past = std::max(highest.past, p.past);
    highest.present = std::max(highest.present, p.present);
  }
  // First reverse step of a sweep whose batch maximum is `maximum`, for a sample at level p.
  const auto start = [rule](int p, int maximum) {
    return rule == SweepRule::inclusive ? p : std::min(p, maximum - 1);
  };

  std::vector<Walk> walks;
  for (const Levels& p : levels) {
    Walk walk;
    const auto sweep_past = [&] {
      for (int s = start(p.past, highest.past); s >= 0; --s)
        walk.push_back({.past = s, .present = Move::kRest});
    };
    const auto sweep_present = [&] {
      for (int s = start(p.present, highest.present); s >= 0; --s)
        walk.push_back({.past = Move::kRest, .present = s});
    };
    switch (path) {
      case Path::A:
        sweep_past();
        sweep_present();
        break;
      case Path::B:
        sweep_present();
        sweep_past();
        break;
      case Path::fixed_past:
        sweep_present();
        break;
      case Path::C: {
        const int higher = std::max(p.past, p.present);
        for (int s = start(higher, std::max(highest.past, highest.present)); s >= 0; --s)
          walk.push_back({.past = s <= p.past ? s : Move::kRest, .present = s <= p.present ? s : Move::kRest});
        break;
      }
    }
    walks.push_back(std::move(walk));
  }
  return walks;
}

}  // namespace sns
