// Frames that pass from a solver to LibTorch in the memory of the device. Skipped (exit code 77) where no
// device answers.
#include "tests/support/torch_doctest.hpp"

#include "emulator/device.hpp"
#include "experiments/solver_stream.hpp"
#include "experiments/stream_ensemble.hpp"
#include "tests/support/gpu_tests.hpp"

#include <ATen/Functions.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <torch/types.h>

#include <algorithm>
#include <cstring>

using namespace sns;
using namespace sns::test;

namespace {

void skip_without_torch() {
  skip_without_device();
  if (!load_cuda_backend().empty()) skip_program("of LibTorch: " + load_cuda_backend());
}

/// Floats of device memory, copied to the host by LibTorch.
std::vector<float> fetched(float* device, std::size_t count) {
  const auto options = torch::TensorOptions().dtype(torch::kFloat32).device(torch::kCUDA, 0);
  const torch::Tensor host = torch::from_blob(device, {static_cast<std::int64_t>(count)}, options).cpu();
  return {host.const_data_ptr<float>(), host.const_data_ptr<float>() + count};
}

/// Device memory for a batch of `count` values, none of which is a frame's.
torch::Tensor room_for_batch(std::int64_t count) {
  return torch::full({count}, -1.0, torch::TensorOptions().dtype(torch::kFloat32).device(torch::kCUDA, 0));
}

/// LibTorch's present stream of the device.
c10::Stream stream_of_torch() {
  return c10::impl::VirtualGuardImpl(torch::kCUDA).getStream({torch::kCUDA, 0});
}

/// Work for that stream: some 50 ms of an H100, more of others.
class Delay {
 public:
  Delay() { begin(); }
  void begin() {
    for (int i = 0; i < 20; ++i) at::mm_out(product_, factor_, factor_);
  }

 private:
  static torch::Tensor square() {
    return at::zeros({4096, 4096}, torch::TensorOptions().dtype(torch::kFloat32).device(torch::kCUDA, 0));
  }
  torch::Tensor factor_ = square(), product_ = square();
};

DatagenPlan plan() {
  DatagenPlan plan;
  plan.seed = 3;
  plan.spinup_steps = 20;
  plan.steps_per_frame = 3;
  plan.decorrelation_steps = 4;
  plan.frames = 5;
  plan.coarsen = {2, Coarsening::spectral};
  return plan;
}

StreamConfig stream_of(int validation_members) {
  StreamConfig stream;
  stream.members = kDeviceMembers;
  stream.frames = 5;
  stream.queue = 1;
  stream.validation_members = validation_members;
  return stream;
}

SolverSource source_on_device(const DeviceCase& what) {
  return {[what](int members) { return solver_of(what.block, what.overrides, members, 1, 5, "cuda"); },
          what.block};
}

}  // namespace

TEST_CASE("LibTorch sees in the device's memory the frames that the host gets") {
  skip_without_torch();
  for (const DeviceCase& what : device_cases())
    for (const CoarsenConfig& coarsen :
         {CoarsenConfig{1, Coarsening::none}, CoarsenConfig{2, Coarsening::block_mean}}) {
      const auto to_host = started(what, "cuda"), in_place = started(what, "cuda");
      const FrameRequest request{3, 5, coarsen};
      std::vector<float> expected(3 * kDeviceMembers * to_host->frame_size(coarsen.factor));
      const std::shared_ptr<float> memory = in_place->frame_memory(expected.size());
      for (Solver* solver : {to_host.get(), in_place.get()}) solver->retire(2, {false, 0, "taken out"});
      to_host->record(request, expected);
      in_place->record_in_place(request, memory.get(), expected.size() / kDeviceMembers);
      const auto frames = fetched(memory.get(), expected.size());
      CHECK(std::memcmp(frames.data(), expected.data(), frames.size() * sizeof(float)) == 0);
    }
}

TEST_CASE("rounds in the device's memory are those in the host's") {
  skip_without_torch();
  const SolverSource source = source_on_device(device_cases().front());
  CHECK(source.device() == 0);
  StreamEnsemble on_host(source, plan(), kDeviceMembers, 0, [] {}),
      on_device(
          source, plan(), kDeviceMembers, 0, [] {}, RoundMemory::solver);
  on_host.spin_up();
  on_device.spin_up();
  for (int round = 0; round < 3; ++round) {
    const RoundFrames expected = on_host.next_round(), frames = on_device.next_round();
    REQUIRE(frames.device == 0);
    REQUIRE(frames.size == expected.size);
    const auto values = fetched(frames.data.get(), frames.size);
    CHECK(std::equal(values.begin(), values.end(), expected.values().begin()));
  }
}

TEST_CASE("a trainer reads normalised frames without the host") {
  skip_without_torch();
  for (const DeviceCase& what : {device_cases().front(), device_cases().back()}) {
    const SolverSource source = source_on_device(what);
    const TrainingData data = solver_stream(source, plan(), stream_of(2))({2.0}, std::nullopt);
    data.validation->prepare();
    StreamEnsemble on_host(source, plan(), kDeviceMembers, kFirstStreamTrajectory, [] {});
    on_host.spin_up();
    const RoundFrames expected = on_host.next_round();
    for (const TrainingFrames* split : {data.training.get(), data.validation.get()}) {
      REQUIRE(split->device() == 0);
      const std::int64_t size = split->frame_size();
      torch::Tensor two = room_for_batch(2 * size);
      split->read(1, 2, 2, {two.data_ptr<float>(), static_cast<std::size_t>(2 * size)});
      const torch::Tensor host = two.cpu();
      CHECK(torch::isfinite(host).all().item<bool>());
      CHECK_FALSE(torch::equal(host, torch::full_like(host, -1.0)));
      if (split != data.training.get()) continue;
      const float* values = expected.values().data() + (5 + 2) * size;  // member 1, from frame 2 on
      bool same = true;
      for (std::int64_t i = 0; i < 2 * size; ++i) same &= host.const_data_ptr<float>()[i] == values[i] * 0.5F;
      CHECK(same);
    }
  }
}

TEST_CASE("a round is not written over before LibTorch's stream has read it") {
  skip_without_torch();
  const SolverSource source = source_on_device(device_cases().front());
  const TrainingData data = solver_stream(source, plan(), stream_of(0))({1.0}, std::nullopt);
  const std::int64_t size = 5 * data.training->frame_size();
  const auto read = [&](torch::Tensor& into, std::uint64_t pass) {
    data.training->read(0, 0, 5, {into.data_ptr<float>(), static_cast<std::size_t>(size)}, pass);
  };
  torch::Tensor at_once = room_for_batch(size), delayed = room_for_batch(size), later = room_for_batch(size);
  read(at_once, 0);  // kernels are loaded, too
  Delay delay;
  const torch::Tensor expected = at_once.cpu();

  delay.begin();
  read(delayed, 0);
  REQUIRE_FALSE(stream_of_torch().query());  // the read waits behind other work
  data.training->release_before(1);
  CHECK(stream_of_torch().query());                 // and is done before its round is let go of
  for (std::uint64_t pass = 1; pass < 4; ++pass) {  // rounds in the same memory
    read(later, pass);
    data.training->release_before(pass + 1);
  }
  CHECK(torch::equal(delayed.cpu(), expected));
  CHECK_FALSE(torch::equal(later.cpu(), expected));
}
