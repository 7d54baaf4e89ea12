#pragma once
// Initial vorticity fields w[i][j] at x_i = i L/n, y_j = j L/n, in physical units.
#include "core/config.hpp"
#include "solvers/spectral/grid.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sns::kolmogorov {

/// Position of the first grid point along either axis, in spacings.
inline constexpr double kGridOffset = 0;

/// The `solver.initial` block.
struct InitialConfig {
  std::string kind = "filtered_velocity";  ///< also rest, laminar, taylor_green, file
  double max_velocity = 7;                 ///< largest speed of a filtered velocity field
  double peak_wavenumber = 4;              ///< of its spectrum, in periods per domain
  int iterations = 3;                      ///< of projection and rescaling
  int wavenumber = 1;                      ///< of the Taylor-Green vortices, in periods per domain
  std::string path;                        ///< "FILE.h5:/dataset", [n][n] or [trajectory][n][n]
  bool resample = false;                   ///< takes a file's states from another grid
  std::optional<std::uint64_t> states;     ///< SolverInfo::initial_states, as kind and file say
};

/// Velocity on the faces of the cells: u at ((i+1) dx, (j+1/2) dy), v at ((i+1/2) dx, (j+1) dy).
struct StaggeredVelocity {
  std::vector<double> u, v;
};

/// Removes the divergence (backward differences) by the gradient (forward differences) of a potential: the
/// discrete Helmholtz projection of a periodic staggered grid, solved by Fourier transforms.
void project(StaggeredVelocity& velocity, const spectral::Grid& grid);
/// Multiplies so that the largest sqrt(u^2 + v^2), taken index by index, is `speed`.
void scale_to_max_speed(StaggeredVelocity& velocity, double speed);
/// w = dv/dx - du/dy by forward differences.
std::vector<double> curl(const StaggeredVelocity& velocity, const spectral::Grid& grid);

/// jax-cfd's filtered_velocity_field: white noise filtered to a log-normal energy spectrum around the peak
/// wavenumber, made divergence free and scaled `iterations` times. Statistically the same fields; the noise is
/// the suite's own stream of (seed, trajectory).
StaggeredVelocity filtered_velocity(const spectral::Grid& grid, const InitialConfig& config, std::uint64_t seed,
                                    std::uint64_t trajectory);

/// Steady solution of the forced flow, w = -A k cos(k y) / (nu k^2 + mu).
std::vector<double> laminar(const spectral::Grid& grid, int wavenumber, double amplitude, double viscosity,
                            double drag);
/// w = 2 k^2 cos(k x) cos(k y), which decays as exp(-(2 nu k^2 + mu) t) without forcing.
std::vector<double> taylor_green(const spectral::Grid& grid, int wavenumber);
/// Field of the configured file; Error if it has another shape. With a leading axis, the item `trajectory`.
std::vector<double> from_file(const spectral::Grid& grid, const InitialConfig& config,
                              std::uint64_t trajectory);
/// How many states such a file holds; records in the `initial` block which ones (record_initial_file).
std::uint64_t states_in_file(Section& initial, const spectral::Grid& grid, const InitialConfig& config);

}  // namespace sns::kolmogorov
