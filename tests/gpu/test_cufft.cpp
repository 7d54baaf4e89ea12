// The cuFFT backend against FFTW, step for step. Skipped (exit code 77) where no device answers.
#include "core/config.hpp"
#include "core/error.hpp"
#include "solvers/cuda_plugin.hpp"
#include "tests/support/gpu_tolerances.hpp"
#include "tests/support/solver_cases.hpp"

#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>

using namespace sns;
using namespace sns::test;

namespace {

constexpr int kMembers = 3;
constexpr int kSteps = 100;

constexpr const char* kKolmogorov =
    "solver: {system: kolmogorov, grid: {points: 64}, viscosity: 1.0e-2, drag: 0.1, stepper: {dt: 0.005}, "
    "initial: {kind: filtered_velocity, max_velocity: 4.0, peak_wavenumber: 4}}";
constexpr const char* kQg2Layer =
    "solver: {system: qg2layer, grid: {points: 64, length: 1.0e+6}, beta: 1.5e-11, bottom_drag: 5.787e-7, "
    "deformation_radius: 15000.0, depth_ratio: 0.25, upper_depth: 500.0, mean_flow: [0.025, 0.0], "
    "stepper: {dt: 3600.0}, initial: {kind: pyqg}}";

void skip_without_device() {
  std::string why;
  if (cuda_usable(why)) return;
  std::printf("skipped: no usable GPU: %s\n", why.c_str());
  std::fflush(stdout);
  std::_Exit(77);
}

std::unique_ptr<Solver> solver_on(const char* device, const char* yaml, const std::vector<std::string>& keys) {
  const Config config = Config::parse(yaml, keys);
  Section section = config.root().child("solver");
  auto solver = make_solver(section, 5, kMembers, 1, device);
  for (int member = 0; member < kMembers; ++member)
    solver->initialise(member, static_cast<std::uint64_t>(member));
  return solver;
}

void compare(const char* yaml, std::vector<std::string> keys) {
  skip_without_device();
  for (const bool single : {false, true}) {
    auto all = keys;
    all.push_back(std::string("solver.precision=") + (single ? "float32" : "float64"));
    const auto cpu = solver_on("cpu", yaml, all), gpu = solver_on("cuda", yaml, all);
    CHECK(cpu->info().backend == "fftw");
    REQUIRE(gpu->info().backend == "cufft");
    cpu->advance(kSteps);
    gpu->advance(kSteps);
    for (int member = 0; member < kMembers; ++member) {
      REQUIRE(gpu->status(member).alive);
      const double error = relative_error(state_of(*gpu, member), state_of(*cpu, member));
      MESSAGE(cpu->info().system, " ", cpu->info().precision, " member ", member, ": ", error);
      CHECK(error < (single ? tolerance::kDeviceSingle : tolerance::kDevice));
    }
    for (const CoarsenConfig& coarsen :
         {CoarsenConfig{2, Coarsening::spectral}, CoarsenConfig{2, Coarsening::block_mean},
          CoarsenConfig{2, Coarsening::block_mean, Removal::zonal_mean}}) {
      std::vector<float> frame(cpu->frame_size(2)), expected(frame.size());
      gpu->frame(1, coarsen, frame);
      cpu->frame(1, coarsen, expected);
      CHECK(relative_error(frame, expected) < tolerance::kDeviceSingle);
    }
  }
}

/// A run that is saved, restored into another solver and continued ends as one that went through, bit for bit:
/// in its start-up and later.
void restore_on_device(const char* yaml, const std::vector<std::string>& keys) {
  skip_without_device();
  const auto whole = solver_on("cuda", yaml, keys);
  whole->advance(kSteps);
  for (const int saved_at : {1, 2, 50}) {
    CAPTURE(saved_at);
    const auto first = solver_on("cuda", yaml, keys), second = solver_on("cuda", yaml, keys);
    first->advance(saved_at);
    for (int member = 0; member < kMembers; ++member) second->restore(member, first->save(member));
    second->advance(kSteps - saved_at);
    for (int member = 0; member < kMembers; ++member) {
      CHECK(second->step(member) == kSteps);
      CHECK(state_of(*second, member) == state_of(*whole, member));
    }
  }
}

}  // namespace

TEST_CASE("cuFFT and FFTW agree: Kolmogorov flow, advective form") {
  compare(kKolmogorov, {"solver.advection=advective"});
}

TEST_CASE("cuFFT and FFTW agree: Kolmogorov flow, Basdevant's form") {
  compare(kKolmogorov, {"solver.advection=basdevant"});
}

TEST_CASE("cuFFT and FFTW agree: two-layer quasi-geostrophic flow") {
  compare(kQg2Layer, {});
  compare(kQg2Layer, {"solver.stepper.name=rk4"});
  compare(kQg2Layer, {"solver.stepper.startup=runge_kutta"});
}

TEST_CASE("runs on a device go on bit for bit from saved states") {
  restore_on_device(kKolmogorov, {});
  restore_on_device(kQg2Layer, {});
  restore_on_device(kQg2Layer, {"solver.stepper.startup=runge_kutta"});
}
