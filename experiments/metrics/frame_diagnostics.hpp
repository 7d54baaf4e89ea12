#pragma once
// Energy, enstrophy, spectrum and moments of every field of a frame.
#include "experiments/metrics/flow.hpp"
#include "solvers/qg2layer/params.hpp"
#include "solvers/spectral/grid.hpp"

#include <memory>
#include <span>
#include <string>
#include <vector>

namespace sns::metrics {

enum class SpectrumKind {
  shells,       ///< kinetic energy: sum over round(|k|) = k of |u_hat|^2 / 2 per unit area; of each layer by
                ///< inversion
  pv,           ///< the same of |q_hat|^2 / 2: sums to the (potential) enstrophy
  paper,        ///< vorticity: the rings of the paper's figures, on vorticity divided by `scale`
  paper_qg_pv,  ///< layers: the paper's figures, PV divided by `scale` and taken for a streamfunction
};
/// By the name in evaluate.spectrum; "paper" means each system's own. ConfigError where a kind does not fit.
SpectrumKind spectrum_kind(const std::string& name, const Flow& flow);

/// The layers that inverted frames are of, with what drives and damps them where the flow says; flow.layers
/// must be set.
qg2layer::Params layer_params(const Flow& flow);

/// Computes in float64. Copies share nothing: one per thread.
class FrameDiagnostics {
 public:
  /// scales: truth's standard deviation of each field, for the paper's kinds.
  FrameDiagnostics(const Flow& flow, SpectrumKind kind, std::vector<double> scales);
  FrameDiagnostics(const FrameDiagnostics& other);
  FrameDiagnostics& operator=(const FrameDiagnostics&) = delete;
  ~FrameDiagnostics();

  struct Values {
    double energy;                      ///< <|u|^2> / 2 of the field's own layer, length^2 / time^2
    double enstrophy;                   ///< <w^2> / 2 or <q^2> / 2, 1 / time^2
    double mean;                        ///< <w> or <q>, which these flows conserve
    double small_square, small_fourth;  ///< <f^2>, <f^4>, f the field's modes from n/4 to n/2 periods per side
  };
  /// frame: finite, [field][axis0][axis1]; spectra: [field][wavenumbers()], overwritten.
  std::vector<Values> measure(std::span<const float> frame, std::span<double> spectra);
  std::size_t fields() const { return flow_.fields.size(); }
  /// Centres of the spectrum's bins, the same for all fields.
  const std::vector<double>& wavenumbers() const { return wavenumbers_; }
  /// Largest |k| up to which every mode is on the grid in every direction.
  double resolved_wavenumber() const;

 private:
  struct Workspace;
  /// Spectrum of field `field`, whose pixels and |u_hat|^2 (unnormalised) are given.
  std::vector<double> spectrum(std::size_t field, std::span<const double> pixels, std::span<const double> power,
                               bool wavenumbers = false) const;
  /// The part of a field at its small scales.
  std::vector<double> small_scales(std::span<const double> pixels) const;

  Flow flow_;
  spectral::Grid grid_;
  SpectrumKind kind_;
  std::vector<double> scales_;
  std::vector<double> wavenumbers_;
  std::unique_ptr<Workspace> workspace_;
};

}  // namespace sns::metrics
