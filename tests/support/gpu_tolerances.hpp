#pragma once
// Tolerances of the tests that compare devices, each with its reason.

namespace sns::test::tolerance {

/// FFTW against cuFFT after 100 steps in double precision: rounding grows to some 1e-14; another formula on the
/// device would show as 1e-3.
inline constexpr double kDevice = 1e-9;
/// The same in single precision: each backend alone is within 2e-5 of the double-precision trajectory.
inline constexpr double kDeviceSingle = 2e-5;

/// A network's output and losses in float32, cuDNN against oneDNN: sums of a few thousand terms, which cuDNN
/// may transform first (Winograd). Relative to the largest.
inline constexpr double kDeviceForward = 1e-4;
/// Gradients of the same: two passes.
inline constexpr double kDeviceGradient = 1e-3;
/// Sum of what weights differ by after AdamW's first step, relative to the sum of their steps: twice the share
/// of weights whose gradient is smaller than its rounding.
inline constexpr double kDeviceUpdate = 1e-2;
/// A recorded evaluation against a call of the same size: the same kernels, unless a library chooses anew.
inline constexpr double kRecorded = 1e-5;
/// Some seven reverse steps, each of which passes its error on.
inline constexpr double kDeviceRefinement = 1e-3;
/// A forward pass in bfloat16, which keeps eight bits, against one in float32, relative to the largest value:
/// beyond roundings of float32 and TF32, and no other function.
inline constexpr double kBfloat16Shows = 1e-4;
inline constexpr double kBfloat16Forward = 2e-2;
/// Errors of single numbers average out in a loss: on the CPU, 3e-6 to 1e-4 are left.
inline constexpr double kBfloat16Loss = 2e-3;

}  // namespace sns::test::tolerance
