#include "emulator/training/frame_spectrum.hpp"

#include "core/error.hpp"
#include "emulator/dataset.hpp"
#include "emulator/models/shell_covariance.hpp"
#include "emulator/training/task.hpp"

#include <ATen/Functions.h>

#include <algorithm>
#include <string>

namespace sns {

std::vector<double> measure_whitening(const TrainingFrames& frames, const Schedule& schedule) {
  constexpr std::int64_t kMost = 512;
  const std::int64_t windows = frames.windows(1), count = std::min(windows, kMost);
  require(count > 0, "split {} has no frame to measure spectra on", frames.name());
  const Permutation order(static_cast<std::uint64_t>(windows), /*seed=*/0, /*epoch=*/0);
  torch::Tensor fields = at::empty({count, frames.channels(), frames.nx(), frames.ny()}, frame_options(frames));
  for (std::int64_t i = 0; i < count; ++i)
    frames.read_window(
        static_cast<std::int64_t>(order(static_cast<std::uint64_t>(i))), 1,
        {fields.data_ptr<float>() + i * frames.frame_size(), static_cast<std::size_t>(frames.frame_size())});
  const torch::Tensor powers = at::diagonal(shell_covariance(fields), 0, -2, -1);  // [shells, fields]
  const double noise = schedule.noise_std(0);
  const torch::Tensor deviations = (powers + noise * noise).sqrt().t().contiguous();
  deviations.select(1, 0).copy_(deviations.select(1, 1));
  require(deviations.isfinite().all().item<bool>(), "split {} holds values that are not finite", frames.name());
  std::vector<double> whitening;
  for (std::int64_t i = 0; i < deviations.numel(); ++i)
    whitening.push_back(std::stod(fmt::format("{:.4g}", deviations.data_ptr<double>()[i])));
  return whitening;
}

}  // namespace sns
