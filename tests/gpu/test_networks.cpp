// Networks on a CUDA device against the same on the CPU: forward passes, recorded evaluations, a step of
// training, bfloat16, a refinement. Skipped (exit code 77) where LibTorch finds no device.
//
// SNS_NETWORKS_DEVICE=cpu runs all but the recorded evaluations without one: the device's part is then done by
// PyTorch's own kernels instead of oneDNN's, so that there are roundings to be compared.
#include "core/random.hpp"
#include "emulator/device.hpp"
#include "emulator/models/acdm.hpp"
#include "emulator/models/field_covariance.hpp"
#include "emulator/models/gaussian.hpp"
#include "emulator/models/sns.hpp"
#include "emulator/models/thermalizer.hpp"
#include "emulator/models/unpredicted_scales.hpp"
#include "emulator/nets/unet.hpp"
#include "emulator/nets/whitened_frames.hpp"
#include "emulator/training/learner.hpp"
#include "emulator/training/precision.hpp"
#include "tests/support/gpu_tolerances.hpp"
#include "tests/support/skip.hpp"
#include "tests/support/small_training.hpp"
#include "tests/support/torch_doctest.hpp"
#include "tests/support/worst_of.hpp"

#include <ATen/Context.h>
#include <ATen/Functions.h>
#include <torch/utils.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

using namespace sns;
using namespace sns::test;

namespace {

constexpr int kPoints = 16;
constexpr std::int64_t kBatch = 5;
constexpr std::uint64_t kSeed = 3;

/// The device that is compared with the CPU. Ends the program as skipped where there is none.
torch::Device device_under_test() {
  const char* const chosen = std::getenv("SNS_NETWORKS_DEVICE");
  if (chosen != nullptr && std::string_view(chosen) == "cpu") return torch::kCPU;
  if (!load_cuda_backend().empty()) skip_program("of LibTorch: " + load_cuda_backend());
  return {torch::kCUDA, 0};
}

/// While it lives, work is the device's: convolutions of float32 take no shortcuts and, where the device is the
/// CPU, other kernels.
class OnDevice {
 public:
  OnDevice() : exact_(false), before_(at::globalContext().userEnabledMkldnn()) {
    if (device_under_test().is_cpu()) at::globalContext().setUserEnabledMkldnn(false);
  }
  ~OnDevice() { at::globalContext().setUserEnabledMkldnn(before_); }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;

 private:
  TensorFloat32 exact_;
  bool before_;
};

/// max|a - b| / max|b|, on the CPU.
double relative_error(const torch::Tensor& a, const torch::Tensor& b) {
  const torch::Tensor here = a.cpu(), there = b.cpu();
  REQUIRE(here.sizes() == there.sizes());
  return ((here - there).abs().max() / there.abs().max()).item<double>();
}

torch::Tensor normal(at::IntArrayRef shape, std::uint64_t stream) {
  torch::Tensor x = torch::empty(shape);
  RandomStream(kSeed, Purpose::emulator_noise, stream)
      .fill_normal({x.data_ptr<float>(), static_cast<std::size_t>(x.numel())});
  return x;
}

/// A network of some ten thousand parameters of each kind; SNS with attention and mixed pasts, with the lag of
/// its frame, and with that and whitened frames.
std::vector<ModelSpec> specs() {
  std::vector<ModelSpec> all;
  for (const char* kind : {"gaussian", "thermalizer", "acdm", "sns", "sns", "sns"}) {
    ModelSpec spec = small_spec(kind);
    spec.model.network.hidden = 8;
    spec.model.image = kPoints;
    spec.model.field_std = {1.0};
    spec.training.rollout.max_length = 2;
    spec.training.rollout.steps_per_length = 1;
    spec.training.clip_norm = 1.0;
    if (spec.model.kind == "sns" && all.back().model.kind == "sns") {
      const bool again = all.back().name == "lagged sns";
      spec.name = again ? "whitened sns" : "lagged sns";
      spec.model.network.lag = LagConfig{6, 8};
      spec.model.network.whitened = again;
      for (std::int64_t shell = 0; again && shell < whitening_shells(kPoints); ++shell)
        spec.model.whitening.push_back(1.0 / static_cast<double>(1 + shell));
    } else if (spec.model.kind == "sns") {
      spec.model.network.attention_middle = true;
      spec.training.levels.past = "mixed";
    }
    all.push_back(spec);
  }
  return all;
}

std::string label(const ModelSpec& spec, bool channels_last) {
  return spec.name + (channels_last ? ", channels last" : "");
}

std::unique_ptr<Model> new_model(const ModelSpec& spec, torch::Device device) {
  auto model = make_model(spec.model, kSeed, device);
  model->network().eval();
  return model;
}

/// A batch as a network takes it: states, and what they stand at.
struct Input {
  torch::Tensor x, levels, lags;

  Input to(torch::Device device) const {
    return {x.to(device), levels.to(device), lags.defined() ? lags.to(device) : lags};
  }
};
Input input_of(const ModelSpec& spec, std::int64_t batch, std::uint64_t stream) {
  const bool sns = spec.model.kind == "sns";
  const std::int64_t frames = sns ? 3 : spec.model.kind == "acdm" ? 2 : 1;
  const torch::Tensor levels = at::arange(sns ? 2 * batch : batch, torch::kInt64).remainder(7);
  return {normal({batch, frames, kPoints, kPoints}, stream), sns ? levels.view({batch, 2}) : levels,
          spec.model.network.lag ? at::arange(batch, torch::kInt64).remainder(5) + 1 : torch::Tensor()};
}

/// All that a network gives in the forward pass of training.
std::vector<torch::Tensor> forward(Model& model, const Input& in) {
  const torch::NoGradGuard no_grad;
  if (auto* gaussian = dynamic_cast<GaussianEmulator*>(&model)) return {gaussian->residual(in.x)};
  if (auto* acdm = dynamic_cast<Acdm*>(&model)) return {acdm->noise_estimate(in.x, in.levels)};
  if (auto* thermalizer = dynamic_cast<Thermalizer*>(&model)) {
    const ThermalizerOutput out = thermalizer->estimate(in.x, in.levels);
    return {out.noise, out.logits};
  }
  const SnsOutput out = dynamic_cast<Sns&>(model).estimate(in.x, in.levels, in.lags);
  return {out.noise, out.logits.past, out.logits.present};
}

/// What rollouts ask a network for; recorded, where the model is used so.
torch::Tensor evaluate(Model& model, const Input& in) {
  const torch::NoGradGuard no_grad;
  if (auto* gaussian = dynamic_cast<GaussianEmulator*>(&model)) return gaussian->step(in.x);
  if (auto* acdm = dynamic_cast<Acdm*>(&model)) return acdm->noise_estimate(in.x, in.levels);
  if (auto* thermalizer = dynamic_cast<Thermalizer*>(&model))
    return thermalizer->noise_estimate(in.x, in.levels);
  return dynamic_cast<Sns&>(model).noise_estimate(in.x, in.levels, in.lags);
}

/// Normalised waves of three trajectories.
class Waves : public TrainingFrames {
 public:
  const std::string& name() const override { return name_; }
  std::string origin() const override { return "formula"; }
  std::int64_t channels() const override { return 1; }
  std::int64_t nx() const override { return kPoints; }
  std::int64_t ny() const override { return kPoints; }
  std::int64_t trajectories() const override { return 3; }
  std::int64_t frames(std::int64_t) const override { return 12; }

 protected:
  void do_read(std::int64_t trajectory, std::int64_t first, std::int64_t, std::span<float> out,
               std::uint64_t) const override {
    for (std::size_t at = 0; at < out.size(); ++at) {
      const auto cell = static_cast<std::int64_t>(at) % (kPoints * kPoints),
                 frame = first + static_cast<std::int64_t>(at) / (kPoints * kPoints);
      const double x = 2 * M_PI / kPoints * static_cast<double>(cell / kPoints),
                   y = 2 * M_PI / kPoints * static_cast<double>(cell % kPoints),
                   phase = 0.3 * static_cast<double>(frame) + static_cast<double>(trajectory);
      out[at] = static_cast<float>(1.4 * std::sin(2 * x + phase) * std::cos(y - 0.5 * phase));
    }
  }

 private:
  std::string name_ = "train";
};

/// One optimiser step from the initial weights, and what it leaves, as the trainer takes it.
struct TrainedStep {
  Metrics losses;
  double gradient_norm;
  torch::Tensor before, after, averaged, moment;  ///< flat, on the CPU
  bool single;                                    ///< weights, gradients and moments are float32
  bool single_loss;                               ///< so is the loss, under the same autocast
};
TrainedStep train_one_step(const ModelSpec& spec, torch::Device device, bool bfloat16 = false) {
  constexpr std::int64_t kStep = 5;  // beyond the growth of the rollout
  const Waves frames;
  const auto model = make_model(spec.model, kSeed, device);
  const auto task = make_task(*model, spec.training, frames, nullptr, kSeed);
  Learner learner(*model, spec.training);
  const Batch batch = task->make_batch(kStep, kStep, 0).staged_for(device).to(device);
  TrainedStep result;
  result.before = learner.parameters.values().to(torch::kCPU, /*non_blocking=*/false, /*copy=*/true);
  learner.zero_gradients();
  result.losses = learner.add_gradient(*task, batch, 1, bfloat16);
  result.gradient_norm = learner.clip();
  learner.update(spec.training.learning_rate);
  result.after = learner.parameters.values().cpu();
  result.moment = learner.optimizer.first_moment.cpu();
  std::vector<torch::Tensor> averaged;
  for (const auto& [name, shadow] : learner.ema.shadow()) averaged.push_back(shadow.flatten().cpu());
  result.averaged = at::cat(averaged);
  result.single = true;
  for (const torch::Tensor& tensor : {learner.parameters.values(), learner.parameters.gradients(),
                                      learner.optimizer.first_moment, learner.optimizer.second_moment})
    result.single &= tensor.scalar_type() == torch::kFloat32 && tensor.device() == device;
  const Autocast autocast(bfloat16, device);
  result.single_loss = task->loss(batch).total.scalar_type() == torch::kFloat32;
  return result;
}

/// Largest difference between two evaluations, relative to the second; the same keys in the same order.
double worst(const Metrics& ours, const Metrics& theirs) {
  REQUIRE(ours.size() == theirs.size());
  double error = 0;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    REQUIRE(ours[i].first == theirs[i].first);
    error = worst_of({error, std::abs(ours[i].second / theirs[i].second - 1)});
  }
  return error;
}

}  // namespace

TEST_CASE("forward passes in float32 are those of the CPU, in either order of memory") {
  const torch::Device device = device_under_test();
  for (const ModelSpec& spec : specs()) {
    CAPTURE(spec.name);
    const Input in = input_of(spec, kBatch, 1);
    const std::vector<torch::Tensor> expected = forward(*new_model(spec, torch::kCPU), in);
    for (const bool last : {false, true}) {
      CAPTURE(last);
      const OnDevice work;
      const ChannelsLast order(last);
      const std::vector<torch::Tensor> out = forward(*new_model(spec, device), in.to(device));
      REQUIRE(out.size() == expected.size());
      for (std::size_t k = 0; k < out.size(); ++k) {
        CHECK(out[k].device() == device);
        const double error = relative_error(out[k], expected[k]);
        MESSAGE(label(spec, last), ", output ", k, ": ", error);
        CHECK(error < tolerance::kDeviceForward);
      }
    }
  }
}

TEST_CASE("recorded evaluations are those that were not recorded") {
  const torch::Device device = device_under_test();
  if (device.is_cpu()) {
    MESSAGE("only a device records; unit_learner has the same with a recorder that stands in");
    return;
  }
  std::string why;
  REQUIRE_MESSAGE(cuda_graph_recorder(why) != nullptr, why);
  const OnDevice work;
  for (const ModelSpec& spec : specs())
    for (const bool last : {false, true}) {
      CAPTURE(spec.name);
      CAPTURE(last);
      const ChannelsLast order(last);
      const auto eager = new_model(spec, device), recorded = new_model(spec, device);
      eager->use_for({});
      recorded->use_for({.graphs = true});
      std::uint64_t stream = 10;
      // Sizes that are recorded, one again with other states, and one that leaves a row of its bucket unused.
      for (const std::int64_t batch : {4, 6, 4, 5, 1}) {
        CAPTURE(batch);
        const Input in = input_of(spec, batch, ++stream).to(device);
        CHECK(relative_error(evaluate(*recorded, in), evaluate(*eager, in)) <
              (bucket(batch) == batch ? tolerance::kRecorded : tolerance::kDeviceForward));
      }
    }
}

TEST_CASE("a step of training is that of the CPU") {
  const torch::Device device = device_under_test();
  for (const ModelSpec& spec : specs()) {
    CAPTURE(spec.name);
    const TrainedStep expected = train_one_step(spec, torch::kCPU);
    const OnDevice work;
    for (const bool last : {false, true}) {
      CAPTURE(last);
      const ChannelsLast order(last);
      const TrainedStep step = train_one_step(spec, device);
      CHECK(step.single);
      CHECK(step.before.equal(expected.before));
      const double loss = worst(step.losses, expected.losses),
                   norm = std::abs(step.gradient_norm / expected.gradient_norm - 1),
                   moment = relative_error(step.moment, expected.moment);
      // The first step moves every weight by the learning rate, up or down: roundings show as weights that go
      // the other way, of which there may be a few whose gradient is next to none.
      const torch::Tensor moved = expected.after - expected.before;
      const double apart = ((step.after - expected.after).abs().sum() / moved.abs().sum()).item<double>();
      MESSAGE(label(spec, last), ": losses ", loss, ", gradient norm ", norm, ", first moment ", moment,
              ", weights ", apart);
      CHECK(loss < tolerance::kDeviceForward);
      CHECK(norm < tolerance::kDeviceGradient);
      CHECK(moment < tolerance::kDeviceGradient);
      CHECK(apart < tolerance::kDeviceUpdate);
      CHECK(moved.abs().max().item<double>() > 0.5 * spec.training.learning_rate);
      CHECK(relative_error(step.averaged, expected.averaged) < tolerance::kDeviceForward);
    }
  }
}

TEST_CASE("under autocast, networks compute in bfloat16") {
  const torch::Device device = device_under_test();
  for (const ModelSpec& spec : specs()) {
    CAPTURE(spec.name);
    const OnDevice work;
    const auto model = new_model(spec, device);
    const Input in = input_of(spec, kBatch, 1).to(device);
    const std::vector<torch::Tensor> expected = forward(*model, in);
    const Autocast autocast(true, device);
    const std::vector<torch::Tensor> out = forward(*model, in);
    REQUIRE(out.size() == expected.size());
    for (std::size_t k = 0; k < out.size(); ++k) {
      const double error = relative_error(out[k], expected[k]);
      MESSAGE(spec.name, ", output ", k, " in bfloat16: ", error);
      CHECK(error > tolerance::kBfloat16Shows);
      CHECK(error < tolerance::kBfloat16Forward);
    }
  }
}

TEST_CASE("bfloat16 stays within forward passes") {
  const torch::Device device = device_under_test();
  for (const ModelSpec& spec : specs()) {
    CAPTURE(spec.name);
    const double exact = metric(train_one_step(spec, torch::kCPU).losses, "loss");
    const OnDevice work;
    const TrainedStep step = train_one_step(spec, device, true);
    const double error = std::abs(metric(step.losses, "loss") / exact - 1);
    MESSAGE(spec.name, " loss in bfloat16: ", error);
    CHECK(error < tolerance::kBfloat16Loss);
    CHECK(step.single);
    CHECK(step.single_loss);
  }
}

TEST_CASE("scales that a surrogate does not predict are held as on the CPU, with the same bits each time") {
  const torch::Device device = device_under_test();
  torch::manual_seed(3);
  const torch::Tensor frames = torch::randn({3, 2, 32, 32});
  const torch::Tensor power = FieldCovariance::of(frames).shell_power();
  torch::Tensor error = 0.5 * power;
  error.narrow(1, 9, 5).fill_(1.0);
  const UnpredictedScales here(error, power, 1e-4 * power, 32), there = here.to(device);
  const torch::Tensor expected = here(frames), found = there(frames.to(device));
  CHECK(relative_error(found, expected) < 1e-5);
  CHECK(torch::equal(there(frames.to(device)), found));
  CHECK_FALSE(torch::equal(expected, frames));
}

TEST_CASE("a refinement takes the CPU's steps, and a member's result is its own") {
  const torch::Device device = device_under_test();
  for (const ModelSpec& spec : specs()) {
    if (spec.model.kind != "sns") continue;
    CAPTURE(spec.name);
    const Input in = input_of(spec, 4, 30);
    const std::vector<int> lags = spec.model.network.lag ? std::vector<int>{1, 5, 2, 3} : std::vector<int>{};
    const std::vector<Levels> from{{3, 2}, {0, 4}, {5, 0}, {2, 2}};
    const auto refined = [&](torch::Device where, std::vector<std::int64_t> rows) {
      Sns model(spec.model, kSeed, where);
      model.use_for({.one_by_one = true});
      const torch::Tensor x = in.x.index_select(0, at::tensor(rows, torch::kInt64)).to(where);
      std::vector<Levels> levels;
      std::vector<std::uint64_t> trajectories;
      std::vector<int> of_rows;
      for (const std::int64_t row : rows) {
        const auto at = static_cast<std::size_t>(row);
        levels.push_back(from[at]);
        trajectories.push_back(100 + at);
        if (!lags.empty()) of_rows.push_back(lags[at]);
      }
      PhiloxNoise noise(kSeed, trajectories, 7);
      Refined result = model.refine(x, levels, {.path = Path::A}, noise, of_rows);
      return std::pair(result, model.levels(x, of_rows));
    };
    const auto [expected, expected_levels] = refined(torch::kCPU, {0, 1, 2, 3});
    const OnDevice work;
    const auto [result, levels] = refined(device, {0, 1, 2, 3});
    CHECK(result.evaluations == expected.evaluations);
    CHECK(result.evaluations == std::vector<std::int64_t>{7, 6, 7, 6});
    const double error = relative_error(result.x, expected.x);
    MESSAGE(spec.name, " refined: ", error);
    CHECK(error < tolerance::kDeviceRefinement);
    REQUIRE(levels.size() == expected_levels.size());
    for (std::size_t b = 0; b < levels.size(); ++b) {
      CHECK(levels[b].past == expected_levels[b].past);
      CHECK(levels[b].present == expected_levels[b].present);
    }
    const auto [alone, alone_levels] = refined(device, {2});
    CHECK(alone.x[0].equal(result.x[2]));
    CHECK(alone_levels[0].present == levels[2].present);
  }
}
