// What surrounds recordings, with a recorder that does the work again when it is replayed: whatever a batch
// holds must come through the memory that was recorded.
#include "tests/support/torch_doctest.hpp"

#include "core/random.hpp"
#include "emulator/graphs.hpp"
#include "emulator/models/sns.hpp"
#include "tests/support/small_training.hpp"

#include <ATen/Functions.h>

using namespace sns;
using namespace sns::test;

namespace {

class Again : public RecordedWork {
 public:
  explicit Again(std::function<void()> work) : work_(std::move(work)) {}
  void replay() override { work_(); }

 private:
  std::function<void()> work_;
};

/// Runs the work when it is recorded and when it is replayed; the network must live as long.
class FakeRecorder : public GraphRecorder {
 public:
  std::unique_ptr<RecordedWork> record(const std::function<void()>& work) override {
    ++recordings;
    work();
    return std::make_unique<Again>(work);
  }
  int recordings = 0;
};

torch::Tensor normal(at::IntArrayRef shape, std::uint64_t stream) {
  torch::Tensor x = torch::empty(shape);
  RandomStream(5, Purpose::emulator_noise, stream)
      .fill_normal({x.data_ptr<float>(), static_cast<std::size_t>(x.numel())});
  return x;
}

}  // namespace

TEST_CASE("batches are recorded at few sizes, at most half as large again") {
  const std::vector<std::int64_t> expected = {1, 2, 3, 4, 6, 6, 8, 8, 12, 12, 12, 12, 16, 16, 16, 16, 24};
  for (std::size_t i = 0; i < expected.size(); ++i)
    CHECK(bucket(static_cast<std::int64_t>(i) + 1) == expected[i]);
  for (std::int64_t rows = 1; rows < 3000; ++rows) {
    REQUIRE(bucket(rows) >= rows);
    REQUIRE(2 * bucket(rows) <= 3 * rows + 1);
    REQUIRE(bucket(bucket(rows)) == bucket(rows));
  }
}

TEST_CASE("recorded evaluations see every batch, and only it") {
  const torch::NoGradGuard no_grad;
  FakeRecorder recorder;
  RecordedNetworks networks(recorder);
  // Like a graph, it knows the memory of the first call alone: the result lands where the first one did.
  const RecordedNetworks::Network network = [place = std::make_shared<std::map<void*, torch::Tensor>>()](
                                                const torch::Tensor& x, const torch::Tensor& factor) {
    const torch::Tensor result = factor.defined() ? x * factor.view({-1, 1}) : x + 1;
    torch::Tensor& fixed = (*place)[x.data_ptr()];
    if (!fixed.defined()) fixed = at::empty_like(result);
    return fixed.copy_(result);
  };
  const torch::Tensor five = normal({5, 3}, 1), two = normal({2, 3}, 2), factors = normal({5}, 3);
  const torch::Tensor first = networks("plain", network, five, {});
  CHECK(first.equal(five + 1));
  CHECK(networks("plain", network, five * 2, {}).equal(five * 2 + 1));
  CHECK(first.equal(five + 1));  // not what a later replay wrote
  CHECK(recorder.recordings == 1);
  CHECK(networks("plain", network, at::cat({five, five.narrow(0, 0, 1)}), {}).size(0) == 6);
  CHECK(recorder.recordings == 1);  // the same bucket
  CHECK(networks("plain", network, two, {}).equal(two + 1));
  CHECK(recorder.recordings == 2);
  CHECK(networks("scaled", network, five, factors).equal(five * factors.view({-1, 1})));
  CHECK(networks("scaled", network, five, factors * 3).equal(five * (factors * 3).view({-1, 1})));
  CHECK(recorder.recordings == 3);
}

TEST_CASE("a network's rows beyond the batch change nothing within it") {
  ModelConfig config = small_spec("sns").model;
  config.image = 8;
  config.field_std = {1.0};
  Sns model(config, 1, torch::kCPU);
  const torch::NoGradGuard no_grad;
  FakeRecorder recorder;
  RecordedNetworks networks(recorder);
  const RecordedNetworks::Network network = [&](const torch::Tensor& x, const torch::Tensor&) {
    return model.net().forward(x).noise;
  };
  networks("denoise", network, normal({6, 3, 8, 8}, 1) * 1e3, {});  // what stays in the unused rows
  const torch::Tensor x = normal({5, 3, 8, 8}, 2), expected = network(x, {});
  CHECK(at::allclose(networks("denoise", network, x, {}), expected, 1e-4, 1e-5));
}

TEST_CASE("what cannot be recorded is not kept") {
  class Refusing : public GraphRecorder {
    std::unique_ptr<RecordedWork> record(const std::function<void()>&) override {
      throw std::runtime_error("no");
    }
  } recorder;
  RecordedNetworks networks(recorder);
  const auto network = [](const torch::Tensor& x, const torch::Tensor&) { return x; };
  for (int i = 0; i < 2; ++i)
    CHECK_THROWS_AS(networks("plain", network, torch::ones({2}), {}), std::runtime_error);
}

TEST_CASE("where there is no device, the recorder says why") {
  std::string why;
  const bool none = cuda_graph_recorder(why) == nullptr;
  CHECK(none == !why.empty());
}
