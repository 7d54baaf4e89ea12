#pragma once
// The transforms that one Basdevant CN-RK4 step cannot do without, and nothing else: the floor that a step is
// held against. Per stage: one complex N x N transform back (u + iv) and one forward (its square); five stages.
#include <benchmark/benchmark.h>

namespace sns::bench {

/// Ways of doing the transforms with FFTW; the floor is the fastest of them.
enum class Transforms {
  real,           ///< 4 real-to-complex transforms of N x N per stage
  packed,         ///< 2 complex transforms of N x N per stage
  packed_pruned,  ///< the same by rows and columns, columns outside the 2/3 rule left out
};

/// Times the transforms of one step; state.range(0) = N. Plans are made several times and the fastest is kept:
/// on a busy machine a single measured plan may be two times slower.
template <class Real>
void transforms_of_a_step(benchmark::State& state, Transforms variant);

}  // namespace sns::bench
