#pragma once
#include "emulator/diffusion/schedule.hpp"
#include "emulator/training_frames.hpp"

#include <vector>

namespace sns {

/// What a `whitened` network divides the modes of its input by (ModelConfig::whitening): sqrt(P + sigma_0^2) by
/// field and shell, P being the mean power of a mode (unitary transform) in up to 512 training frames spread
/// over all trajectories, sigma_0 the noise of the lowest level. The mean over the domain, which a rollout may
/// lose, is divided by what the next shell is. Four digits, so that roundings of
/// another machine do not show.
std::vector<double> measure_whitening(const TrainingFrames& frames, const Schedule& schedule);

}  // namespace sns
