// The device's code without a device: launch arithmetic, and the very functors, layouts and sequences that run
// there, on a backend that calls a kernel's threads in shuffled order, against the FFTW solvers.
#include "core/random.hpp"
#include "solvers/kolmogorov/equation.hpp"
#include "solvers/qg2layer/equation.hpp"
#include "solvers/spectral/batch_engine.hpp"
#include "solvers/spectral/ensemble.hpp"
#include "tests/support/gpu_tolerances.hpp"
#include "tests/support/kolmogorov_cases.hpp"
#include "tests/support/qg2layer_cases.hpp"
#include "tests/support/shuffled_backend.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace sns;
using namespace sns::test;

namespace {

constexpr int kPoints = 32;
constexpr int kMembers = 3;
constexpr int kSteps = 33;  // start-up, one step by itself, graphs of ten, single ones

template <class Params>
std::unique_ptr<spectral::Engine> fftw_engine(const Params& params, int members = kMembers) {
  return make_fftw_engine(params, members, 1);
}

template <class Real>
std::unique_ptr<spectral::Engine> shuffled(const kolmogorov::Params& params, int members,
                                           const std::shared_ptr<ShuffledQueue>& queue) {
  using Backend = ShuffledBackend<Real>;
  const Backend backend(queue);
  if (params.advection == kolmogorov::Advection::advective)
    return std::make_unique<
        spectral::BatchEngine<Backend, kolmogorov::Equation<Backend, kolmogorov::AdvectiveForm<Backend>>>>(
        backend, params, members, members, 1);
  return std::make_unique<
      spectral::BatchEngine<Backend, kolmogorov::Equation<Backend, kolmogorov::BasdevantForm<Backend>>>>(
      backend, params, members, members, 1);
}
template <class Real>
std::unique_ptr<spectral::Engine> shuffled(const qg2layer::Params& params, int members,
                                           const std::shared_ptr<ShuffledQueue>& queue) {
  using Backend = ShuffledBackend<Real>;
  using Transforms = spectral::RealFluxTransforms<Backend, qg2layer::FluxShape>;
  return std::make_unique<spectral::BatchEngine<Backend, qg2layer::Equation<Backend, Transforms>>>(
      Backend(queue), params, members, members, 1);
}
template <class Params>
std::unique_ptr<spectral::Engine> shuffled_engine(const Params& params, int members = kMembers,
                                                  std::shared_ptr<ShuffledQueue> queue = nullptr) {
  if (!queue) queue = std::make_shared<ShuffledQueue>();
  return params.single_precision ? shuffled<float>(params, members, queue)
                                 : shuffled<double>(params, members, queue);
}

std::size_t state_size(const kolmogorov::Params& p) {
  return p.grid.points();
}
std::size_t state_size(const qg2layer::Params& p) {
  return 2 * p.grid.points();
}

/// White noise in every mode, the Nyquist ones too, of a size at which advection matters.
std::vector<double> start(const kolmogorov::Params& p, int member) {
  RandomStream stream(static_cast<std::uint64_t>(member), Purpose::initial_condition);
  std::vector<double> w(state_size(p));
  for (double& value : w) value = 10 * stream.normal();
  return w;
}
std::vector<double> start(const qg2layer::Params& p, int member) {
  RandomStream stream(static_cast<std::uint64_t>(member), Purpose::initial_condition);
  std::vector<double> q(state_size(p));
  for (double& value : q) value = 1e-5 * stream.normal();
  return q;
}
template <class Params>
void set_states(spectral::Engine& engine, const Params& p, int members = kMembers, int first = 0) {
  for (int m = 0; m < members; ++m) engine.set_state(m, start(p, first + m).data());
}
template <class Params>
std::vector<double> state_of(spectral::Engine& engine, const Params& p, int member) {
  std::vector<double> state(state_size(p));
  engine.state(member, state.data());
  return state;
}
std::vector<std::byte> bits_of(spectral::Engine& engine, int member) {
  std::vector<std::byte> bytes(engine.state_bytes());
  engine.save(member, bytes.data());
  return bytes;
}

std::vector<kolmogorov::Params> kolmogorov_cases() {
  std::vector<kolmogorov::Params> cases;
  for (const auto advection : {kolmogorov::Advection::advective, kolmogorov::Advection::basdevant})
    for (const auto stepper : {spectral::StepperName::cn_rk4, spectral::StepperName::imex_rk_sil3})
      for (const bool single : {false, true}) {
        kolmogorov::Params p;
        p.grid.n = kPoints;
        p.advection = advection;
        p.stepper = stepper;
        p.dt = 0.004;
        p.single_precision = single;
        cases.push_back(p);
      }
  return cases;
}
std::vector<qg2layer::Params> qg2layer_cases() {
  std::vector<qg2layer::Params> cases;
  for (const bool single : {false, true})
    for (const int kind : {0, 1, 2}) {
      qg2layer::Params p = eddy_case(kPoints);
      p.dt = 7200;
      p.single_precision = single;
      if (kind == 1) p.startup = qg2layer::Startup::runge_kutta;
      if (kind == 2) p.stepper = qg2layer::StepperName::rk4;
      cases.push_back(p);
    }
  return cases;
}
std::string label(const kolmogorov::Params& p) {
  return fmt::format("Kolmogorov flow, {}, stepper {}, {}",
                     p.advection == kolmogorov::Advection::advective ? "advective" : "basdevant",
                     static_cast<int>(p.stepper), p.single_precision ? "float32" : "float64");
}
std::string label(const qg2layer::Params& p) {
  return fmt::format("two layers, stepper {}, start-up {}, {}", static_cast<int>(p.stepper),
                     static_cast<int>(p.startup), p.single_precision ? "float32" : "float64");
}

/// f(params) for every case of both systems.
template <class F>
void for_each_case(F f) {
  for (const auto& p : kolmogorov_cases()) {
    INFO(label(p));
    f(p);
  }
  for (const auto& p : qg2layer_cases()) {
    INFO(label(p));
    f(p);
  }
}

}  // namespace

TEST_CASE("launches cover every element, and every element once") {
  using namespace spectral;
  for (const std::size_t total : {1UL, 255UL, 256UL, 257UL, 65536UL}) {
    const LaunchShape shape = launch_elements(total);
    CHECK(std::size_t{shape.x} * kThreadsPerBlock >= total);
    CHECK((std::size_t{shape.x} - 1) * kThreadsPerBlock < total);
  }
  // All modes and the kept ones, of more members than blocks may lie along y.
  const Grid grid{12, 1};
  const KeptModes kept = kept_modes(grid.n, Dealiasing::jaxcfd);
  for (const Region& region : {all_modes(grid), only(kept)})
    for (const int batch : {1, 3, 70000}) {
      const ModePlane plane = plane_of(region, grid.n);
      LaunchShape shape = launch_planes(plane.size(), batch);
      CHECK(shape.y == std::min<unsigned>(static_cast<unsigned>(batch), kMostPlanes));
      std::vector<int> visits(static_cast<std::size_t>(batch) * grid.modes(), 0);
      ShuffledQueue().launch(shape, [&](const Thread& thread) {
        visit_modes(
            thread,
            [&](int b, int i, int j) {
              ++visits[static_cast<std::size_t>(b) * grid.modes() +
                       static_cast<std::size_t>(i * grid.columns() + j)];
            },
            plane, batch);
      });
      int wrong = 0;
      for (int b = 0; b < batch; ++b)
        for (int i = 0; i < grid.n; ++i)
          for (int j = 0; j < grid.columns(); ++j) {
            const bool inside = j < region.columns && region.rows.has_row(i, grid.n);
            wrong += visits[static_cast<std::size_t>(b) * grid.modes() +
                            static_cast<std::size_t>(i * grid.columns() + j)] != (inside ? 1 : 0);
          }
      CHECK(wrong == 0);
    }
}

TEST_CASE("launches and indices of large batches") {
  using namespace spectral;
  const Grid grid{512, 1};
  const ModePlane plane = plane_of(all_modes(grid), grid.n);
  CHECK(plane.size() == 131584);
  CHECK(launch_planes(plane.size(), 32).x == 514);
  CHECK(launch_planes(plane.size(), 32).y == 32);
  CHECK(launch_elements(32 * 4 * grid.points()).x == 131072);
  // More elements than 2^31, and than 2^32.
  for (const std::size_t total : {(1UL << 31) + 1, (1UL << 33) + 5}) {
    const LaunchShape shape = launch_elements(total);
    CHECK(shape.x == total / 256 + 1);
    std::size_t seen = 0;
    const auto note = [&seen](std::size_t at) { seen = at; };
    visit_elements({shape.x - 1, 0, static_cast<std::uint32_t>((total - 1) % 256), shape.x, 1}, note, total);
    CHECK(seen == total - 1);
    seen = 0;
    visit_elements({shape.x - 1, 0, static_cast<std::uint32_t>(total % 256), shape.x, 1}, note, total);
    CHECK(seen == 0);  // one thread too many: nothing to do
  }
  // The last mode of the largest member of a batch of more than 2^32 modes.
  const Grid wide{16384, 1};
  const ModePlane large = plane_of(all_modes(wide), wide.n);
  const LaunchShape shape = launch_planes(large.size(), 40);
  std::size_t last = 0;
  const auto element = static_cast<std::uint32_t>(large.size() - 1);
  visit_modes(
      {element / 256, 39, element % 256, shape.x, shape.y},
      [&](int b, int i, int j) { last = (static_cast<std::size_t>(b) * wide.n + i) * wide.columns() + j; },
      large, 40);
  CHECK(last == 40 * wide.modes() - 1);
  CHECK(last > (1UL << 32));
  CHECK_THROWS_AS(launch_elements(256UL * kMostBlocks + 1), std::length_error);
  CHECK_NOTHROW(launch_elements(256UL * kMostBlocks));
  CHECK_THROWS_AS(launch_planes(1UL << 32, 1), std::length_error);
}

TEST_CASE("bits of moduli are ordered as numbers, and what is not finite comes last") {
  using spectral::finite_value;
  using spectral::ordered_bits;
  const std::vector<double> ascending{0, 5e-324, 1e-300, 1, 1 + 1e-15, 2, 1e300, INFINITY};
  for (std::size_t i = 1; i < ascending.size(); ++i)
    CHECK(ordered_bits(ascending[i - 1]) < ordered_bits(ascending[i]));
  for (const double nan : {std::nan(""), -std::nan("")}) CHECK(ordered_bits(nan) > ordered_bits(INFINITY));
  CHECK(ordered_bits(-2.5) == ordered_bits(2.5));
  CHECK(finite_value(ordered_bits(-2.5)) == 2.5);
  CHECK(std::isnan(finite_value(ordered_bits(INFINITY))));
  CHECK(std::isnan(finite_value(ordered_bits(std::nan("")))));
}

TEST_CASE("the device's path gives the numbers of FFTW's") {
  for_each_case([](const auto& p) {
    const auto device = shuffled_engine(p), host = fftw_engine(p);
    set_states(*device, p);
    set_states(*host, p);
    for (const int steps : {1, 1, 1, kSteps - 3}) {
      device->advance(0, 0, steps);
      for (int m = 0; m < kMembers; ++m) host->advance(m, 0, steps);
      for (int m = 0; m < kMembers; ++m) {
        const double error = relative_error(state_of(*device, p, m), state_of(*host, p, m));
        CHECK(error < (p.single_precision ? tolerance::kDeviceSingle : tolerance::kParity100));
      }
    }
    std::vector<double> speeds(2 * kMembers);
    device->look(0, 0, 0);
    device->advance(0, 0, 1);
    device->look(0, 0, 1);
    device->read_looks(0, 2, speeds.data());
    for (int m = 0; m < kMembers; ++m)
      for (const int look : {0, 1}) {
        const auto expected = doctest::Approx(host->speed(m)).epsilon(p.single_precision ? 1e-5 : 1e-12);
        CHECK(speeds[static_cast<std::size_t>(look * kMembers + m)] == expected);
        if (look == 1) CHECK(device->speed(m) == expected);
        host->advance(m, 0, 1);
      }
  });
}

TEST_CASE("a library that takes edge columns for Hermitian needs what the transforms do to them") {
  // As without it: the plans alone, on a spectrum that a mask has left un-Hermitian.
  const spectral::Grid grid{kPoints, 1};
  using Backend = ShuffledBackend<double>;
  const Backend backend(std::make_shared<ShuffledQueue>());
  RandomStream stream(7, Purpose::initial_condition);
  std::vector<Complex<double>> spectrum(grid.modes());
  for (auto& mode : spectrum) mode = {stream.normal(), stream.normal()};
  auto bare = spectrum, symmetric = spectrum, expected = spectrum;
  std::vector<double> from_bare(grid.points()), from_symmetric(grid.points()), wanted(grid.points());
  const auto inverse = spectral::Direction::inverse;
  Backend::HermitianPlan(backend, grid.n, 1, inverse).inverse(bare.data(), from_bare.data());
  Backend::RealTransforms(backend, grid.n, 1, inverse).inverse(symmetric.data(), from_symmetric.data(), 1);
  spectral::FftwPlan<double>::complex_to_real_2d(grid.n, spectral::FftPlanning::estimate)
      .execute(expected.data(), wanted.data());
  CHECK(relative_error(from_symmetric, wanted) < 1e-14);
  CHECK(relative_error(from_bare, wanted) > 1e-2);
}

TEST_CASE("the order of threads, and graphs, leave no trace in the numbers") {
  for_each_case([](const auto& p) {
    const auto plain_queue = std::make_shared<ShuffledQueue>(), graph_queue = std::make_shared<ShuffledQueue>();
    plain_queue->graphs = false;
    graph_queue->random.seed(99);
    const auto plain = shuffled_engine(p, kMembers, plain_queue);
    const auto graphs = shuffled_engine(p, kMembers, graph_queue);
    std::vector<std::byte> earlier;
    for (auto* engine : {plain.get(), graphs.get()}) {
      set_states(*engine, p);
      engine->advance(0, 0, kSteps);
      earlier = bits_of(*engine, 1);
      engine->advance(0, 0, 7);
      // Members at different places of their start-up, one of them from a saved state.
      engine->set_state(0, start(p, 5).data());
      engine->advance(0, 0, 1);
      engine->restore(1, earlier.data());
      engine->advance(0, 0, kSteps);
    }
    CHECK(plain_queue->recordings == 0);
    CHECK(graph_queue->recordings == 2);  // of one step and of ten
    CHECK(graph_queue->replays > 10);
    for (int m = 0; m < kMembers; ++m) CHECK(bits_of(*plain, m) == bits_of(*graphs, m));
    // A workspace that lies elsewhere makes the recordings invalid.
    const int other = 0;
    graph_queue->workspace = &other;
    graphs->advance(0, 0, 2);
    CHECK(graph_queue->recordings == 3);
    plain->advance(0, 0, 2);
    for (int m = 0; m < kMembers; ++m) CHECK(bits_of(*plain, m) == bits_of(*graphs, m));
  });
}

TEST_CASE("nothing waits for the device while members advance, their start-up included") {
  for_each_case([](const auto& p) {
    const auto queue = std::make_shared<ShuffledQueue>();
    const auto engine = shuffled_engine(p, kMembers, queue);
    set_states(*engine, p);
    const int before = queue->host_copies;
    engine->advance(0, 0, kSteps);
    engine->advance(0, 0, kSteps);
    CHECK(queue->host_copies == before);
  });
}

TEST_CASE("a member of a batch has the bits that it has alone") {
  for_each_case([](const auto& p) {
    const auto batch = shuffled_engine(p);
    set_states(*batch, p);
    batch->advance(0, 0, kSteps);
    for (int m = 0; m < kMembers; ++m) {
      const auto alone = shuffled_engine(p, 1);
      set_states(*alone, p, 1, m);
      alone->advance(0, 0, kSteps);
      CHECK(bits_of(*batch, m) == bits_of(*alone, 0));
    }
  });
}

TEST_CASE("a batch larger than one kernel's arguments tells all members' steps") {
  qg2layer::Params p = eddy_case(8);
  constexpr int kMany = 150;
  const auto device = shuffled_engine(p, kMany);
  set_states(*device, p, kMany);
  device->advance(0, 0, 1);
  device->set_state(140, start(p, 140).data());  // one step behind the others
  device->advance(0, 0, 3);
  for (const int m : {0, 63, 64, 140, 149}) {
    const auto alone = shuffled_engine(p, 1);
    set_states(*alone, p, 1, m);
    alone->advance(0, 0, m == 140 ? 3 : 4);
    CHECK(bits_of(*device, m) == bits_of(*alone, 0));
  }
}

TEST_CASE("runs on the device's path go on bit for bit from saved states") {
  for_each_case([](const auto& p) {
    const auto whole = shuffled_engine(p);
    set_states(*whole, p);
    whole->advance(0, 0, kSteps);
    for (const int saved_at : {1, 2, 20}) {
      CAPTURE(saved_at);
      const auto first = shuffled_engine(p), second = shuffled_engine(p);
      set_states(*first, p);
      first->advance(0, 0, saved_at);
      for (int m = 0; m < kMembers; ++m) second->restore(m, bits_of(*first, m).data());
      second->advance(0, 0, kSteps - saved_at);
      for (int m = 0; m < kMembers; ++m) CHECK(bits_of(*second, m) == bits_of(*whole, m));
    }
  });
}

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

TEST_CASE("bytes of a step are those of its kernels, and near the published estimates") {
  // By hand for Basdevant's form, n = 512: P = 262144, S = 512 * 514, K = 2 * 341 * 171 reals; of each of five
  // stages 4 K of pairs, 2 (S - K) of zeros, 4 transforms of P + 3 S, and 4 P; the state 4 * 5 - 1 times over
  // K; at the end 2 (S - K).
  kolmogorov::Params flow;
  flow.grid.n = 512;
  flow.single_precision = true;
  const auto bytes = [](const auto& p, int members) {
    return shuffled_engine(p, members)->bytes_per_step() / members;
  };
  const double P = 262144, S = 263168, K = 116622;
  CHECK(bytes(flow, 1) == 4 * (5 * (4 * K + 2 * (S - K) + 4 * (P + 3 * S) + 4 * P) + 19 * K + 2 * (S - K)));
  // Estimates made before there was code: 153 and 184 MB a member, and 19 MB for two layers of 256 x 256.
  flow.grid.n = 256;
  CHECK(bytes(flow, 1) < 153e6 / 4);
  CHECK(bytes(flow, 1) > 0.8 * 153e6 / 4);
  CHECK(bytes(flow, 4) == bytes(flow, 1));
  flow.advection = kolmogorov::Advection::advective;
  CHECK(bytes(flow, 1) == doctest::Approx(184e6 / 4).epsilon(0.05));
  qg2layer::Params layers = eddy_case(256);
  layers.single_precision = true;
  CHECK(bytes(layers, 1) == doctest::Approx(4.7e-6 * 0.85 * 4.8e12).epsilon(0.05));
  const double single = bytes(layers, 1);
  layers.single_precision = false;
  CHECK(bytes(layers, 1) == 2 * single);
  CHECK(fftw_engine(eddy_case(8))->bytes_per_step() == 0);
}
