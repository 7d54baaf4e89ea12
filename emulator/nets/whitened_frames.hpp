#pragma once
// A further form of the frames that networks see: whitened, so that noise much weaker than the flow's large
// scales is not weak in their input.
#include <torch/types.h>

#include <cstdint>
#include <vector>

namespace sns {

/// Shells round(|k|) of an image of n x n points, those of its corners included: numbers of a channel's part
/// of `whitening` (ModelConfig).
std::int64_t whitening_shells(std::int64_t n);

/// What whitened() divides the modes of fft_rfft2 by, inverted: [channels, n, n/2 + 1], float32. `whitening`:
/// standard deviations by channel and shell, [fields * whitening_shells(n)]; the fields repeat along the
/// channels. Empty: ones.
torch::Tensor whitening_filter(const std::vector<double>& whitening, std::int64_t channels, std::int64_t n);

/// asinh of the frames x [B, channels, n, n], float32, with every mode divided by its standard deviation. Even
/// noise of a hundred times that deviation has one of five.
torch::Tensor whitened(const torch::Tensor& x, const torch::Tensor& filter);

}  // namespace sns
