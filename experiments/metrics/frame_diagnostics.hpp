#pragma once
// Energy, enstrophy and energy spectrum of one vorticity frame.
#include "solvers/spectral/grid.hpp"
#include "solvers/spectral/spectra.hpp"

#include <memory>
#include <span>
#include <string>
#include <vector>

namespace sns::metrics {

enum class SpectrumKind {
  shells,  ///< sum over round(|k|) = k of |u_hat|^2 / 2 per unit area: sums to the mean kinetic energy
  paper,   ///< the binning of the paper's figures, on vorticity divided by `scale`
};
SpectrumKind spectrum_kind(const std::string& name);

/// Computes in float64. Copies share nothing: one per thread.
class FrameDiagnostics {
 public:
  /// points x points frames on a periodic square of side `length`; scale: truth's standard deviation.
  FrameDiagnostics(int points, double length, SpectrumKind kind, double scale);
  FrameDiagnostics(const FrameDiagnostics& other);
  FrameDiagnostics& operator=(const FrameDiagnostics&) = delete;
  ~FrameDiagnostics();

  struct Values {
    double energy;     ///< <|u|^2> / 2, length^2 / time^2
    double enstrophy;  ///< <w^2> / 2, 1 / time^2
  };
  /// vorticity: finite, [x][y]; spectrum: wavenumbers().size() values, overwritten.
  Values measure(std::span<const float> vorticity, std::span<double> spectrum);
  /// Centres of the spectrum's bins.
  const std::vector<double>& wavenumbers() const { return wavenumbers_; }
  /// Largest |k| up to which every mode is on the grid in every direction.
  double resolved_wavenumber() const;

 private:
  struct Workspace;
  spectral::Spectrum spectrum(std::span<const double> density) const;

  spectral::Grid grid_;
  SpectrumKind kind_;
  double scale_;
  std::vector<double> wavenumbers_;
  std::unique_ptr<Workspace> workspace_;
};

}  // namespace sns::metrics
