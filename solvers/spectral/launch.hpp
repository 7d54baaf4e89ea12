#pragma once
// How many threads a kernel gets, and which element each of them works on. Plain arithmetic, so that it can be
// tested where there is no device.
#include "solvers/spectral/grid.hpp"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <stdexcept>

namespace sns::spectral {

inline constexpr unsigned kThreadsPerBlock = 256;
/// What CUDA allows along x and y of a grid of blocks.
inline constexpr std::size_t kMostBlocks = 2147483647;
inline constexpr unsigned kMostPlanes = 65535;

/// Blocks of kThreadsPerBlock threads along x, and along y.
struct LaunchShape {
  unsigned x = 1, y = 1;
};

/// One thread for each of `total` elements. std::length_error beyond 2^31 - 1 blocks.
inline LaunchShape launch_elements(std::size_t total) {
  const std::size_t blocks = total / kThreadsPerBlock + (total % kThreadsPerBlock != 0 ? 1 : 0);
  if (blocks > kMostBlocks) throw std::length_error("a kernel over more than 2^31 blocks of 256 elements");
  return {static_cast<unsigned>(blocks), 1};
}
/// One thread for each element of a plane, of which a block at y takes planes y, y + blocks.y, .. of `batch`.
/// std::length_error where 32 bits cannot count the threads along x.
inline LaunchShape launch_planes(std::size_t plane, int batch) {
  if (plane > std::numeric_limits<std::uint32_t>::max() - kThreadsPerBlock)
    throw std::length_error("a kernel over planes of more than 2^32 elements");
  const unsigned planes = static_cast<unsigned>(batch);
  return {launch_elements(plane).x, planes < kMostPlanes ? planes : kMostPlanes};
}

/// The modes of a region of one n x n/2+1 spectrum, numbered row by row. The division is of 32 bits: in 64 bits
/// it would take longer than the memory that a mode moves.
struct ModePlane {
  KeptModes rows;
  int columns, n;

  struct Mode {
    int i, j;
  };
  SNS_HD std::size_t size() const {
    return static_cast<std::size_t>(rows.low + rows.high) * static_cast<std::size_t>(columns);
  }
  SNS_HD Mode at(std::uint32_t element) const {
    const std::uint32_t width = static_cast<std::uint32_t>(columns);
    const int row = static_cast<int>(element / width);
    return {row < rows.low ? row : n - rows.high + (row - rows.low), static_cast<int>(element % width)};
  }
};
inline ModePlane plane_of(const Region& region, int n) {
  return {region.rows, region.columns, n};
}

/// Bits of |x|, ordered as the values are; infinity and then NaN come last.
SNS_HD inline unsigned long long ordered_bits(double x) {
  return std::bit_cast<std::uint64_t>(x) & 0x7fffffffffffffffULL;
}
/// Its inverse, with NaN for all that is not finite.
inline double finite_value(unsigned long long bits) {
  const double x = std::bit_cast<double>(static_cast<std::uint64_t>(bits));
  return x <= std::numeric_limits<double>::max() ? x : std::numeric_limits<double>::quiet_NaN();
}

/// A thread of a kernel, and how many blocks there are.
struct Thread {
  std::uint32_t block_x, block_y, within;
  std::uint32_t blocks_x, blocks_y;

  SNS_HD std::size_t x() const { return block_x * static_cast<std::size_t>(kThreadsPerBlock) + within; }
};

// What one thread of each kernel does; the kernels only find out which thread they are.

/// f(b, i, j) for the modes of a plane.
template <class F>
SNS_HD void visit_modes(const Thread& thread, const F& f, const ModePlane& plane, int batch) {
  if (thread.x() >= plane.size()) return;
  const ModePlane::Mode mode = plane.at(static_cast<std::uint32_t>(thread.x()));
  for (int b = static_cast<int>(thread.block_y); b < batch; b += static_cast<int>(thread.blocks_y))
    f(b, mode.i, mode.j);
}
/// f(at) for at < total.
template <class F>
SNS_HD void visit_elements(const Thread& thread, const F& f, std::size_t total) {
  if (thread.x() < total) f(thread.x());
}
/// Largest f(b, i) over the thread's share of i < n, as ordered_bits.
template <class F>
SNS_HD unsigned long long largest_share(const Thread& thread, const F& f, int b, std::size_t n) {
  unsigned long long largest = 0;
  const std::size_t stride = static_cast<std::size_t>(thread.blocks_x) * kThreadsPerBlock;
  for (std::size_t i = thread.x(); i < n; i += stride) {
    const unsigned long long bits = ordered_bits(f(b, i));
    largest = bits > largest ? bits : largest;
  }
  return largest;
}
/// Blocks for a reduction over n values of each of `batch` members.
inline LaunchShape launch_reduction(std::size_t n, int batch) {
  constexpr unsigned kMostBlocksOfMember = 64;
  const unsigned blocks = launch_elements(n).x;
  return {blocks < kMostBlocksOfMember ? blocks : kMostBlocksOfMember, launch_planes(1, batch).y};
}

}  // namespace sns::spectral
