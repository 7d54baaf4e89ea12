#pragma once
// Tolerances of the tests, each with its reason.

namespace sns::test::tolerance {

// ---- solvers ------------------------------------------------------------------------------------------------
/// One evaluation of linear or advective terms against another FFT library: a few roundings per operation.
inline constexpr double kOneEvaluation = 1e-14;
/// Trajectories against jax-cfd in double precision. Two independent implementations differ by 5e-16 after
/// 100 and 4e-15 after 1000 steps; the margin allows for another FFT's rounding, not for another formula (a
/// one-row difference of the mask shows as 1e-3 after one step).
inline constexpr double kParity100 = 1e-12;
inline constexpr double kParity1000 = 1e-11;
/// Single precision against the double-precision trajectories; jax-cfd in float32 differs by 7e-6 and 1.3e-4.
inline constexpr double kSingle100 = 2e-5;
inline constexpr double kSingle1000 = 3e-4;
/// A field stored in single precision.
inline constexpr double kStoredSingle = 2e-7;
/// Error tables of jax-cfd's steppers hold two to three figures beyond the reference solution's own error.
inline constexpr double kConvergenceTable = 0.02;
/// Measured order of accuracy over one halving of dt.
inline constexpr double kOrderRk4 = 0.1;
inline constexpr double kOrder = 0.15;
/// Rounding over some hundred steps, and between forms that are equal in exact arithmetic.
inline constexpr double kRounding = 1e-13;
/// Statistics of independent runs: standard errors that they may lie apart.
inline constexpr double kStandardErrors = 3;

}  // namespace sns::test::tolerance
