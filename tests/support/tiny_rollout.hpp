#pragma once
// Rollouts of 16 x 16 frames by untrained networks, and what they leave.

#include "core/hdf5.hpp"
#include "experiments/surrogate_stepper.hpp"
#include "tests/support/small_rollouts.hpp"

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace sns::test {

inline constexpr int kLevels = 20;

inline ModelConfig tiny(const std::string& kind) {
  ModelConfig config;
  config.kind = kind;
  config.network.hidden = 4;
  config.network.blocks = 1;
  config.network.embedding = 8;
  config.diffusion.levels = kLevels;
  config.diffusion.schedule = kind == "acdm" ? "linear" : "cosine";
  config.image = 16;
  config.field_std = {1.0};
  return config;
}

inline std::unique_ptr<GaussianEmulator> emulator() {
  return std::make_unique<GaussianEmulator>(tiny("gaussian"), 1, torch::kCPU);
}

/// Members by `ids` of 16 x 16 points, from random frames; without a limit, since untrained networks let frames
/// grow.
inline RolloutJob tiny_job(const std::filesystem::path& output, std::int64_t steps,
                           std::vector<std::int64_t> ids) {
  RolloutJob job = job_for(output, steps, std::move(ids), 16);
  job.field_std = {1.0};
  job.limit = 1e30;
  return job;
}

/// What a rollout leaves in its file.
struct Log {
  std::vector<std::int32_t> levels;
  std::vector<std::int64_t> evaluations, failed;
  std::vector<float> frames;
};

inline Log run(const RolloutJob& job, std::unique_ptr<GaussianEmulator> surrogate,
               std::unique_ptr<DiffusionStage> stage, const Inference& inference = {}) {
  SurrogateStepper stepper(std::move(surrogate), std::move(stage), {.inference = inference});
  const RolloutSummary summary = run_rollout(job, stepper);
  const auto file = h5::File::open_read(job.output);
  return {file.dataset("levels").read<std::int32_t>(), file.dataset("evaluations").read<std::int64_t>(),
          summary.failed_step, file.dataset("vorticity").read<float>()};
}

}  // namespace sns::test
