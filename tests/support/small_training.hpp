#pragma once
// Small training runs for the tests of training.
#include "core/files.hpp"
#include "emulator/training/trainer.hpp"

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

namespace sns::test {

/// A network of some hundred parameters, 30 steps, validation and checkpoint every 10.
inline ModelSpec small_spec(const std::string& kind) {
  ModelSpec spec;
  spec.name = kind;
  spec.model.kind = kind;
  spec.model.network.hidden = 2;
  spec.model.network.multipliers = {1, 1};
  spec.model.network.blocks = 1;
  spec.model.network.embedding = 4;
  spec.model.diffusion.levels = 20;
  if (kind == "acdm") spec.model.diffusion.schedule = "linear";
  spec.training = reference_training(kind);
  spec.training.steps = 30;
  spec.training.batch = 4;
  spec.training.learning_rate = 3e-3;
  spec.training.validate_every = 10;
  spec.training.checkpoint_every = 10;
  spec.training.validation_samples = 8;
  return spec;
}

inline RunConfig cpu_run(std::uint64_t seed = 7) {
  RunConfig run;
  run.seed = seed;
  run.device = "cpu";
  run.threads = 1;
  return run;
}

/// Everything that must not depend on interruptions: step and loss values of the log.
inline std::string loss_curve(const std::filesystem::path& folder) {
  std::istringstream lines(read_text(folder / "metrics.jsonl"));
  std::string curve, line;
  while (std::getline(lines, line)) {
    auto entry = nlohmann::json::parse(line);
    entry.erase("wall");
    entry.erase("images_per_second");
    curve += entry.dump() + "\n";
  }
  return curve;
}

}  // namespace sns::test
