#include "solvers/configuration.hpp"

namespace sns {

void read_grid(Section section, spectral::Grid& grid) {
  if (section.holds_list("points"))
    section.reject("points", "is a list, but only square grids are supported: give the points of one side");
  section.need("points", grid.n);
  if (grid.n < kFewestPoints || grid.n % 2 != 0)
    section.reject("points", fmt::format("{} is not allowed: an even number of at least {} is needed", grid.n,
                                         kFewestPoints));
  if (grid.n > kMostPoints) section.reject("points", fmt::format("{} is beyond {}", grid.n, kMostPoints));
  if (section.holds_list("length"))
    section.reject("length", "is a list, but only square domains are supported: give the length of one side");
  section.maybe("length", grid.length, between(kShortestSide, kLongestSide));
}

std::vector<double> grid_points(const spectral::Grid& grid, double offset) {
  std::vector<double> x(static_cast<std::size_t>(grid.n));
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = (static_cast<double>(i) + offset) * grid.spacing();
  return x;
}

}  // namespace sns
