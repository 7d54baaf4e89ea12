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
/// Up to 10 steps of the quasi-geostrophic solver: the first steps tell Euler, AB2 and AB3 apart.
inline constexpr double kParity10 = 1e-13;
/// Tendency of the quasi-geostrophic solver: derivatives of products amplify the transforms' rounding at small
/// scales.
inline constexpr double kTendency = 1e-13;
/// Exponential filter, mode by mode: exp(x) carries the rounding of x, and x reaches -28.
inline constexpr double kFilter = 1e-13;
/// Single precision against the double-precision quasi-geostrophic trajectories; five times what was seen.
inline constexpr double kQgSingle100 = 4e-6;
inline constexpr double kQgSingle1000 = 6e-5;
/// Single precision against the double-precision trajectories; jax-cfd in float32 differs by 7e-6 and 1.3e-4.
inline constexpr double kSingle100 = 2e-5;
inline constexpr double kSingle1000 = 3e-4;
/// A field stored in single precision.
inline constexpr double kStoredSingle = 2e-7;
/// Error tables of jax-cfd's steppers hold two to three figures beyond the reference solution's own error.
inline constexpr double kConvergenceTable = 0.02;
/// Eigenvalues of 2 x 2 matrices by two solvers, relative to the largest growth rate; near a double eigenvalue
/// rounding e shows as sqrt(e) of the distance.
inline constexpr double kEigenvalues = 1e-9;
/// Measured order of accuracy over one halving of dt.
inline constexpr double kOrderRk4 = 0.1;
inline constexpr double kOrder = 0.15;
/// Rounding over some hundred steps, and between forms that are equal in exact arithmetic.
inline constexpr double kRounding = 1e-13;
/// Growth rate and frequency of an eigenmode over 200 days with dt = 3600 s: pyqg's own are off by 1e-9.
inline constexpr double kGrowth = 1e-7;
/// Energy of an inviscid quasi-geostrophic flow over ten days with dt = 3600 s and an Euler start;
/// pyqg: 1.9e-5.
inline constexpr double kEnergyDrift = 1e-4;
/// Energy budget of a developed state over 50 days, relative to the generation: measured 4e-6, from sampling
/// every six hours and from taking the filter's share of an Euler step.
inline constexpr double kBudget = 1e-4;
/// Statistics of the jet case, whose number of jets depends on the seed. pyqg's four seeds have standard
/// deviations of 2.3 % (energy), 1 % (PV) and 1 to 4 % (bins from 4.9 * 2 pi/L on).
inline constexpr double kJetEnergy = 0.08;
inline constexpr double kJetDeviation = 0.04;
inline constexpr double kJetSpectrum = 0.1;
/// Statistics of independent runs: standard errors that they may lie apart.
inline constexpr double kStandardErrors = 3;

}  // namespace sns::test::tolerance
