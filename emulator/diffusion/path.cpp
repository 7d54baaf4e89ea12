#include "emulator/diffusion/path.hpp"

#include "core/error.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <sstream>
#include <string_view>
#include <utility>

namespace sns {
namespace {

constexpr int kClean = Levels::kClean, kTop = Path::kTop;

/// The paths that have names.
const std::vector<std::pair<std::string, Path>>& named_paths() {
  static const std::vector<std::pair<std::string, Path>> paths = {
      {"A", Path({{kTop, kTop}, {kClean, kTop}, {kClean, kClean}})},
      {"B", Path({{kTop, kTop}, {kTop, kClean}, {kClean, kClean}})},
      {"C", Path({{kTop, kTop}, {kClean, kClean}})},
      {"fixed_past", Path({{kTop, kTop}, {kTop, kClean}})},
      {"clean_past", Path({{kClean, kTop}, {kClean, kClean}})}};
  return paths;
}

const Path& named(std::size_t position) {
  return named_paths()[position].second;
}

std::string text_of(int level) {
  return level == kClean ? "clean" : level == kTop ? "top" : std::to_string(level);
}

/// "past,present"
std::string text_of(const Levels& corner) {
  return text_of(corner.past) + ',' + text_of(corner.present);
}

/// kTop for "top", kClean for "clean", or a level; none for anything else.
std::optional<int> parse_level(std::string_view word) {
  if (word == "top") return kTop;
  if (word == "clean") return kClean;
  int level = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), level);
  const bool whole = error == std::errc() && end == word.data() + word.size();
  return whole && level >= 0 && level < kTop ? std::optional(level) : std::nullopt;
}

std::optional<Levels> parse_corner(std::string_view word) {
  const std::size_t comma = word.find(',');
  if (comma == std::string_view::npos) return std::nullopt;
  const auto past = parse_level(word.substr(0, comma)), present = parse_level(word.substr(comma + 1));
  return past && present ? std::optional(Levels{*past, *present}) : std::nullopt;
}

/// Whether the path through the three goes straight on at `at`, along an axis or the diagonal.
bool straight(const Levels& from, const Levels& at, const Levels& to) {
  const auto on_diagonal = [](const Levels& corner) { return corner.past == corner.present; };
  return (from.past == at.past && at.past == to.past) ||
         (from.present == at.present && at.present == to.present) ||
         (on_diagonal(from) && on_diagonal(at) && on_diagonal(to));
}

}  // namespace

const Path Path::A = named(0), Path::B = named(1), Path::C = named(2), Path::fixed_past = named(3),
           Path::clean_past = named(4);

Path::Path(std::vector<Levels> corners) : corners_(std::move(corners)) {
  if (corners_.size() < 2) fail<ConfigError>("a path needs two corners at least");
  const Levels &first = corners_.front(), &last = corners_.back();
  if (first.present != kTop || (first.past != kTop && first.past != kClean))
    fail<ConfigError>(
        "a path begins at top,top or, if it leaves the past frame clean, at clean,top; this one at {}",
        text_of(first));
  if (last.present != kClean)
    fail<ConfigError>("a path ends with a clean present frame; this one at {}", text_of(last));
  for (std::size_t k = 1; k < corners_.size(); ++k) {
    const Levels &from = corners_[k - 1], &to = corners_[k];
    if (to.past > from.past || to.present > from.present || to == from)
      fail<ConfigError>("a path only goes down; this one goes from {} to {}", text_of(from), text_of(to));
  }
  for (const Levels& corner : corners_)
    for (const int level : {corner.past, corner.present})
      if (level != kTop) highest_ = std::max(highest_, level);
  for (std::size_t k = corners_.size() - 2; k > 0; --k)
    if (straight(corners_[k - 1], corners_[k], corners_[k + 1]))
      corners_.erase(corners_.begin() + static_cast<std::ptrdiff_t>(k));
}

bool Path::steps_together() const {
  const auto both_lower = [](const Levels& from, const Levels& to) {
    return to.past < from.past && to.present < from.present;
  };
  return std::adjacent_find(corners_.begin(), corners_.end(), both_lower) != corners_.end();
}

void Path::require_within(int levels_in_all) const {
  if (highest_ >= levels_in_all)
    fail<ConfigError>("path '{}' has a corner at level {}; the model's levels are 0..{}", text(), highest_,
                      levels_in_all - 1);
}

std::string Path::text() const {
  for (const auto& [name, path] : named_paths())
    if (path == *this) return name;
  std::string text;
  for (const Levels& corner : corners_) text += (text.empty() ? "" : " ") + text_of(corner);
  return text;
}

std::vector<Move> Path::moves(const Levels& first, int levels_in_all, int lowest) const {
  require_within(levels_in_all);
  const auto resolved = [&](int level) { return level == kTop ? levels_in_all : level; };
  std::vector<Move> moves;
  Levels at{noises_past() ? first.past : kClean, first.present};
  // Level that a frame is stepped at where the path comes down to `to`.
  const auto step = [&](int& level, int to) {
    if (to >= level) return Move::kRest;
    const int stepped = std::exchange(level, to);
    return stepped >= lowest ? stepped : Move::kRest;
  };
  for (std::size_t k = 1; k < corners_.size(); ++k) {
    const Levels from{resolved(corners_[k - 1].past), resolved(corners_[k - 1].present)};
    const int down_past = from.past - resolved(corners_[k].past),
              down_present = from.present - resolved(corners_[k].present);
    const int count = std::max(down_past, down_present);
    for (int i = 1; i <= count; ++i) {
      // A frame with less far to go rests in between, in equal shares.
      const auto share = [&](int down) {
        return static_cast<int>(static_cast<std::int64_t>(down) * i / count);
      };
      const int past = from.past - share(down_past), present = from.present - share(down_present);
      const Move move{.past = step(at.past, past), .present = step(at.present, present)};
      if (move.past != Move::kRest || move.present != Move::kRest) moves.push_back(move);
    }
  }
  return moves;
}

const std::vector<std::string>& path_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const auto& [name, path] : named_paths()) all.push_back(name);
    return all;
  }();
  return names;
}

Path parse_path(const std::string& text) {
  for (const auto& [name, path] : named_paths())
    if (name == text) return path;
  std::vector<Levels> corners;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    const std::optional<Levels> corner = parse_corner(word);
    if (!corner)
      fail<ConfigError>(
          "path '{}' is none of A, B, C, fixed_past, clean_past and no list of corners in quotes, past,present "
          "without "
          "spaces, such as 'top,top clean,top clean,clean' (path A)",
          text);
    corners.push_back(*corner);
  }
  return Path(std::move(corners));
}

}  // namespace sns
