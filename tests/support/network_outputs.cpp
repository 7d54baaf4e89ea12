// write_network_outputs FOLDER OUT.safetensors: what the network of a weights folder (raw weights) makes of
// fixed random numbers; `x`, `condition` (acdm: levels; lagged sns: lags) and `output`, `logits_1`, `logits_2`
// as the network gives them. For comparison with other implementations.
#include "core/random.hpp"
#include "emulator/models/acdm.hpp"
#include "emulator/models/gaussian.hpp"
#include "emulator/models/sns.hpp"
#include "emulator/models/thermalizer.hpp"
#include "emulator/safetensors.hpp"

#include <ATen/Functions.h>
#include <c10/core/GradMode.h>

#include <cstdio>
#include <exception>

namespace {

using namespace sns;

NamedTensors outputs(Model& model) {
  constexpr std::int64_t kBatch = 2;
  const ModelConfig& config = model.config();
  const std::int64_t frames = config.kind == "sns" ? 3 : config.kind == "acdm" ? 2 : 1;
  const torch::Tensor x = torch::empty({kBatch, frames * config.field_channels, config.image, config.image});
  RandomStream stream(7, Purpose::diffusion_noise, 0);
  stream.fill_normal({x.data_ptr<float>(), static_cast<std::size_t>(x.numel())});
  const torch::Tensor condition = at::tensor(std::vector<std::int64_t>{1, 3}, torch::kInt64);

  const c10::AutoGradMode no_grad(false);
  if (auto* gaussian = dynamic_cast<GaussianEmulator*>(&model))
    return {{"x", x}, {"output", gaussian->residual(x)}};
  if (auto* thermalizer = dynamic_cast<Thermalizer*>(&model)) {
    const auto out = thermalizer->net().forward(x);
    return {{"x", x}, {"output", out.noise}, {"logits_1", out.logits}};
  }
  if (auto* acdm = dynamic_cast<Acdm*>(&model))
    return {{"x", x}, {"condition", condition}, {"output", acdm->net().forward(x, condition)}};
  auto& sns = dynamic_cast<Sns&>(model);
  const bool lagged = sns.longest_lag() > 0;
  const auto out = sns.net().forward(x, lagged ? condition : torch::Tensor());
  NamedTensors all = {
      {"x", x}, {"output", out.noise}, {"logits_1", out.logits.past}, {"logits_2", out.logits.present}};
  if (lagged) all.emplace_back("condition", condition);
  return all;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("usage: write_network_outputs FOLDER OUT.safetensors\n", stderr);
    return 2;
  }
  try {
    const auto model = load_model(argv[1], Weights::raw, torch::kCPU);
    save_safetensors(argv[2], outputs(*model));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "write_network_outputs: %s\n", error.what());
    return 1;
  }
  return 0;
}
