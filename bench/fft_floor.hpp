#pragma once
// The transforms that a step cannot do without, and nothing else: the floor that it is held against.
// Kolmogorov flow, Basdevant form, CN-RK4: per stage one complex N x N transform back (u + iv) and one forward
// (its square); five stages. Two-layer quasi-geostrophic flow, AB3: three complex transforms back (q1 + i q2, u
// + iv of both layers) and two forward (q (u + iv)), none of them pruned.
#include <benchmark/benchmark.h>

namespace sns::bench {

/// Ways of doing the transforms with FFTW; the floor is the fastest of them.
enum class Transforms {
  real,           ///< 4 real-to-complex transforms of N x N per stage
  packed,         ///< 2 complex transforms of N x N per stage
  packed_pruned,  ///< the same by rows and columns, columns outside the 2/3 rule left out
  real_pruned,    ///< `real` by rows and columns, columns outside the 2/3 rule left out
};

/// Times the transforms of one step; state.range(0) = N. Plans are made several times and the fastest is kept:
/// on a busy machine a single measured plan may be two times slower.
template <class Real>
void transforms_of_a_step(benchmark::State& state, Transforms variant);

/// The same for a two-layer step; `real` does its ten real transforms, and there are no pruned variants.
template <class Real>
void transforms_of_a_two_layer_step(benchmark::State& state, Transforms variant);

}  // namespace sns::bench
