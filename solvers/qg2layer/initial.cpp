#include "solvers/qg2layer/initial.hpp"

#include "core/random.hpp"
#include "solvers/initial_file.hpp"
#include "solvers/qg2layer/stability.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

namespace sns::qg2layer {
namespace {

/// pyqg's default: white noise and noise that depends on x alone, both with positive mean.
void pyqg_state(const Params& params, RandomStream& random, std::span<double> q) {
  constexpr double kNoise = 1e-7, kStripes = 1e-6;
  const auto n = static_cast<std::size_t>(params.grid.n);
  std::vector<double> stripes(n);
  for (double& stripe : stripes) stripe = kStripes * random.uniform();
  for (std::size_t y = 0; y < n; ++y)
    for (std::size_t x = 0; x < n; ++x) q[y * n + x] = kNoise * random.uniform() + stripes[x];
  std::fill(q.begin() + static_cast<std::ptrdiff_t>(n * n), q.end(), 0.0);
}

void perturb(double amplitude, RandomStream& random, std::span<double> q) {
  std::vector<double> noise(q.size() / 2);
  for (std::size_t z = 0; z < 2; ++z) {
    random.fill_normal(std::span(noise));
    const double mean = std::accumulate(noise.begin(), noise.end(), 0.0) / static_cast<double>(noise.size());
    const double factor = z == 0 ? amplitude : -amplitude;
    for (std::size_t i = 0; i < noise.size(); ++i) q[z * noise.size() + i] += factor * (noise[i] - mean);
  }
}

Mode chosen_mode(const Params& params, const std::optional<std::vector<int>>& wavenumber) {
  if (!wavenumber) return most_unstable(params);
  const int k = (*wavenumber)[0], l = (*wavenumber)[1];
  return unstable_mode(params, l < 0 ? l + params.grid.n : l, k);
}

void eigenmode(const Params& params, const Mode& mode, double amplitude, std::span<double> q) {
  const int n = params.grid.n, l = spectral::row_wavenumber(mode.i, n), k = mode.j;
  std::size_t at = 0;
  for (int z = 0; z < 2; ++z)
    for (int y = 0; y < n; ++y)
      for (int x = 0; x < n; ++x, ++at) {
        const double phase = 2 * std::numbers::pi * (k * (x + kGridOffset) + l * (y + kGridOffset)) / n;
        q[at] = amplitude * (mode.q[static_cast<std::size_t>(z)] * std::polar(1.0, phase)).real();
      }
}

StateLayout file_layout(const Params& params, const InitialConfig& config) {
  const auto n = static_cast<std::uint64_t>(params.grid.n);
  return {.shape = {2, n, n}, .offset = kGridOffset, .resample = config.resample, .axes = "layer, y, x"};
}

/// SolverInfo::initial_states. Records in the `initial` block which states its file holds.
std::optional<std::uint64_t> own_states(Section& section, const Params& params, const InitialConfig& config) {
  const bool draws = config.kind == "pyqg" || config.kind == "perturbed";
  if (config.path.empty()) return draws ? std::nullopt : std::optional<std::uint64_t>(1);
  const auto in_file = record_initial_file(section, config.path, file_layout(params, config));
  return in_file || draws ? in_file : std::optional<std::uint64_t>(1);
}

}  // namespace

InitialConfig read_initial(Section section, const Params& params) {
  InitialConfig config;
  section.maybe("kind", config.kind, one_of({"pyqg", "perturbed", "eigenmode", "rest", "file"}));
  section.maybe("amplitude", config.amplitude, positive);
  section.maybe("wavenumber", config.wavenumber);
  const bool is_perturbed = config.kind == "perturbed", is_eigenmode = config.kind == "eigenmode";
  read_initial_path(section, config.kind, config.kind == "file" || is_perturbed, config.path, config.resample);
  check_use(section, config.kind, "amplitude", config.amplitude.has_value(), is_perturbed || is_eigenmode);
  check_use(section, config.kind, "wavenumber", config.wavenumber.has_value(), is_eigenmode);
  if (config.wavenumber) {
    const int half = params.grid.n / 2;
    const std::vector<int>& k = *config.wavenumber;
    if (k.size() != 2 || k[0] < 1 || k[0] >= half || k[1] <= -half || k[1] >= half)
      section.reject("wavenumber", fmt::format("must be [k, l] with 1 <= k < {0} and -{0} < l < {0}", half));
  }
  if (is_eigenmode && !config.wavenumber && most_unstable(params).growth() <= 0)
    section.reject("kind", "eigenmode: this mean flow has no growing mode; give a wavenumber");
  config.states = own_states(section, params, config);
  return config;
}

void initial_state(const Params& params, const InitialConfig& config, std::uint64_t seed,
                   std::uint64_t trajectory, std::span<double> out) {
  RandomStream random(seed, Purpose::initial_condition, trajectory);
  std::fill(out.begin(), out.end(), 0.0);
  if (config.kind == "pyqg") {
    pyqg_state(params, random, out);
  } else if (config.kind == "perturbed") {
    if (config.path.empty())
      pyqg_state(params, random, out);
    else
      read_initial_file(config.path, file_layout(params, config), trajectory, out);
    perturb(config.amplitude.value_or(1e-7), random, out);
  } else if (config.kind == "eigenmode") {
    eigenmode(params, chosen_mode(params, config.wavenumber), config.amplitude.value_or(1e-10), out);
  } else if (config.kind == "file") {
    read_initial_file(config.path, file_layout(params, config), trajectory, out);
  }
}

}  // namespace sns::qg2layer
