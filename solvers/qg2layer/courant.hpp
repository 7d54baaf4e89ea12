#pragma once
#include "solvers/qg2layer/params.hpp"

namespace sns::qg2layer {

/// Largest Courant number c dt / dx at which a uniform flow of speed c carries every mode without amplifying
/// it. A mode of wavenumber K turns by K c dt a step, and then meets the filter: the scheme is stable as long
/// as no K up to the corner of the spectrum, sqrt(2) pi / dx, has filter(K) times amplification beyond 1. On
/// the imaginary axis AB3 is stable up to 0.7236 and RK4 up to 2.828, but what counts with the usual filter (65
/// %, 23.6) are the modes just beyond its cutoff, which it damps by a few per cent a step only: 0.324 for AB3
/// (0.7236 / 0.65 pi would be 0.354) and 1.240 for RK4; without a filter 0.163 and 0.637.
double stable_courant(const Params& params);

}  // namespace sns::qg2layer
