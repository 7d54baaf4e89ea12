// diffusion.prediction: what a network's output is read as, and what the loss is then the mean square of.
#include "emulator/models/acdm.hpp"
#include "emulator/models/sns.hpp"
#include "emulator/models/thermalizer.hpp"
#include "tests/support/torch_doctest.hpp"

#include <torch/utils.h>

#include <cmath>

using namespace sns;

namespace {

ModelConfig tiny(const std::string& kind, const std::string& prediction) {
  ModelConfig config;
  config.kind = kind;
  config.network.hidden = 4;
  config.network.blocks = 1;
  config.network.embedding = 8;
  config.diffusion.levels = 12;
  config.diffusion.prediction = prediction;
  config.image = 16;
  return config;
}

torch::Tensor waves(std::int64_t batch, std::int64_t channels) {
  return torch::sin(torch::arange(batch * channels * 256, torch::kFloat32) * 0.37F)
      .view({batch, channels, 16, 16});
}

struct Scales {
  double signal, sigma;  ///< sqrt(abar_s), sqrt(1 - abar_s)
};

Scales scales_of(const Schedule& schedule, const torch::Tensor& level) {
  const double sigma = schedule.noise_std(level.item<int>());
  return {std::sqrt(1 - sigma * sigma), sigma};
}

/// Estimates of networks with the same weights. levels [B] or [B, F], of the last frames of x, one field each.
template <class Kind>
void check_outputs(const std::string& kind, const torch::Tensor& x, const torch::Tensor& levels) {
  CAPTURE(kind);
  const auto estimate = [&](const std::string& prediction) {
    return Kind(tiny(kind, prediction), 4, torch::kCPU).noise_estimate(x, levels);
  };
  const Schedule schedule = make_schedule(tiny(kind, "eps").diffusion);
  const torch::Tensor output = estimate("eps"), scaled = estimate("scaled_eps"), v = estimate("v");
  const std::int64_t frames = output.size(1);
  const torch::Tensor noised = x.narrow(1, x.size(1) - frames, frames);
  const auto same = [](const torch::Tensor& a, const torch::Tensor& b) {
    return torch::allclose(a, b, 1e-5, 1e-6);
  };
  for (std::int64_t r = 0; r < x.size(0); ++r)
    for (std::int64_t f = 0; f < frames; ++f) {
      const auto [signal, sigma] = scales_of(schedule, levels.dim() == 1 ? levels[r] : levels[r][f]);
      CHECK(same(scaled[r][f] * sigma, output[r][f]));
      CHECK(same(v[r][f], signal * output[r][f] + sigma * noised[r][f]));
    }
}

}  // namespace

TEST_CASE("a network's output is eps, sigma eps or v, in every kind of model") {
  torch::set_num_threads(1);
  const torch::NoGradGuard no_grad;
  const torch::Tensor levels = torch::tensor({3, 8}, torch::kInt64);
  check_outputs<Thermalizer>("thermalizer", waves(2, 1), levels);
  check_outputs<Acdm>("acdm", waves(2, 2), levels);
  check_outputs<Sns>("sns", waves(2, 3), torch::tensor({3, 8, 0, 5}, torch::kInt64).view({2, 2}));
}

TEST_CASE("with prediction v the loss is the mean square error of v, otherwise of eps") {
  torch::set_num_threads(1);
  const torch::NoGradGuard no_grad;
  const torch::Tensor both = torch::tensor({2, 9, 11, 0}, torch::kInt64).view({2, 2}),
                      one_clean = torch::tensor({-1, 9, 11, 0}, torch::kInt64).view({2, 2}),
                      clean_pasts = torch::tensor({-1, 9, -1, 0}, torch::kInt64).view({2, 2});
  for (const torch::Tensor& levels : {both, one_clean, clean_pasts})
    for (const auto& [prediction, c] : std::vector<std::pair<std::string, std::int64_t>>{
             {"eps", 1}, {"scaled_eps", 1}, {"v", 1}, {"eps", 2}, {"v", 2}}) {  // c: fields of a frame
      CAPTURE(c);
      const torch::Tensor clean = waves(2, 3 * c), noise = torch::cos(waves(2, 2 * c) * 3);
      CAPTURE(prediction);
      CAPTURE(levels);
      const auto is_clean = [&](std::int64_t r, std::int64_t f) { return levels[r][f].item<int>() < 0; };
      ModelConfig config = tiny("sns", prediction);
      config.field_channels = static_cast<int>(c);
      Sns model(config, 4, torch::kCPU);
      const auto frame = [c = c](const torch::Tensor& row, std::int64_t number) {
        return row.narrow(0, number * c, c);
      };
      torch::Tensor x = clean.clone();
      for (std::int64_t r = 0; r < 2; ++r)
        for (std::int64_t f = 0; f < 2; ++f) {
          if (is_clean(r, f)) continue;
          const auto [signal, sigma] = scales_of(model.schedule(), levels[r][f]);
          frame(x[r], 1 + f).copy_(signal * frame(clean[r], 1 + f) + sigma * frame(noise[r], f));
        }
      const SnsOutput out = model.net().forward(x);
      const torch::Tensor output = out.noise;
      double sum = 0, count = 0, surprise = 0, pasts = 0;
      for (std::int64_t r = 0; r < 2; ++r)
        for (std::int64_t f = 0; f < 2; ++f) {
          if (is_clean(r, f)) continue;
          if (f == 0) {
            ++pasts;
            surprise -= out.logits.past.log_softmax(1)[r][levels[r][0]].item<double>();
          }
          ++count;
          const auto [signal, sigma] = scales_of(model.schedule(), levels[r][f]);
          const torch::Tensor made = frame(output[r], f), eps = frame(noise[r], f);
          const torch::Tensor error = prediction == "v" ? made - (signal * eps - sigma * frame(clean[r], 1 + f))
                                      : prediction == "eps" ? made - eps
                                                            : made / sigma - eps;
          sum += error.square().mean().item<double>();
        }
      const SnsLoss loss = model.loss(clean, levels, noise, /*cross_entropy_weight=*/1, {},
                                      /*clean_pasts=*/levels.lt(0).any().item<bool>());
      CHECK(loss.mse.item<double>() == test::relative(sum / count).epsilon(1e-4));
      double total = loss.mse.item<double>() + loss.ce_present.item<double>();
      CHECK(loss.ce_past.defined() == (pasts > 0));
      if (pasts > 0) {
        CHECK(loss.ce_past.item<double>() == test::relative(surprise / pasts).epsilon(1e-4));
        total += loss.ce_past.item<double>();
        if (pasts == 2)  // none is clean, which the loss may be told or not
          CHECK(
              loss.total.item<double>() ==
              test::relative(model.loss(clean, levels, noise, 1, {}, /*clean_pasts=*/true).total.item<double>())
                  .epsilon(1e-6));
      }
      CHECK(loss.total.item<double>() == test::relative(total).epsilon(1e-5));
    }
}
