#pragma once

namespace sns {

/// How a frame is reduced from the solver's n x n grid to m x m, m = n / factor.
enum class Coarsening {
  none,
  spectral,  ///< truncated to |k| <= m/2, Nyquist row and column as they are (jax-cfd's downsample_spectral)
  spectral_filtered,  ///< the same with the coarse grid's Nyquist row and column set to zero
  block_mean          ///< mean over factor x factor cells
};

}  // namespace sns
