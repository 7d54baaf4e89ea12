#pragma once
#include <torch/types.h>

#include <vector>

namespace sns {

/// Covariance of a homogeneous Gaussian random field of C channels on n x n periodic points: wavevectors are
/// independent of one another, and each has S(k) = <f^(k) f^(k)^H>, C x C, with unitary transforms f^, so that
/// the sum of its trace over all k is n^2 times the mean square. About zero: a mean that is not zero counts as
/// fluctuation.
class FieldCovariance {
 public:
  /// The estimate from fields [N, C, n, n]. Error unless they are square, and n is even.
  static FieldCovariance of(const torch::Tensor& fields);
  /// From what spectrum() has given: Error unless it is [n, n/2 + 1, C, C, 2], and finite.
  explicit FieldCovariance(torch::Tensor spectrum);

  /// S of the half plane of wavevectors (periods per side, as fft_rfft2 orders them), float64 [n, n/2 + 1, C,
  /// C, 2] with real and imaginary part last.
  const torch::Tensor& spectrum() const { return spectrum_; }
  std::int64_t points() const { return spectrum_.size(0); }
  std::int64_t channels() const { return spectrum_.size(2); }
  /// Root mean square of each channel in the shells round(|k|) = 0, 1, ..., n/2, which together have what the
  /// field has apart from the corners beyond: [channel][shell].
  std::vector<std::vector<double>> shells() const;
  /// Mean square that each channel has in every shell round(|k|), those of the corners too: float64 [C,
  /// shells].
  torch::Tensor shell_power() const;
  /// Root mean square over points and channels.
  double rms() const;

 private:
  /// Part of the mean square that each mode of the half plane, with its conjugate, has: [C, n * (n/2 + 1)].
  torch::Tensor power() const;
  torch::Tensor spectrum_;
};

/// Makes fields of a covariance from white noise.
class ColouredNoise {
 public:
  explicit ColouredNoise(const FieldCovariance& covariance);
  /// white float32 [C, n, n] of variance 1 on the CPU -> a field with the covariance. A linear map, and for
  /// each k the Cholesky factor of S(k); where S(k) is singular, channels that follow from those before get no
  /// noise of their own.
  torch::Tensor operator()(const torch::Tensor& white) const;

 private:
  torch::Tensor root_;  ///< complex64 [C, C, n, n/2 + 1]
};

}  // namespace sns
