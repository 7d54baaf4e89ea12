#pragma once
// Tolerances of the metric tests, each with its reason.

namespace sns::tolerance {

/// The reference transforms in float32: amplitudes carry roundings of 6e-8 of the largest one. A mode in the
/// wrong ring changes mid-range amplitudes by 1e-3 and more.
inline constexpr double kSpectrumAmplitude = 1e-7;

}  // namespace sns::tolerance
