#include "emulator/training/frame_spectrum.hpp"

#include "core/error.hpp"
#include "core/stop.hpp"
#include "emulator/dataset.hpp"
#include "emulator/models/shell_covariance.hpp"
#include "emulator/training/task.hpp"

#include <ATen/Functions.h>

#include <algorithm>
#include <cmath>

namespace sns {
namespace {

double four_digits(double value) {
  const double unit = std::pow(10.0, 3 - std::floor(std::log10(value)));
  return std::round(value * unit) / unit;
}

}  // namespace

std::vector<double> measure_whitening(const TrainingFrames& frames, const Schedule& schedule) {
  constexpr std::int64_t kMost = 512, kBatch = 16;
  const std::int64_t windows = frames.windows(1), count = std::min(windows, kMost);
  require(count > 0, "split {} has no frame to measure spectra on", frames.name());
  const Permutation order(static_cast<std::uint64_t>(windows), /*seed=*/0, /*epoch=*/0);
  const auto size = static_cast<std::size_t>(frames.frame_size());
  torch::Tensor powers;  // [shells, fields]
  for (std::int64_t first = 0; first < count; first += kBatch) {
    throw_if_stopped("while measuring spectra of frames");
    const std::int64_t batch = std::min(kBatch, count - first);
    torch::Tensor some = at::empty({batch, frames.channels(), frames.nx(), frames.ny()}, frame_options(frames));
    for (std::int64_t b = 0; b < batch; ++b)
      frames.read_window(static_cast<std::int64_t>(order(static_cast<std::uint64_t>(first + b))), 1,
                         {some.data_ptr<float>() + b * frames.frame_size(), size});
    const double share = static_cast<double>(batch) / static_cast<double>(count);
    const torch::Tensor part = at::diagonal(shell_covariance(some), 0, -2, -1) * share;
    powers = powers.defined() ? powers + part : part;
  }
  require(powers.isfinite().all().item<bool>(), "split {} holds values that are not finite", frames.name());
  const double noise = schedule.noise_std(0);
  const torch::Tensor deviations = (powers + noise * noise).sqrt().t().contiguous();
  deviations.select(1, 0).copy_(deviations.select(1, 1));
  std::vector<double> whitening;
  for (std::int64_t i = 0; i < deviations.numel(); ++i)
    whitening.push_back(four_digits(deviations.data_ptr<double>()[i]));
  return whitening;
}

}  // namespace sns
