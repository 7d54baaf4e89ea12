#pragma once
// What `diagnostics/` of files holds of two-layer quasi-geostrophic flow: scalars, and arrays over layers,
// wavenumbers and y.
#include "solvers/qg2layer/diagnostics.hpp"
#include "solvers/solver.hpp"

#include <span>
#include <vector>

namespace sns::qg2layer {

std::vector<DiagnosticInfo> scalar_diagnostics();
/// In the order of scalar_diagnostics.
std::vector<double> scalar_values(FieldDiagnostics& fields, std::span<const double> state);

/// layer (1, 2), k (integer shells), k_ring (calc_ispec's rings), y.
std::vector<Axis> diagnostic_axes(const Params& params);
std::vector<DiagnosticInfo> array_diagnostics();
/// In the order of array_diagnostics, one array after another.
std::vector<double> array_values(FieldDiagnostics& fields, std::span<const double> state);

}  // namespace sns::qg2layer
