#include "solvers/kolmogorov/initial.hpp"

#include "core/error.hpp"
#include "core/random.hpp"
#include "solvers/initial_file.hpp"
#include "solvers/spectral/real_transform.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace sns::kolmogorov {
namespace {

using spectral::Grid;
using spectral::RealTransform;

/// Flat index of (i, j) on the periodic grid, for offsets of at most one period.
std::size_t wrap(int i, int j, int n) {
  return static_cast<std::size_t>((i + n) % n) * static_cast<std::size_t>(n) +
         static_cast<std::size_t>((j + n) % n);
}

template <class F>
std::vector<double> tabulate(const Grid& grid, F value) {
  std::vector<double> field;
  field.reserve(grid.points());
  for (int i = 0; i < grid.n; ++i)
    for (int j = 0; j < grid.n; ++j) field.push_back(value(i, j));
  return field;
}

StateLayout file_layout(const Grid& grid, const InitialConfig& config) {
  const auto n = static_cast<std::uint64_t>(grid.n);
  return {.shape = {n, n}, .offset = kGridOffset, .resample = config.resample, .axes = "x, y"};
}

std::vector<double> divergence(const StaggeredVelocity& velocity, const Grid& grid) {
  const int n = grid.n;
  return tabulate(grid, [&](int i, int j) {
    return (velocity.u[wrap(i, j, n)] - velocity.u[wrap(i - 1, j, n)] + velocity.v[wrap(i, j, n)] -
            velocity.v[wrap(i, j - 1, n)]) /
           grid.spacing();
  });
}

/// Multiplies a field's spectrum by a real symbol(kx, ky) of integer wavenumbers.
template <class F>
void filter(std::vector<double>& field, RealTransform& transform, F symbol) {
  const int n = transform.n();
  const auto spectrum = transform.forward(field);
  std::vector<std::complex<double>> product(spectrum.begin(), spectrum.end());
  std::size_t at = 0;
  for (int i = 0; i < n; ++i)
    for (int j = 0; j <= n / 2; ++j, ++at) product[at] *= symbol(spectral::row_wavenumber(i, n), j);
  transform.inverse(product, field);
}

}  // namespace

void project(StaggeredVelocity& velocity, const Grid& grid) {
  const int n = grid.n;
  const double dx = grid.spacing();
  std::vector<double> potential = divergence(velocity, grid);
  RealTransform transform(n);
  const auto sine2 = [n](int k) { return std::pow(std::sin(std::numbers::pi * k / n), 2); };
  filter(potential, transform,
         [&](int kx, int ky) { return kx == 0 && ky == 0 ? 0.0 : -dx * dx / (4 * (sine2(kx) + sine2(ky))); });
  for (int i = 0; i < n; ++i)
    for (int j = 0; j < n; ++j) {
      const std::size_t at = wrap(i, j, n);
      velocity.u[at] -= (potential[wrap(i + 1, j, n)] - potential[at]) / dx;
      velocity.v[at] -= (potential[wrap(i, j + 1, n)] - potential[at]) / dx;
    }
}

void scale_to_max_speed(StaggeredVelocity& velocity, double speed) {
  double largest = 0;
  for (std::size_t i = 0; i < velocity.u.size(); ++i)
    largest = std::max(largest, std::hypot(velocity.u[i], velocity.v[i]));
  require(largest > 0, "a velocity field of zeros cannot be scaled to speed {}", speed);
  for (double& u : velocity.u) u *= speed / largest;
  for (double& v : velocity.v) v *= speed / largest;
}

std::vector<double> curl(const StaggeredVelocity& velocity, const Grid& grid) {
  const int n = grid.n;
  return tabulate(grid, [&](int i, int j) {
    const std::size_t at = wrap(i, j, n);
    return (velocity.v[wrap(i + 1, j, n)] - velocity.v[at] - velocity.u[wrap(i, j + 1, n)] + velocity.u[at]) /
           grid.spacing();
  });
}

StaggeredVelocity filtered_velocity(const Grid& grid, const InitialConfig& config, std::uint64_t seed,
                                    std::uint64_t trajectory) {
  // exp(-(m - ln k)^2 / (2 s2) - ln k) is a log-normal density with mode at the peak wavenumber; the
  // further 1/k makes it a density per mode of a two-dimensional plane.
  constexpr double kVariance = 0.25;
  const double mean = std::log(config.peak_wavenumber) + kVariance;
  const auto symbol = [&](int kx, int ky) {
    if (kx == 0 && ky == 0) return 0.0;
    const double k = std::hypot(kx, ky), log_k = std::log(k);
    return std::exp(-(mean - log_k) * (mean - log_k) / (2 * kVariance) - log_k) / k;
  };
  RandomStream noise(seed, Purpose::initial_condition, trajectory);
  RealTransform transform(grid.n);
  StaggeredVelocity velocity{std::vector<double>(grid.points()), std::vector<double>(grid.points())};
  for (std::vector<double>* component : {&velocity.u, &velocity.v}) {
    noise.fill_normal(std::span<double>(*component));
    filter(*component, transform, symbol);
  }
  for (int k = 0; k < config.iterations; ++k) {
    project(velocity, grid);
    scale_to_max_speed(velocity, config.max_velocity);
  }
  return velocity;
}

std::vector<double> laminar(const Grid& grid, int wavenumber, double amplitude, double viscosity, double drag) {
  const double k = grid.unit() * wavenumber;
  return tabulate(grid, [&](int, int j) {
    return -amplitude * k / (viscosity * k * k + drag) * std::cos(k * j * grid.spacing());
  });
}

std::vector<double> taylor_green(const Grid& grid, int wavenumber) {
  const double k = grid.unit() * wavenumber, dx = grid.spacing();
  return tabulate(grid, [&](int i, int j) { return 2 * k * k * std::cos(k * i * dx) * std::cos(k * j * dx); });
}

std::vector<double> from_file(const Grid& grid, const InitialConfig& config, std::uint64_t trajectory) {
  std::vector<double> field(grid.points());
  read_initial_file(config.path, file_layout(grid, config), trajectory, field);
  return field;
}

std::uint64_t states_in_file(Section& initial, const Grid& grid, const InitialConfig& config) {
  return record_initial_file(initial, config.path, file_layout(grid, config)).value_or(1);
}

}  // namespace sns::kolmogorov
