#pragma once
// Keys that the `solver` blocks of all systems share.
#include "core/config.hpp"
#include "solvers/spectral/grid.hpp"

#include <string>
#include <utility>
#include <vector>

namespace sns {

/// Reads `key` as one of the names of a table.
template <class T>
void choose(Section& section, const std::string& key, T& value,
            const std::vector<std::pair<std::string, T>>& table) {
  std::vector<std::string> names;
  std::string chosen;
  for (const auto& [name, item] : table) {
    names.push_back(name);
    if (item == value) chosen = name;
  }
  section.maybe(key, chosen, one_of(names));
  for (const auto& [name, item] : table)
    if (name == chosen) value = item;
}

/// Points per side of a grid, which are even.
inline constexpr int kFewestPoints = 8, kMostPoints = 16384;
/// Beyond these the squares of wavenumbers are no numbers any more.
inline constexpr double kShortestSide = 1e-100, kLongestSide = 1e100;

/// The `grid` block: points per side and length of the periodic square.
void read_grid(Section section, spectral::Grid& grid);

/// Coordinates of the points along one side, the first at `offset` spacings.
std::vector<double> grid_points(const spectral::Grid& grid, double offset);

}  // namespace sns
