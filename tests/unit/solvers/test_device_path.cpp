// The device's code without a device: the very functors, layouts and sequences that run there against the FFTW
// engines, and the bytes that they move.
#include "tests/support/device_path.hpp"
#include "tests/support/gpu_tolerances.hpp"
#include "tests/support/relative.hpp"

#include <doctest/doctest.h>

using namespace sns;
using namespace sns::test;

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
        const auto expected = test::relative(host->speed(m)).epsilon(p.single_precision ? 1e-5 : 1e-12);
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
  CHECK(bytes(flow, 1) == test::relative(184e6 / 4).epsilon(0.05));
  qg2layer::Params layers = eddy_case(256);
  layers.single_precision = true;
  CHECK(bytes(layers, 1) == test::relative(4.7e-6 * 0.85 * 4.8e12).epsilon(0.05));
  const double single = bytes(layers, 1);
  layers.single_precision = false;
  CHECK(bytes(layers, 1) == 2 * single);
  CHECK(fftw_engine(eddy_case(8))->bytes_per_step() == 0);
}
