#include "emulator/diffusion/traversal.hpp"

#include "core/error.hpp"

#include <algorithm>

namespace sns {

std::size_t position_of(const std::string& what, const std::string& name,
                        const std::vector<std::string>& names) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) {
    std::string allowed;
    for (const std::string& n : names) allowed += (allowed.empty() ? "" : ", ") + n;
    fail<ConfigError>("{} is '{}'; allowed are {}", what, name, allowed);
  }
  return static_cast<std::size_t>(found - names.begin());
}

const std::vector<std::string>& path_names() {
  static const std::vector<std::string> names = {"A", "B", "C", "fixed_past", "clean_past"};
  return names;
}

const std::vector<std::string>& rule_names() {
  static const std::vector<std::string> names = {"inclusive", "reference"};
  return names;
}

const std::vector<std::string>& start_names() {
  static const std::vector<std::string> names = {"noised_past", "pure_noise"};
  return names;
}

Start parse_start(const std::string& name) {
  return static_cast<Start>(position_of("start", name, start_names()));
}
int start_level(Start start, int levels_in_all) {
  return start == Start::pure_noise ? levels_in_all : levels_in_all - 1;
}
Path parse_path(const std::string& name) {
  return static_cast<Path>(position_of("path", name, path_names()));
}
SweepRule parse_rule(const std::string& name) {
  return static_cast<SweepRule>(position_of("rule", name, rule_names()));
}

std::vector<Walk> plan_walks(Path path, SweepRule rule, const std::vector<Levels>& levels, int levels_in_all,
                             int lowest) {
  Levels highest{0, 0};
  for (const Levels& p : levels) {
    highest.past = std::max(highest.past, p.past);
    highest.present = std::max(highest.present, p.present);
  }
  // First reverse step of a sweep whose batch maximum is `maximum`, for a sample at level p.
  const auto first = [&](int p, int maximum) {
    return std::min(p, (rule == SweepRule::inclusive ? levels_in_all : maximum) - 1);
  };

  std::vector<Walk> walks;
  for (const Levels& p : levels) {
    Walk walk;
    walk.start = p;
    if (path == Path::clean_past) walk.start.past = Levels::kClean;
    const auto sweep_past = [&] {
      for (int s = first(p.past, highest.past); s >= lowest; --s)
        walk.moves.push_back({.past = s, .present = Move::kRest});
    };
    const auto sweep_present = [&] {
      for (int s = first(p.present, highest.present); s >= lowest; --s)
        walk.moves.push_back({.past = Move::kRest, .present = s});
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
      case Path::clean_past:
        sweep_present();
        break;
      case Path::C: {
        const int higher = std::max(p.past, p.present);
        for (int s = first(higher, std::max(highest.past, highest.present)); s >= lowest; --s)
          walk.moves.push_back(
              {.past = s <= p.past ? s : Move::kRest, .present = s <= p.present ? s : Move::kRest});
        break;
      }
    }
    walks.push_back(std::move(walk));
  }
  return walks;
}

Walk plan_conditioned_walk(int start, int levels_in_all, bool new_draws) {
  Walk walk{.start = {Levels::kClean, start}, .moves = {}};
  for (int s = std::min(start, levels_in_all - 1); s >= 0; --s)
    walk.moves.push_back({.past = Move::kRest,
                          .present = s,
                          .condition = Move::Condition{s, new_draws ? s : levels_in_all - 1}});
  return walk;
}

}  // namespace sns
