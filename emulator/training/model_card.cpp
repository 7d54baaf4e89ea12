#include "emulator/training/model_card.hpp"

#include "core/build_info.hpp"
#include "core/error.hpp"
#include "core/files.hpp"

namespace sns {
namespace {

std::string join(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

const char* purpose(const std::string& kind) {
  if (kind == "gaussian")
    return "pointwise (\"Gaussian\") emulator: predicts the change of a frame over one frame interval";
  if (kind == "thermalizer")
    return "thermalizer: estimates how noisy a frame looks and denoises it from that level";
  if (kind == "acdm")
    return "autoregressive conditional diffusion model (ACDM): generates the next frame from noise, "
           "conditioned "
           "on the present one";
  return "self-refining neural surrogate (SNS): estimates the noise levels of two consecutive frames and "
         "denoises both";
}

}  // namespace

void write_model_card(const std::filesystem::path& folder, const ModelSpec& spec, const TrainingData& data,
                      const TrainResult& result, std::uint64_t seed, const TrainOptions& options) {
  const auto& build = build_info();
  const DatasetInfo& info = data.info;
  std::string text = fmt::format(
      "---\nlicense: mit\nlibrary_name: sns-suite\ntags: [physics, fluid-dynamics, emulator, {}]\n"
      "{}---\n# {}\n\n{}.\n\n",
      spec.model.kind, data.identity.empty() ? fmt::format("datasets: [{}]\n", info.name) : "", spec.name,
      purpose(spec.model.kind));
  text += "| | |\n|---|---|\n";
  const auto row = [&](const char* name, const std::string& value) {
    text += fmt::format("| {} | {} |\n", name, value);
  };
  row("kind", spec.model.kind);
  row("parameters", fmt::format("{}", result.parameters));
  std::vector<std::string> scales;
  for (const double value : spec.model.field_std) scales.push_back(fmt::format("{:.6g}", value));
  row("fields", fmt::format("{} ({}x{}, divided by {})", join(info.fields), info.nx, info.ny, join(scales)));
  row("frame interval", fmt::format("{:.9g}", info.frame_interval));
  row("trained on", data.source);
  row("data hash (SHA-256)", info.hash + (data.identity.empty() ? "" : ", of the text under Data"));
  row("seed", fmt::format("{}", seed));
  row("optimiser steps",
      fmt::format("{} of batch {}", result.steps, spec.training.batch * spec.training.accumulate));
  row("precision", spec.training.precision);
  row("training time", fmt::format("{:.0f} s", result.wall_seconds));
  if (result.best_step >= 0) {
    row("lowest validation loss", fmt::format("{:.6g} at step {} (weights in best-{}/)", result.best_loss,
                                              result.best_step, result.best_step));
  }
  if (result.rollbacks > 0) row("restarts after non-finite steps", fmt::format("{}", result.rollbacks));
  const bool best = spec.training.select == "best" && result.best_step >= 0;
  row("selected weights", fmt::format("{} (step {})", best ? "best" : "last", result.selected_step));
  row("software", fmt::format("sns {} ({}{}), {}", build.version, build.git_commit,
                              build.git_dirty ? ", modified" : "", build.compiler));
  row("written", utc_now());
  row("licence", "MIT");
  text += fmt::format("\n## Validation (averaged weights of step {})\n\n", result.selected_step);
  if (result.validation.empty()) text += "There were no validation frames.\n";
  if (!result.validation.empty()) text += "| metric | value |\n|---|---|\n";
  for (const auto& [name, value] : result.validation) row(name.c_str(), fmt::format("{:.6g}", value));
  text +=
      "\n## Files\n\n`model.safetensors` holds the weights, `ema.safetensors` their moving average, "
      "`config.yaml` "
      "the architecture. Parameter names are those of the reference PyTorch code.\n";
  if (!data.identity.empty()) text += fmt::format("\n## Data\n\n```yaml\n{}```\n", data.identity);
  if (!options.command.empty()) text += fmt::format("\n## Command\n\n```\n{}\n```\n", options.command);
  if (!options.configuration.empty())
    text += fmt::format("\n## Configuration\n\n```yaml\n{}\n```\n", options.configuration);
  write_text(folder / "model_card.md", text);
}

}  // namespace sns
