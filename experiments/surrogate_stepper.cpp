#include "experiments/surrogate_stepper.hpp"

#include "core/error.hpp"
#include "core/random.hpp"

#include <torch/types.h>

#include <algorithm>

namespace sns {

SurrogateStepper::SurrogateStepper(std::unique_ptr<GaussianEmulator> emulator, std::unique_ptr<Sns> refiner,
                                   const SurrogateOptions& options)
    : emulator_(std::move(emulator)), refiner_(std::move(refiner)), options_(options) {
  require(emulator_ != nullptr, "a rollout needs an emulator");
  emulator_->network().eval();
  if (!refiner_) return;
  refiner_->network().eval();
  const ModelConfig &e = emulator_->config(), &r = refiner_->config();
  require(
      e.image == r.image && e.field_channels == r.field_channels,
      "the emulator works on {} x {} points and {} channels, the refiner on {} x {} and {}: train them on the "
      "same data set",
      e.image, e.image, e.field_channels, r.image, r.image, r.field_channels);
  if (emulator_->field_std() != refiner_->field_std())
    to_refiner_ = emulator_->scale(3).to(torch::kFloat64).div(refiner_->scale(3)).to(torch::kFloat32);
}

void SurrogateStepper::remember(const torch::Tensor& x, std::span<const std::int64_t> trajectories) {
  if (!std::equal(trajectories.begin(), trajectories.end(), remembered_.begin(), remembered_.end())) {
    // Members only ever leave: keep the rows of those that are still there.
    std::vector<std::int64_t> rows;
    for (const std::int64_t id : trajectories) {
      const auto found = std::find(remembered_.begin(), remembered_.end(), id);
      require(past_.empty() || found != remembered_.end(), "trajectory {} joined a rollout under way", id);
      rows.push_back(found - remembered_.begin());
    }
    const torch::Tensor index = torch::tensor(rows, torch::kInt64).to(x.device());
    for (torch::Tensor& frame : past_) frame = frame.index_select(0, index);
    remembered_.assign(trajectories.begin(), trajectories.end());
  }
  past_.push_back(x);
  if (static_cast<int>(past_.size()) > refiner_->longest_lag()) past_.pop_front();
}

// Number of members, their ids, then the frames. Ids are below 2^24 in no guaranteed way, so that each is
// stored as two halves of 24 bits.
std::vector<float> SurrogateStepper::save() const {
  std::vector<float> out;
  if (past_.empty()) return out;
  out.push_back(static_cast<float>(remembered_.size()));
  for (const std::int64_t id : remembered_) {
    out.push_back(static_cast<float>(id >> 24));
    out.push_back(static_cast<float>(id & 0xffffff));
  }
  for (const torch::Tensor& frame : past_) {
    const torch::Tensor host = frame.to(torch::kCPU).contiguous();
    out.insert(out.end(), host.const_data_ptr<float>(), host.const_data_ptr<float>() + host.numel());
  }
  return out;
}

void SurrogateStepper::restore(std::span<const float> saved, torch::Device device) {
  past_.clear();
  remembered_.clear();
  if (saved.empty()) return;
  const auto members = static_cast<std::size_t>(saved[0]);
  for (std::size_t m = 0; m < members; ++m)
    remembered_.push_back((static_cast<std::int64_t>(saved[1 + 2 * m]) << 24) +
                          static_cast<std::int64_t>(saved[2 + 2 * m]));
  const auto frames = saved.subspan(1 + 2 * members);
  const ModelConfig& model = emulator_->config();
  const std::vector<std::int64_t> shape{static_cast<std::int64_t>(members), model.field_channels, model.image,
                                        model.image};
  const auto size = static_cast<std::size_t>(c10::multiply_integers(shape));
  require(size > 0 && frames.size() % size == 0, "the checkpoint's past frames are of another size");
  for (std::size_t first = 0; first < frames.size(); first += size)
    past_.push_back(
        torch::from_blob(const_cast<float*>(frames.data() + first), shape, torch::kFloat32).clone().to(device));
}

torch::Tensor SurrogateStepper::emulate(const torch::Tensor& x, std::span<const std::int64_t> trajectories,
                                        std::int64_t step) {
  torch::Tensor y = emulator_->step(x);
  if (options_.noise == 0) return y;
  torch::Tensor xi = torch::empty(x.sizes(), torch::kFloat32);
  const std::int64_t values = xi.numel() / xi.size(0);
  for (std::size_t b = 0; b < trajectories.size(); ++b) {
    RandomStream stream(options_.seed, Purpose::emulator_noise, static_cast<std::uint64_t>(trajectories[b]),
                        static_cast<std::uint64_t>(step));
    stream.fill_normal(std::span(xi.mutable_data_ptr<float>() + static_cast<std::int64_t>(b) * values,
                                 static_cast<std::size_t>(values)));
  }
  return y + options_.noise * xi.to(x.device());
}

StepOutcome SurrogateStepper::advance(const torch::Tensor& initial, const torch::Tensor& x,
                                      std::span<const std::int64_t> trajectories, std::int64_t step) {
  const std::int64_t members = x.size(0), channels = x.size(1);
  StepOutcome out;
  out.next = emulate(x, trajectories, step);
  out.evaluations = torch::zeros({members, 3}, torch::kInt64);
  out.evaluations.select(1, 0).fill_(1);
  if (!refiner_) return out;

  const bool lagged = refiner_->longest_lag() > 0;
  if (lagged) remember(x, trajectories);
  if (step < options_.start) return out;
  const int lag = lagged ? static_cast<int>(past_.size()) : 0;
  torch::Tensor triple = torch::cat({lagged ? past_.front() : initial, x, out.next}, 1);
  if (to_refiner_.defined()) triple = triple * to_refiner_;
  const std::vector<Levels> predicted = refiner_->levels(triple, lag);
  PhiloxNoise noise(options_.seed, std::vector<std::uint64_t>(trajectories.begin(), trajectories.end()),
                    static_cast<std::uint64_t>(step));
  const Refined refined = refiner_->refine(triple, predicted, options_.refine, noise, lag);
  const torch::Tensor frames = to_refiner_.defined() ? refined.x / to_refiner_ : refined.x;
  out.next = frames.narrow(1, 2 * channels, channels);
  if (options_.refine.path == Path::C) {
    out.previous = frames.narrow(1, channels, channels);
    if (lagged) past_.back() = out.previous;
  }

  out.evaluations.select(1, 1).fill_(1);
  out.levels = torch::empty({members, 2}, torch::kInt64);
  for (std::int64_t b = 0; b < members; ++b) {
    const auto row = static_cast<std::size_t>(b);
    out.levels[b][0] = predicted[row].past;
    out.levels[b][1] = predicted[row].present;
    out.evaluations[b][2] = refined.evaluations[row];
  }
  return out;
}

}  // namespace sns
