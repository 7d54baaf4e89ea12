#pragma once
#include <string>
#include <vector>

namespace sns {

/// Standard deviations of the noise at the first and the last level, beside data of unit variance.
struct NoiseRange {
  double lowest = 0.005;
  double highest = 0.9;
};

/// Variance-preserving noise schedule over levels s = 0..S-1 (level 0 is already slightly noisy; there is no
/// clean level): x_s = sqrt(alpha_bar_s) x + sqrt(1 - alpha_bar_s) eps. All tables are float64.
struct Schedule {
  std::string name;
  std::vector<double> beta, alpha, alpha_bar;
  std::vector<double> posterior_std;  ///< sqrt(beta_s (1 - alpha_bar_{s-1}) / (1 - alpha_bar_s)), 0 at s = 0

  int levels() const { return static_cast<int>(beta.size()); }
  double signal(int s) const;     ///< sqrt(alpha_bar_s)
  double noise_std(int s) const;  ///< sqrt(1 - alpha_bar_s)

  /// f(u) = cos^2(pi/2 (u/S + 0.008) / 1.008), beta_s = min(1 - f(s+1)/f(s), 0.999)   (Nichol & Dhariwal 2021)
  static Schedule cosine(int levels);
  /// beta linear from 1e-4 * 500/S to 2e-2 * 500/S   (tum-pbs/autoreg-pde-diffusion)
  static Schedule linear(int levels);
  /// Noise of neighbouring levels in a constant ratio: sqrt(1 - alpha_bar_s) = lowest
  /// (highest/lowest)^(s/(S-1)). Not the paper's: as fine below the error of a good surrogate as above it.
  static Schedule geometric(int levels, const NoiseRange& range);
  /// By name: "cosine", "linear" or "geometric", which alone heeds the range. ConfigError otherwise, or if the
  /// number of levels makes no schedule.
  static Schedule make(const std::string& name, int levels, const NoiseRange& range = {});
};

}  // namespace sns
