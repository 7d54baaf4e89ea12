// The cuFFT backend: against FFTW step for step, against recorded runs, and against itself. Skipped (exit code
// 77) where no device answers.
#include "core/error.hpp"
#include "tests/support/golden_samples.hpp"
#include "tests/support/gpu_tests.hpp"
#include "tests/support/gpu_tolerances.hpp"
#include "tests/support/kolmogorov_cases.hpp"
#include "tests/support/qg2layer_cases.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

using namespace sns;
using namespace sns::test;

namespace {

constexpr int kSteps = 100;

void compare_with_fftw(const DeviceCase& what) {
  skip_without_device();
  for (const char* precision : {"float64", "float32"}) {
    const bool single = std::string(precision) == "float32";
    const auto cpu = started(what, "cpu", {{"precision", precision}}),
               gpu = started(what, "cuda", {{"precision", precision}});
    CHECK(cpu->info().backend == "fftw");
    REQUIRE(gpu->info().backend == "cufft");
    cpu->advance(kSteps);
    gpu->advance(kSteps);
    for (int member = 0; member < kDeviceMembers; ++member) {
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

/// A solver that stands beside the recorded run of a golden file, against all its steps.
void compare_with_record(Solver& solver, const h5::Group& run, const std::string& field, std::size_t fields,
                         bool single, const std::string& label) {
  const auto steps = run.dataset("steps").read<std::int64_t>();
  const Record expected(run.dataset(field));
  solver.set_state(0, run.dataset(field + "0").read<double>());
  for (std::size_t s = 0; s < steps.size(); ++s) {
    solver.advance(steps[s] - solver.step(0));
    solver.check_members();
    REQUIRE(solver.status(0).alive);
    const double error = expected.error(state_of(solver), fields * s);
    MESSAGE(label, " step ", steps[s], ": ", error);
    if (single)
      CHECK(error < (steps[s] > 100 ? tolerance::kSingle1000 : tolerance::kSingle100));
    else
      CHECK(error < tolerance::kDevice);
  }
}

bool same_bits(const Solver& a, const Solver& b) {
  for (int member = 0; member < kDeviceMembers; ++member)
    if (a.save(member) != b.save(member)) return false;
  return true;
}

}  // namespace

TEST_CASE("cuFFT and FFTW agree: Kolmogorov flow") {
  for (const DeviceCase& what : device_cases())
    if (what.block == kKolmogorovBlock) compare_with_fftw(what);
}

TEST_CASE("cuFFT and FFTW agree: two-layer quasi-geostrophic flow") {
  for (const DeviceCase& what : device_cases())
    if (what.block == kQg2LayerBlock) compare_with_fftw(what);
}

TEST_CASE("recorded runs of jax-cfd are reproduced on the device") {
  skip_without_device();
  for (const char* name : {"kolmogorov_n64.h5", "kolmogorov_n128.h5"})
    for (const char* start : {"ic_random", "ic_developed"})
      for (const char* precision : {"float64", "float32"}) {
        const h5::File file = golden(name);
        const auto solver = make_case(recorded_flow(file),
                                      {{"advection", "advective"}, {"precision", precision}}, 1, 1, 1, "cuda");
        compare_with_record(*solver, file.group(start), "w", 1, std::string(precision) == "float32",
                            std::string(name) + " " + start + " " + precision);
      }
}

TEST_CASE("recorded runs of pyqg are reproduced on the device") {
  skip_without_device();
  for (const char* name : {"qg_jet_nx64.h5", "qg_eddy_nx64.h5", "qg_jet_nx128.h5", "qg_eddy_nx128.h5"})
    for (const char* precision : {"float64", "float32"}) {
      const h5::File file = golden(name);
      const auto solver = make_case(params_of(file), {{"precision", precision}}, 1, 1, 1, "cuda");
      compare_with_record(*solver, file.group("ic_developed"), "q", 2, std::string(precision) == "float32",
                          std::string(name) + " " + precision);
    }
}

TEST_CASE("runs on a device go on bit for bit from saved states, in their start-up and later") {
  skip_without_device();
  for (const DeviceCase& what : device_cases()) {
    const auto whole = started(what, "cuda");
    whole->advance(kSteps);
    for (const int saved_at : {1, 2, 50}) {
      CAPTURE(saved_at);
      const auto first = started(what, "cuda"), second = started(what, "cuda");
      first->advance(saved_at);
      for (int member = 0; member < kDeviceMembers; ++member) second->restore(member, first->save(member));
      second->advance(kSteps - saved_at);
      CHECK(second->step(0) == kSteps);
      CHECK(same_bits(*second, *whole));
    }
  }
}

TEST_CASE("steps replayed as graphs have the bits of steps called one by one") {
  skip_without_device();
  for (const DeviceCase& what : device_cases())
    for (const char* precision : {"float64", "float32"}) {
      const Overrides precise{{"precision", precision}};
      const auto graphs = started(what, "cuda", precise);
      std::unique_ptr<Solver> plain;
      {
        const Environment off("SNS_CUDA_GRAPHS", "0");
        plain = started(what, "cuda", precise);
      }
      std::vector<float> frame(plain->frame_size(2));
      for (Solver* solver : {graphs.get(), plain.get()}) {
        solver->advance(37);
        // Plans of another size may move the workspace that recordings know.
        solver->frame(0, {2, Coarsening::block_mean}, frame);
        solver->initialise(1, 7);  // a member in its start-up among others
        solver->advance(37);
      }
      CHECK(same_bits(*graphs, *plain));
    }
}

TEST_CASE("a member does not depend on its neighbours, and hardly on how many there are") {
  skip_without_device();
  for (const DeviceCase& what : device_cases()) {
    const auto batch = started(what, "cuda"), others = started(what, "cuda");
    others->initialise(0, 8);
    others->initialise(2, 9);
    auto alone = solver_of(what.block, what.overrides, 1, 1, 5, "cuda");
    alone->initialise(0, 1);
    for (Solver* solver : {batch.get(), others.get(), alone.get()}) solver->advance(kSteps);
    CHECK(batch->save(1) == others->save(1));
    // cuFFT may choose other kernels for another number of transforms.
    CHECK(relative_error(state_of(*batch, 1), state_of(*alone)) < tolerance::kDevice);
  }
}

TEST_CASE("a member that fails on the device leaves the others alone") {
  skip_without_device();
  const DeviceCase what{kKolmogorovBlock, {{"max_courant", "1.0e+9"}, {"stepper.dt", "0.02"}}};
  const auto whole = started(what, "cuda"), struck = started(what, "cuda"), host = started(what, "cpu");
  std::vector<double> violent = state_of(*struck, 1);
  for (double& value : violent) value *= 1e4;
  for (Solver* solver : {struck.get(), host.get()}) solver->set_state(1, violent);
  for (Solver* solver : {struck.get(), host.get(), whole.get()}) solver->advance(kSteps);
  CHECK_FALSE(struck->status(1).alive);
  CHECK(struck->status(1).failed_step == host->status(1).failed_step);
  CHECK(struck->status(1).reason == host->status(1).reason);
  CHECK(struck->step(1) == host->step(1));
  for (const int member : {0, 2}) {
    CHECK(struck->status(member).alive);
    CHECK(struck->save(member) == whole->save(member));
  }
}

TEST_CASE("devices are chosen by name, and what a step moves is counted") {
  skip_without_device();
  const DeviceCase what = device_cases().front();
  CHECK(started(what, "auto")->info().backend == "cufft");
  const auto solver = started(what, "cuda:0");
  CHECK(solver->device() == 0);
  CHECK(solver->device_bytes_per_step() > 0);
  CHECK(started(what, "cpu")->device_bytes_per_step() == 0);
  CHECK_THROWS_WITH_AS(started(what, "cuda:99"), doctest::Contains("device cuda:99 cannot be used: there"),
                       Error);
}

TEST_CASE("every kernel in short runs") {
  // For compute-sanitizer, under which a run is a hundred times slower: small grids, twelve steps by graphs of
  // one and of ten, frames of every kind, guards, save and restore.
  skip_without_device();
  for (const DeviceCase& what : device_cases())
    for (const char* precision : {"float64", "float32"}) {
      const auto solver = started(what, "cuda", {{"precision", precision}, {"grid.points", "16"}});
      solver->advance(12);
      for (const CoarsenConfig& coarsen :
           {CoarsenConfig{1, Coarsening::none}, CoarsenConfig{2, Coarsening::spectral},
            CoarsenConfig{2, Coarsening::spectral_filtered}, CoarsenConfig{2, Coarsening::block_mean},
            CoarsenConfig{2, Coarsening::block_mean, Removal::zonal_mean}}) {
        const std::size_t size = solver->frame_size(coarsen.factor);
        const std::shared_ptr<float> memory = solver->frame_memory(2 * kDeviceMembers * size);
        solver->record_in_place({2, 1, coarsen}, memory.get(), 2 * size);
        std::vector<float> frame(size);
        solver->frame(1, coarsen, frame);
        CHECK(std::all_of(frame.begin(), frame.end(), [](float x) { return std::isfinite(x); }));
      }
      solver->check_members();
      solver->restore(0, solver->save(1));
      solver->advance(2);
      CHECK(relative_error(state_of(*solver, 0), state_of(*solver, 1)) < tolerance::kDeviceSingle);
      solver->retire(2, {false, 0, "taken out"});
      const std::size_t size = solver->frame_size(1);
      const std::shared_ptr<float> memory = solver->frame_memory(kDeviceMembers * size);
      solver->record_in_place({1, 1, {}}, memory.get(), size);
    }
}
