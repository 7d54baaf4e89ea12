#pragma once
// What programs of the label `gpu` share.
#include "core/config.hpp"
#include "solvers/cuda_plugin.hpp"
#include "tests/support/skip.hpp"
#include "tests/support/solver_cases.hpp"

#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace sns::test {

inline constexpr int kDeviceMembers = 3;

inline constexpr const char* kKolmogorovBlock =
    "{system: kolmogorov, grid: {points: 64}, viscosity: 1.0e-2, drag: 0.1, stepper: {dt: 0.005}, "
    "initial: {kind: filtered_velocity, max_velocity: 4.0, peak_wavenumber: 4}}";
inline constexpr const char* kQg2LayerBlock =
    "{system: qg2layer, grid: {points: 64, length: 1.0e+6}, beta: 1.5e-11, bottom_drag: 5.787e-7, "
    "deformation_radius: 15000.0, depth_ratio: 0.25, upper_depth: 500.0, mean_flow: [0.025, 0.0], "
    "stepper: {dt: 3600.0}, initial: {kind: pyqg}}";

/// Block and overrides of every way that a device's solver can take, in double precision.
struct DeviceCase {
  const char* block;
  Overrides overrides;
};
inline std::vector<DeviceCase> device_cases() {
  return {{kKolmogorovBlock, {{"advection", "advective"}}},
          {kKolmogorovBlock, {{"advection", "basdevant"}}},
          {kKolmogorovBlock, {{"advection", "basdevant"}, {"stepper.name", "imex_rk_sil3"}}},
          {kQg2LayerBlock, {}},
          {kQg2LayerBlock, {{"stepper.name", "rk4"}}},
          {kQg2LayerBlock, {{"stepper.startup", "runge_kutta"}}}};
}

/// Ends the program as skipped (exit code 77) where no device answers.
inline void skip_without_device() {
  std::string why;
  if (!cuda_usable(why)) skip_program(why);
}

/// A solver of kDeviceMembers initial states: trajectories 0, 1, ..
inline std::unique_ptr<Solver> started(const DeviceCase& what, const char* device, Overrides more = {}) {
  Overrides overrides = what.overrides;
  overrides.insert(overrides.end(), more.begin(), more.end());
  auto solver = solver_of(what.block, overrides, kDeviceMembers, 1, 5, device);
  for (int member = 0; member < kDeviceMembers; ++member)
    solver->initialise(member, static_cast<std::uint64_t>(member));
  return solver;
}

/// Sets an environment variable for as long as it lives.
class Environment {
 public:
  Environment(const char* name, const char* value) : name_(name) { ::setenv(name, value, 1); }
  ~Environment() { ::unsetenv(name_); }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  const char* name_;
};

}  // namespace sns::test
