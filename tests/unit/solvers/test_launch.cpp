// How many threads kernels get, which element each of them works on, and the order of what reductions compare.
#include "tests/support/shuffled_backend.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

using namespace sns;
using namespace sns::test;

TEST_CASE("launches cover every element, and every element once") {
  using namespace spectral;
  for (const std::size_t total : {1UL, 255UL, 256UL, 257UL, 65536UL}) {
    const LaunchShape shape = launch_elements(total);
    CHECK(std::size_t{shape.x} * kThreadsPerBlock >= total);
    CHECK((std::size_t{shape.x} - 1) * kThreadsPerBlock < total);
  }
  // All modes and the kept ones, of more members than blocks may lie along y.
  const Grid grid{12, 1};
  const KeptModes kept = kept_modes(grid.n, Dealiasing::jaxcfd);
  for (const Region& region : {all_modes(grid), only(kept)})
    for (const int batch : {1, 3, 70000}) {
      const ModePlane plane = plane_of(region, grid.n);
      LaunchShape shape = launch_planes(plane.size(), batch);
      CHECK(shape.y == std::min<unsigned>(static_cast<unsigned>(batch), kMostPlanes));
      std::vector<int> visits(static_cast<std::size_t>(batch) * grid.modes(), 0);
      ShuffledQueue().launch(shape, [&](const Thread& thread) {
        visit_modes(
            thread,
            [&](int b, int i, int j) {
              ++visits[static_cast<std::size_t>(b) * grid.modes() +
                       static_cast<std::size_t>(i * grid.columns() + j)];
            },
            plane, batch);
      });
      int wrong = 0;
      for (int b = 0; b < batch; ++b)
        for (int i = 0; i < grid.n; ++i)
          for (int j = 0; j < grid.columns(); ++j) {
            const bool inside = j < region.columns && region.rows.has_row(i, grid.n);
            wrong += visits[static_cast<std::size_t>(b) * grid.modes() +
                            static_cast<std::size_t>(i * grid.columns() + j)] != (inside ? 1 : 0);
          }
      CHECK(wrong == 0);
    }
}

TEST_CASE("launches and indices of large batches") {
  using namespace spectral;
  const Grid grid{512, 1};
  const ModePlane plane = plane_of(all_modes(grid), grid.n);
  CHECK(plane.size() == 131584);
  CHECK(launch_planes(plane.size(), 32).x == 514);
  CHECK(launch_planes(plane.size(), 32).y == 32);
  CHECK(launch_elements(32 * 4 * grid.points()).x == 131072);
  // More elements than 2^31, and than 2^32.
  for (const std::size_t total : {(1UL << 31) + 1, (1UL << 33) + 5}) {
    const LaunchShape shape = launch_elements(total);
    CHECK(shape.x == total / 256 + 1);
    std::size_t seen = 0;
    const auto note = [&seen](std::size_t at) { seen = at; };
    visit_elements({shape.x - 1, 0, static_cast<std::uint32_t>((total - 1) % 256), shape.x, 1}, note, total);
    CHECK(seen == total - 1);
    seen = 0;
    visit_elements({shape.x - 1, 0, static_cast<std::uint32_t>(total % 256), shape.x, 1}, note, total);
    CHECK(seen == 0);  // one thread too many: nothing to do
  }
  // The last mode of the largest member of a batch of more than 2^32 modes.
  const Grid wide{16384, 1};
  const ModePlane large = plane_of(all_modes(wide), wide.n);
  const LaunchShape shape = launch_planes(large.size(), 40);
  std::size_t last = 0;
  const auto element = static_cast<std::uint32_t>(large.size() - 1);
  visit_modes(
      {element / 256, 39, element % 256, shape.x, shape.y},
      [&](int b, int i, int j) { last = (static_cast<std::size_t>(b) * wide.n + i) * wide.columns() + j; },
      large, 40);
  CHECK(last == 40 * wide.modes() - 1);
  CHECK(last > (1UL << 32));
  CHECK_THROWS_AS(launch_elements(256UL * kMostBlocks + 1), std::length_error);
  CHECK_NOTHROW(launch_elements(256UL * kMostBlocks));
  CHECK_THROWS_AS(launch_planes(1UL << 32, 1), std::length_error);
}

TEST_CASE("bits of moduli are ordered as numbers, and what is not finite comes last") {
  using spectral::finite_value;
  using spectral::ordered_bits;
  const std::vector<double> ascending{0, 5e-324, 1e-300, 1, 1 + 1e-15, 2, 1e300, INFINITY};
  for (std::size_t i = 1; i < ascending.size(); ++i)
    CHECK(ordered_bits(ascending[i - 1]) < ordered_bits(ascending[i]));
  for (const double nan : {std::nan(""), -std::nan("")}) CHECK(ordered_bits(nan) > ordered_bits(INFINITY));
  CHECK(ordered_bits(-2.5) == ordered_bits(2.5));
  CHECK(finite_value(ordered_bits(-2.5)) == 2.5);
  CHECK(std::isnan(finite_value(ordered_bits(INFINITY))));
  CHECK(std::isnan(finite_value(ordered_bits(std::nan("")))));
}
