#pragma once
// Tolerances of the tests that compare devices, each with its reason.

namespace sns::test::tolerance {

/// FFTW against cuFFT after 100 steps in double precision: rounding grows to some 1e-14; another formula on the
/// device would show as 1e-3.
inline constexpr double kDevice = 1e-9;
/// The same in single precision: each backend alone is within 2e-5 of the double-precision trajectory.
inline constexpr double kDeviceSingle = 2e-5;

}  // namespace sns::test::tolerance
