#pragma once
// Distance between energy spectra.
#include <span>
#include <utility>
#include <vector>

namespace sns::metrics {

/// Which bins of a spectrum are compared.
struct ShellMask {
  std::vector<std::size_t> bins;  ///< indices, ascending
};

/// Bins first..last (1-based positions of `wavenumbers` counted from k = 1; last = 0: up to `resolved`), less
/// those whose enstrophy k^2 E lies more than 12 decades below the spectrum's largest, where float32 frames
/// hold rounding only. Error if none is left.
ShellMask make_mask(std::span<const double> wavenumbers, std::span<const double> truth, double resolved,
                    int first, int last);

/// Mean over the mask of |ln(E / E_truth)|; infinite if a value of E is not finite or not positive.
double spectrum_error(std::span<const double> spectrum, std::span<const double> truth, const ShellMask& mask);

/// Mean over part `part` of `parts` equal parts of the mask of ln(E / E_truth): which scales hold too much
/// (> 0) or too little (< 0) energy. Infinite if a value of E is not finite or not positive there.
double log_bias(std::span<const double> spectrum, std::span<const double> truth, const ShellMask& mask,
                int part, int parts);
/// First and last wavenumber of that part.
std::pair<double, double> band(std::span<const double> wavenumbers, const ShellMask& mask, int part, int parts);

}  // namespace sns::metrics
