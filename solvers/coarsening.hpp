#pragma once

namespace sns {

/// How a frame is reduced from the solver's n x n grid to m x m, m = n / factor.
enum class Coarsening {
  none,
  spectral,  ///< truncated to |k| <= m/2, Nyquist row and column as they are (jax-cfd's downsample_spectral)
  spectral_filtered,  ///< the same with the coarse grid's Nyquist row and column set to zero
  block_mean          ///< mean over factor x factor cells
};

/// What a frame leaves out of the state, on the solver's grid, before it is coarsened.
enum class Removal {
  none,
  zonal_mean  ///< the mean over x: what is left is the eddy field
};

/// How a frame is made from the state.
struct CoarsenConfig {
  int factor = 1;  ///< n / m per axis
  Coarsening kind = Coarsening::none;
  Removal remove = Removal::none;
};

}  // namespace sns
