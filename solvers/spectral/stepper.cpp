#include "solvers/spectral/stepper.hpp"

#include <cmath>
#include <complex>

namespace sns::spectral {

std::vector<LowStorageStage> low_storage_stages(StepperName name) {
  // Crank-Nicolson over the sub-interval alpha_k .. alpha_{k+1} of each explicit stage.
  const auto crank_nicolson = [](const std::vector<double>& alpha, const std::vector<double>& beta,
                                 const std::vector<double>& gamma) {
    std::vector<LowStorageStage> stages;
    for (std::size_t k = 0; k < beta.size(); ++k) {
      const double half = 0.5 * (alpha[k + 1] - alpha[k]);
      stages.push_back({beta[k], gamma[k], half, half});
    }
    return stages;
  };
  switch (name) {
    case StepperName::cn_rk4:
      return crank_nicolson(
          {0, 0.1496590219993, 0.3704009573644, 0.6222557631345, 0.9582821306748, 1},
          {0, -0.4178904745, -1.192151694643, -1.697784692471, -1.514183444257},
          {0.1496590219993, 0.3792103129999, 0.8229550293869, 0.6994504559488, 0.1530572479681});
    case StepperName::cn_rk3:
      return crank_nicolson({0, 1.0 / 3, 3.0 / 4, 1}, {0, -5.0 / 9, -153.0 / 128},
                            {1.0 / 3, 15.0 / 16, 8.0 / 15});
    case StepperName::cn_rk2:
      return {{0, 1, 0.5, 0.5}, {-1, 0.5, -0.5, 0.5}};
    case StepperName::imex_euler:
      return {{0, 1, 0, 1}};
    case StepperName::imex_rk_sil3:
      break;
  }
  return {};
}

double linear_amplification(StepperName name, double x) {
  if (name != StepperName::imex_rk_sil3) {
    double factor = 1;
    for (const LowStorageStage& stage : low_storage_stages(name))
      factor *= (1 + stage.explicit_part * x) / (1 - stage.implicit_part * x);
    return factor;
  }
  const Sil3 scheme;
  std::array<double, Sil3::kStages + 1> u{1, 0, 0, 0};
  for (int s = 0; s < Sil3::kStages; ++s) {
    double sum = 1;
    for (int j = 0; j <= s; ++j) sum += scheme.implicit_part[s][j] * x * u[j];
    u[s + 1] = sum / (1 - scheme.implicit_part[s][s + 1] * x);
  }
  return u[Sil3::kStages];
}

double explicit_amplification(StepperName name, double turn) {
  const std::complex<double> rate{0, turn};
  if (name != StepperName::imex_rk_sil3) {
    std::complex<double> w = 1, carry = 0;
    for (const LowStorageStage& stage : low_storage_stages(name)) {
      carry = rate * w + stage.carry * carry;
      w += stage.weight * carry;
    }
    return std::abs(w);
  }
  const Sil3 scheme;
  std::array<std::complex<double>, Sil3::kStages + 1> u{1, 0, 0, 0};
  for (int s = 0; s < Sil3::kStages; ++s) {
    u[s + 1] = 1;
    for (int j = 0; j <= s; ++j) u[s + 1] += scheme.explicit_part[s][j] * rate * u[j];
  }
  return std::abs(u[Sil3::kStages]);
}

double stable_turn(StepperName name) {
  constexpr double kStep = 0.05;
  constexpr double kRounding = 1e-12;
  constexpr int kBisections = 40;
  const auto stable = [name](double turn) { return explicit_amplification(name, turn) <= 1 + kRounding; };
  double low = 0;
  while (stable(low + kStep)) low += kStep;
  if (low == 0) return 0;
  double high = low + kStep;
  for (int i = 0; i < kBisections; ++i) {
    const double middle = 0.5 * (low + high);
    (stable(middle) ? low : high) = middle;
  }
  return low;
}

}  // namespace sns::spectral
