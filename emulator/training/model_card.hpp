#pragma once
#include "emulator/training/trainer.hpp"

namespace sns {

/// Writes <folder>/model_card.md: what the model is, what it was trained on (with the data's hash), how (seed,
/// configuration, command, software), and how well it does on the validation split. YAML head as on Hugging
/// Face.
void write_model_card(const std::filesystem::path& folder, const ModelSpec& spec, const TrainingData& data,
                      const TrainResult& result, std::uint64_t seed, const TrainOptions& options);

}  // namespace sns
