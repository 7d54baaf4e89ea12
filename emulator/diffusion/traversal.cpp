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

const std::vector<std::string>& rule_names() {
  static const std::vector<std::string> names = {"inclusive", "exclusive", "reference"};
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
SweepRule parse_rule(const std::string& name) {
  return static_cast<SweepRule>(position_of("rule", name, rule_names()));
}

namespace {

/// Level of the first reverse step of a frame at level p, where the highest of the batch is `maximum`.
int first_step(SweepRule rule, int p, int maximum, int levels_in_all) {
  switch (rule) {
    case SweepRule::inclusive:
      return std::min(p, levels_in_all - 1);
    case SweepRule::exclusive:
      return p - 1;
    case SweepRule::reference:
      break;
  }
  return std::min(p, maximum - 1);
}

}  // namespace

std::vector<Walk> plan_walks(const Path& path, SweepRule rule, const std::vector<Levels>& levels,
                             int levels_in_all, int lowest) {
  Levels highest{0, 0};
  for (const Levels& p : levels) {
    highest.past = std::max(highest.past, p.past);
    highest.present = std::max(highest.present, p.present);
  }
  if (path.steps_together()) highest.past = highest.present = std::max(highest.past, highest.present);

  std::vector<Walk> walks;
  for (const Levels& p : levels) {
    const Levels first{first_step(rule, p.past, highest.past, levels_in_all),
                       first_step(rule, p.present, highest.present, levels_in_all)};
    Walk walk{.start = p, .moves = path.moves(first, levels_in_all, lowest)};
    const bool spared = rule == SweepRule::exclusive;
    if (!path.noises_past() || (spared && first.past < lowest)) walk.start.past = Levels::kClean;
    if (spared && first.present < lowest) walk.start.present = Levels::kClean;
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
