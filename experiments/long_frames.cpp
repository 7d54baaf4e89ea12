#include "experiments/long_frames.hpp"

#include "core/error.hpp"

#include <algorithm>

namespace sns {
namespace {

// Whole numbers as two floats of 24 bits: a float holds no more of them exactly.
constexpr int kBits = 24;

void put(std::vector<float>& out, std::int64_t value) {
  out.push_back(static_cast<float>(value >> kBits));
  out.push_back(static_cast<float>(value & ((1 << kBits) - 1)));
}

std::int64_t get(std::span<const float> saved, std::size_t at) {
  return (static_cast<std::int64_t>(saved[at]) << kBits) + static_cast<std::int64_t>(saved[at + 1]);
}

}  // namespace

void LongFrames::remember(const torch::Tensor& x, std::span<const std::int64_t> trajectories) {
  if (longest_ == 0) return;
  if (!std::equal(trajectories.begin(), trajectories.end(), trajectories_.begin(), trajectories_.end())) {
    // Members only ever leave: keep the rows of those that are still there.
    std::vector<std::int64_t> rows, last;
    for (const std::int64_t id : trajectories) {
      const auto found = std::find(trajectories_.begin(), trajectories_.end(), id);
      require(past_.empty() || found != trajectories_.end(), "trajectory {} joined a rollout under way", id);
      rows.push_back(found - trajectories_.begin());
      last.push_back(past_.empty() ? 0 : last_[static_cast<std::size_t>(rows.back())]);
    }
    const torch::Tensor index = torch::tensor(rows, torch::kInt64).to(x.device());
    for (torch::Tensor& frame : past_) frame = frame.index_select(0, index);
    trajectories_.assign(trajectories.begin(), trajectories.end());
    last_ = std::move(last);
  }
  past_.push_back(x);
  if (static_cast<int>(past_.size()) > longest_) past_.pop_front();
}

std::vector<int> LongFrames::lags(std::int64_t step) const {
  std::vector<int> lags;
  for (const std::int64_t last : last_)
    lags.push_back(static_cast<int>(std::min(step - last, static_cast<std::int64_t>(past_.size()))));
  return lags;
}

torch::Tensor LongFrames::frames(const std::vector<int>& lags) const {
  const auto at = [this](int lag) -> const torch::Tensor& {
    return past_.at(past_.size() - static_cast<std::size_t>(lag));
  };
  if (std::all_of(lags.begin(), lags.end(), [&](int lag) { return lag == lags.front(); }))
    return at(lags.front());
  std::vector<torch::Tensor> rows;
  for (std::size_t b = 0; b < lags.size(); ++b) rows.push_back(at(lags[b])[static_cast<std::int64_t>(b)]);
  return torch::stack(rows);
}

// Number of members, their ids, the steps that their lags count from, then the frames.
std::vector<float> LongFrames::save() const {
  std::vector<float> out;
  if (past_.empty()) return out;
  out.push_back(static_cast<float>(trajectories_.size()));
  for (const auto* values : {&trajectories_, &last_})
    for (const std::int64_t value : *values) put(out, value);
  for (const torch::Tensor& frame : past_) {
    const torch::Tensor host = frame.to(torch::kCPU).contiguous();
    out.insert(out.end(), host.const_data_ptr<float>(), host.const_data_ptr<float>() + host.numel());
  }
  return out;
}

void LongFrames::restore(std::span<const float> saved, std::int64_t channels, std::int64_t points,
                         torch::Device device) {
  past_.clear();
  trajectories_.clear();
  last_.clear();
  if (saved.empty()) return;
  require(longest_ > 0, "the checkpoint holds past frames that this model has no use for");
  const auto members = static_cast<std::size_t>(saved[0]);
  for (std::size_t m = 0; m < members; ++m) {
    trajectories_.push_back(get(saved, 1 + 2 * m));
    last_.push_back(get(saved, 1 + 2 * (members + m)));
  }
  const auto frames = saved.subspan(1 + 4 * members);
  const std::vector<std::int64_t> shape{static_cast<std::int64_t>(members), channels, points, points};
  const auto size = static_cast<std::size_t>(c10::multiply_integers(shape));
  require(size > 0 && frames.size() % size == 0, "the checkpoint's past frames are of another size");
  for (std::size_t first = 0; first < frames.size(); first += size)
    past_.push_back(
        torch::from_blob(const_cast<float*>(frames.data() + first), shape, torch::kFloat32).clone().to(device));
}

}  // namespace sns
