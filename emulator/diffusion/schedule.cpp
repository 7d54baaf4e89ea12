#include "emulator/diffusion/schedule.hpp"

#include "core/error.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace sns {
namespace {

Schedule from_betas(std::string name, std::vector<double> beta) {
  Schedule schedule;
  schedule.name = std::move(name);
  double product = 1;
  for (std::size_t s = 0; s < beta.size(); ++s) {
    const double before = product;
    schedule.alpha.push_back(1.0 - beta[s]);
    product *= schedule.alpha.back();
    schedule.alpha_bar.push_back(product);
    schedule.posterior_std.push_back(s == 0 ? 0.0 : std::sqrt(beta[s] * (1.0 - before) / (1.0 - product)));
  }
  schedule.beta = std::move(beta);
  return schedule;
}

}  // namespace

double Schedule::signal(int s) const {
  return std::sqrt(alpha_bar.at(static_cast<std::size_t>(s)));
}

double Schedule::noise_std(int s) const {
  return std::sqrt(1.0 - alpha_bar.at(static_cast<std::size_t>(s)));
}

Schedule Schedule::cosine(int levels) {
  const auto f = [levels](int u) {
    const double c = std::cos((static_cast<double>(u) / levels + 0.008) / 1.008 * std::numbers::pi / 2);
    return c * c;
  };
  std::vector<double> beta;
  for (int s = 0; s < levels; ++s) beta.push_back(std::clamp(1.0 - f(s + 1) / f(s), 0.0, 0.999));
  return from_betas("cosine", std::move(beta));
}

Schedule Schedule::linear(int levels) {
  const double first = 1e-4 * 500 / levels, last = 2e-2 * 500 / levels;
  std::vector<double> beta;
  for (int s = 0; s < levels; ++s) beta.push_back(first + (last - first) * s / (levels - 1));
  return from_betas("linear", std::move(beta));
}

Schedule Schedule::geometric(int levels, const NoiseRange& range) {
  std::vector<double> beta;
  double before = 1;
  for (int s = 0; s < levels; ++s) {
    const double noise =
        range.lowest * std::pow(range.highest / range.lowest, static_cast<double>(s) / (levels - 1));
    const double alpha_bar = 1.0 - noise * noise;
    beta.push_back(1.0 - alpha_bar / before);
    before = alpha_bar;
  }
  return from_betas("geometric", std::move(beta));
}

Schedule Schedule::make(const std::string& name, int levels, const NoiseRange& range) {
  if (levels < 2) fail<ConfigError>("diffusion.levels is {}; at least 2 are needed", levels);
  if (name == "cosine") return cosine(levels);
  if (name == "linear") {
    if (levels <= 10)
      fail<ConfigError>(
          "diffusion.levels is {}; the linear schedule needs more than 10 (its last beta is 10/levels)",
          levels);
    return linear(levels);
  }
  if (name == "geometric") return geometric(levels, range);
  fail<ConfigError>("diffusion.schedule is '{}'; allowed are cosine, linear, geometric", name);
}

}  // namespace sns
