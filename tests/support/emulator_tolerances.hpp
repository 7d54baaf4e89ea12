#pragma once
// Tolerances of the emulator tests, each with its reason.

namespace sns::tolerance {

/// Schedules are float64 formulas; other orders of summation differ by rounding only.
inline constexpr double kSchedule = 1e-12;
/// The reference's tables in float32. beta comes from a quotient of cosines near their zero, and 1 - alpha_bar
/// cancels at the first levels; what is stored of alpha_bar itself differs by 4e-7.
inline constexpr double kSchedule32 = 1e-6, kSchedule32Beta = 5e-5, kSchedule32Cancels = 1e-5;
/// One float32 forward or backward pass against another implementation, relative to the largest magnitude:
/// about a hundred roundings of 6e-8 in sums of a few thousand terms.
inline constexpr double kForward = 1e-5;
/// Up to 31 reverse steps, each a forward pass whose error enters the next; the reference's sampler uses tables
/// computed in float32.
inline constexpr double kRefinement = 5e-5;
/// Losses and gradient norms are sums over all elements, so roundings average out.
inline constexpr double kLoss = 1e-5;
/// Gradient norm of a single parameter. All but one agree to 1e-5; the record's noise heads are amplified until
/// their cross-entropy is 45, and in the first linear layer of one of them the rounding that this magnifies is
/// in every element alike: 1.1e-5 measured.
inline constexpr double kParameterGradient = 2e-5;
/// One AdamW step moves a weight by lr * g/(|g| + 1e-8), which amplifies the relative error of tiny gradients;
/// measured against the size of the step. (Met here: 8e-5, one rounding of a weight.)
inline constexpr double kOptimiserStep = 1e-3;
/// A weight of the moving average, relative to itself: the roundings of two products and a sum in float32.
inline constexpr double kAveragedWeight = 2 * 0x1p-23;

/// A rollout's member alone and among others over five refined steps: convolutions of another batch size sum in
/// another order, a few roundings of 6e-8 per step.
inline constexpr double kBatchMates = 1e-5;

}  // namespace sns::tolerance
