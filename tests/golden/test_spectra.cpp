// The spectrum of the SNS paper's figures, computed by the reference's binning.
#include "core/hdf5.hpp"
#include "experiments/metrics/frame_diagnostics.hpp"
#include "tests/support/golden_folder.hpp"
#include "tests/support/metric_tolerances.hpp"
#include "tests/support/relative.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <span>

using namespace sns;

namespace {

h5::File record() {
  return h5::File::open_read(test::whole_golden() ? test::whole_golden_file("emulator", "spectra.h5")
                                                  : test::reduced_golden_file("spectra.h5"));
}

}  // namespace

TEST_CASE("the paper's kinetic-energy spectrum") {
  const auto file = record();
  const auto omega = file.dataset("kolmogorov/omega");
  const auto fields = omega.read<float>();
  const auto k = file.dataset("kolmogorov/k").read<double>(),
             expected = file.dataset("kolmogorov/E").read<double>();
  const std::size_t samples = omega.shape()[0], pixels = 64 * 64;
  for (const double scale : {1.0, 2.5}) {
    metrics::FrameDiagnostics diagnostics({.points = 64, .length = 2 * std::numbers::pi},
                                          metrics::SpectrumKind::paper, {scale});
    REQUIRE(diagnostics.wavenumbers().size() == k.size());
    std::vector<double> spectrum(k.size());
    for (std::size_t s = 0; s < samples; ++s) {
      diagnostics.measure(std::span(fields).subspan(s * pixels, pixels), spectrum);
      const auto reference = std::span(expected).subspan(s * k.size(), k.size());
      const double largest = *std::max_element(reference.begin(), reference.end());
      for (std::size_t i = 0; i < k.size(); ++i) {
        CHECK(diagnostics.wavenumbers()[i] == test::relative(k[i]).epsilon(1e-12));
        CHECK(std::abs(std::sqrt(spectrum[i]) * scale - std::sqrt(reference[i])) <
              tolerance::kSpectrumAmplitude * std::sqrt(largest));
      }
    }
  }
}

TEST_CASE("the paper's spectrum of potential vorticity") {
  const auto file = record();
  const auto states = file.dataset("qg_figure/q");  // [state, layer, 64, 64]
  const auto q = states.read<float>();
  const auto k = file.dataset("qg_figure/k").read<double>(),
             expected = file.dataset("qg_figure/E").read<double>();
  const std::size_t pixels = 2 * 64 * 64;
  const metrics::Flow flow{.points = 64,
                           .length = 1e6,
                           .fields = {"q_upper", "q_lower"},
                           .units = {"s^-1", "s^-1"},
                           .axes = {"y", "x"},
                           .layers = metrics::Layers{.deformation_radius = 15000, .depth_ratio = 0.25}};
  for (const double scale : {1.0, 2.5}) {
    metrics::FrameDiagnostics diagnostics(flow, metrics::SpectrumKind::paper_qg_pv, {scale, scale});
    REQUIRE(diagnostics.wavenumbers().size() == k.size());
    std::vector<double> spectra(2 * k.size());
    REQUIRE(states.shape()[0] * spectra.size() == expected.size());
    for (std::size_t state = 0; state < states.shape()[0]; ++state) {
      diagnostics.measure(std::span(q).subspan(state * pixels, pixels), spectra);
      const auto reference = std::span(expected).subspan(state * spectra.size(), spectra.size());
      const double largest = *std::max_element(reference.begin(), reference.end());
      for (std::size_t i = 0; i < spectra.size(); ++i) {
        CAPTURE(state);
        CAPTURE(i);
        // The reference counts in cycles per domain.
        const double cycles = diagnostics.wavenumbers()[i % k.size()] * flow.length / (2 * std::numbers::pi);
        CHECK(cycles == test::relative(k[i % k.size()]).epsilon(1e-12));
        CHECK(std::abs(spectra[i] * scale * scale - reference[i]) < 1e-12 * largest);
      }
    }
  }
}
