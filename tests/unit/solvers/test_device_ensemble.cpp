// Whole solvers on the device's path, without a device: frames that stay in its memory, and members that fail
// there.
#include "solvers/spectral/ensemble.hpp"
#include "tests/support/device_path.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

using namespace sns;
using namespace sns::test;

namespace {

template <class Params>
std::unique_ptr<Solver> solver_on(std::unique_ptr<spectral::Engine> engine, const Params& p,
                                  const SolverInfo& like, double max_courant) {
  spectral::EnsembleSetup setup;
  setup.info = like;
  setup.engine = std::move(engine);
  setup.members = kMembers;
  setup.spacing = p.grid.spacing();
  setup.max_courant = max_courant;
  setup.identity = "shuffled";
  return std::make_unique<spectral::EnsembleSolver>(std::move(setup));
}
/// A Solver over the device's path. max_courant is out of the way.
template <class Params>
std::unique_ptr<Solver> shuffled_solver(const Params& p, const SolverInfo& like,
                                        const std::shared_ptr<ShuffledQueue>& queue) {
  return solver_on(shuffled_engine(p, kMembers, queue), p, like, 1e9);
}

template <class Params>
void check_frames_on_device(const Params& p) {
  const auto like = make_case(p, {});
  const auto queue = std::make_shared<ShuffledQueue>();
  for (const CoarsenConfig& coarsen :
       {CoarsenConfig{1, Coarsening::none}, CoarsenConfig{2, Coarsening::spectral_filtered},
        CoarsenConfig{2, Coarsening::block_mean, Removal::zonal_mean}}) {
    const auto to_host = shuffled_solver(p, like->info(), queue),
               to_device = shuffled_solver(p, like->info(), queue);
    const FrameRequest request{4, 3, coarsen};
    std::vector<float> host(4 * kMembers * to_host->frame_size(coarsen.factor));
    const std::shared_ptr<float> device = to_device->frame_memory(host.size());
    for (Solver* solver : {to_host.get(), to_device.get()}) {
      for (int m = 0; m < kMembers; ++m) solver->set_state(m, start(p, m));
      solver->retire(2, {true, 0, "taken out"});
    }
    to_host->record(request, host);
    const int before = queue->host_copies;
    to_device->record_in_place(request, device.get(), host.size() / kMembers);
    CHECK(queue->host_copies == before + request.frames + 1);  // whether frames are finite, and the end
    CHECK(std::memcmp(host.data(), device.get(), host.size() * sizeof(float)) == 0);
    const std::size_t of_member = host.size() / kMembers;
    CHECK(std::all_of(host.begin(), host.begin() + 2 * of_member, [](float x) { return std::isfinite(x); }));
    CHECK(std::all_of(host.begin() + 2 * of_member, host.end(), [](float x) { return std::isnan(x); }));
    for (int m = 0; m < kMembers; ++m) {
      CHECK(to_device->step(m) == to_host->step(m));
      CHECK(to_device->save(m) == to_host->save(m));
    }
  }
}

}  // namespace

TEST_CASE("frames in the device's memory are the frames that the host gets") {
  kolmogorov::Params flow;
  flow.grid.n = kPoints;
  check_frames_on_device(flow);
  check_frames_on_device(eddy_case(kPoints));
}

TEST_CASE("a member that overflows fails in the device's memory as on the host") {
  kolmogorov::Params p;
  p.grid.n = kPoints;
  p.dt = 10;  // no scheme is stable
  const auto like = make_case(p, {{"max_courant", "1e9"}});
  for (const bool on_device : {false, true}) {
    const auto solver = shuffled_solver(p, like->info(), std::make_shared<ShuffledQueue>());
    for (int m = 0; m < kMembers; ++m) solver->set_state(m, start(p, m));
    solver->set_state(1, std::vector<double>(p.grid.points(), 0.0));  // rest: forced, but slow to grow
    const FrameRequest request{3, 5, {}};
    std::vector<float> frames(3 * kMembers * p.grid.points());
    if (on_device)
      solver->record_in_place(request, frames.data(), frames.size() / kMembers);
    else
      solver->record(request, frames);
    CHECK_FALSE(solver->status(0).alive);
    CHECK(solver->status(0).reason == "the state is not finite");
    CHECK(std::isnan(frames[2 * p.grid.points()]));
  }
}

namespace {

/// u = speed sin(4 y), which the forcing drives on: du/dt = 1 - 0.116 u.
std::vector<double> laminar(const kolmogorov::Params& p, double speed) {
  std::vector<double> w(p.grid.points());
  for (std::size_t at = 0; at < w.size(); ++at) {
    const double y = static_cast<double>(at % static_cast<std::size_t>(p.grid.n)) * p.grid.spacing();
    w[at] = -4 * speed * std::cos(4 * y);
  }
  return w;
}

/// Of 32 x 32 points and dt = 0.004; the limit is a speed of 2.454.
kolmogorov::Params laminar_case() {
  kolmogorov::Params p;
  p.grid.n = kPoints;
  p.dt = 0.004;
  return p;
}
constexpr double kLaminarLimit = 0.05;
constexpr double kPassesAtStep44 = 2.32865, kPassesAtStep5 = 2.44;

}  // namespace

TEST_CASE("looks that are read late find what looks at once find") {
  const kolmogorov::Params p = laminar_case();
  const auto like = make_case(p, {});
  const auto queue = std::make_shared<ShuffledQueue>();
  const auto host = solver_on(fftw_engine(p), p, like->info(), kLaminarLimit),
             device = solver_on(shuffled_engine(p, kMembers, queue), p, like->info(), kLaminarLimit);
  for (Solver* solver : {host.get(), device.get()}) {
    solver->set_state(0, laminar(p, kPassesAtStep44));
    solver->set_state(1, laminar(p, 0));
    solver->set_state(2, laminar(p, 0));
    solver->advance(7);
    // Its neighbours' looks, the next one at its step 13, are none at it, nor are its own at them.
    solver->set_state(2, laminar(p, kPassesAtStep5));
  }
  const int before = queue->host_copies;
  device->advance(40);  // looks at steps 20, 27, 40 and 47
  CHECK(queue->host_copies == before + 1);
  host->advance(40);
  for (Solver* solver : {host.get(), device.get()}) solver->advance(93);
  const std::int64_t steps[] = {60, 140, 20};
  for (int m = 0; m < kMembers; ++m) {
    CAPTURE(m);
    CHECK(device->status(m).alive == (m == 1));
    CHECK(device->status(m).alive == host->status(m).alive);
    CHECK(device->status(m).failed_step == host->status(m).failed_step);
    CHECK(device->status(m).reason == host->status(m).reason);
    CHECK(device->step(m) == steps[m]);
    CHECK(host->step(m) == steps[m]);
  }
  CHECK(device->status(0).reason.starts_with("Courant number 0.0"));
}

TEST_CASE("an ensemble whose last member has failed goes on no further than to the next reading") {
  const kolmogorov::Params p = laminar_case();
  const auto like = make_case(p, {});
  const auto queue = std::make_shared<ShuffledQueue>();
  const auto solver = solver_on(shuffled_engine(p, kMembers, queue), p, like->info(), kLaminarLimit);
  for (int m = 0; m < kMembers; ++m) solver->set_state(m, laminar(p, kPassesAtStep44));
  const int before = queue->host_copies;
  solver->advance(1'000'000'000);
  CHECK(queue->host_copies == before + 1);
  for (int m = 0; m < kMembers; ++m) CHECK(solver->status(m).failed_step == 60);
}
