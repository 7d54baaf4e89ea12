#include "solvers/qg2layer/file_diagnostics.hpp"

#include "solvers/configuration.hpp"

namespace sns::qg2layer {
namespace {

using State = std::span<const double>;

/// What scalars are read from.
struct Measured {
  Integrals integrals;
  Jets jets;
  const Params& params;
};

struct Scalar {
  DiagnosticInfo info;
  double (*value)(const Measured&);
};

const std::vector<Scalar>& scalars() {
  static const std::vector<Scalar> table{
      {{"kinetic_energy_upper", "m2 s-2", "eddy kinetic energy of the upper layer"},
       [](const Measured& m) { return m.integrals.kinetic_layer[0]; }},
      {{"kinetic_energy_lower", "m2 s-2", "eddy kinetic energy of the lower layer"},
       [](const Measured& m) { return m.integrals.kinetic_layer[1]; }},
      {{"kinetic_energy", "m2 s-2", "eddy kinetic energy, layers weighed by their depths"},
       [](const Measured& m) { return m.integrals.kinetic; }},
      {{"available_potential_energy", "m2 s-2", "available potential energy"},
       [](const Measured& m) { return m.integrals.available_potential; }},
      {{"energy", "m2 s-2", "kinetic and available potential energy"},
       [](const Measured& m) { return m.integrals.energy(); }},
      {{"enstrophy_upper", "s-2", "potential enstrophy of the upper layer"},
       [](const Measured& m) { return m.integrals.enstrophy[0]; }},
      {{"enstrophy_lower", "s-2", "potential enstrophy of the lower layer"},
       [](const Measured& m) { return m.integrals.enstrophy[1]; }},
      {{"ape_generation", "m2 s-3", "generation of available potential energy by the shear"},
       [](const Measured& m) { return m.integrals.ape_generation; }},
      {{"bottom_drag", "m2 s-3", "energy lost to bottom drag"},
       [](const Measured& m) { return m.integrals.bottom_drag; }},
      {{"filter_dissipation", "m2 s-3", "energy lost to the filter"},
       [](const Measured& m) { return m.integrals.filter_dissipation; }},
      {{"jets", "1", "jets of the upper layer per domain"},
       [](const Measured& m) { return static_cast<double>(m.jets.wavenumber[0]); }},
      {{"max_speed", "m s-1", "largest speed, mean flow included"},
       [](const Measured& m) { return m.integrals.max_speed; }},
      {{"courant", "1", "Courant number of the largest speed"},
       [](const Measured& m) { return m.integrals.max_speed * m.params.dt / m.params.grid.spacing(); }}};
  return table;
}

/// What arrays are read from.
struct Fields {
  FieldDiagnostics& diagnostics;
  State state;
  BudgetDensities budget;
  Jets jets;

  std::vector<double> shells(const std::vector<double>& density) const {
    return diagnostics.shells(density).value;
  }
};

struct Array {
  DiagnosticInfo info;
  std::vector<double> (*values)(const Fields&);
};

/// The upper layer's values, then the lower one's.
template <class F>
std::vector<double> of_layers(F values) {
  std::vector<double> both = values(0);
  const std::vector<double> lower = values(1);
  both.insert(both.end(), lower.begin(), lower.end());
  return both;
}

const std::vector<Array>& arrays() {
  static const std::vector<Array> table{
      {{"ke_spectrum",
        "m2 s-2",
        "eddy kinetic energy in integer shells up to the corners; adds up to that of the layer",
        {"layer", "k"}},
       [](const Fields& f) {
         return of_layers([&](int z) { return f.diagnostics.kinetic_shells(f.state, z).value; });
       }},
      {{"ke_rings",
        "m3 s-2",
        "pyqg's calc_ispec of KEspec: density of twice the kinetic energy",
        {"layer", "k_ring"}},
       [](const Fields& f) {
         return of_layers([&](int z) { return f.diagnostics.kinetic_rings(f.state, z).value; });
       }},
      {{"enstrophy_spectrum",
        "s-2",
        "potential enstrophy in integer shells up to the corners; adds up to that of the layer",
        {"layer", "k"}},
       [](const Fields& f) {
         return of_layers([&](int z) { return f.diagnostics.enstrophy_shells(f.state, z).value; });
       }},
      {{"enstrophy_rings",
        "m s-2",
        "pyqg's calc_ispec of Ensspec: density of twice the enstrophy",
        {"layer", "k_ring"}},
       [](const Fields& f) {
         return of_layers([&](int z) { return f.diagnostics.enstrophy_rings(f.state, z).value; });
       }},
      {{"ape_generation_spectrum",
        "m2 s-3",
        "energy budget in integer shells up to the corners: generation by the shear (APEgenspec); adds up to "
        "ape_generation",
        {"k"}},
       [](const Fields& f) { return f.shells(f.budget.ape_generation); }},
      {{"ape_flux_spectrum",
        "m2 s-3",
        "energy budget in integer shells up to the corners: advection of thickness (APEflux); adds up to 0 but "
        "for aliasing",
        {"k"}},
       [](const Fields& f) { return f.shells(f.budget.ape_flux); }},
      {{"ke_flux_spectrum",
        "m2 s-3",
        "energy budget in integer shells up to the corners: advection of vorticity (KEflux); adds up to 0 but "
        "for aliasing",
        {"k"}},
       [](const Fields& f) { return f.shells(f.budget.kinetic_flux); }},
      {{"bottom_drag_spectrum",
        "m2 s-3",
        "energy budget in integer shells up to the corners: bottom drag (KEfrictionspec); adds up to "
        "-bottom_drag",
        {"k"}},
       [](const Fields& f) { return f.shells(f.budget.bottom_drag); }},
      {{"filter_dissipation_spectrum",
        "m2 s-3",
        "energy budget in integer shells up to the corners: the filter (Dissspec); adds up to "
        "-filter_dissipation",
        {"k"}},
       [](const Fields& f) { return f.shells(f.budget.filter_dissipation); }},
      {{"zonal_mean_u", "m s-1", "zonal mean of the zonal velocity, without the mean flow", {"layer", "y"}},
       [](const Fields& f) { return of_layers([&](std::size_t z) { return f.jets.u[z]; }); }},
      {{"jets_of_layer",
        "1",
        "jets per domain: meridional wavenumber with the most energy of zonal_mean_u",
        {"layer"}},
       [](const Fields& f) {
         return of_layers([&](std::size_t z) { return std::vector<double>{1.0 * f.jets.wavenumber[z]}; });
       }}};
  return table;
}

template <class Table>
std::vector<DiagnosticInfo> infos(const Table& table) {
  std::vector<DiagnosticInfo> result;
  for (const auto& entry : table) result.push_back(entry.info);
  return result;
}

}  // namespace

std::vector<DiagnosticInfo> scalar_diagnostics() {
  return infos(scalars());
}

std::vector<double> scalar_values(FieldDiagnostics& fields, State state) {
  const Measured measured{fields.integrals(state), fields.jets(state), fields.params()};
  std::vector<double> values;
  for (const Scalar& scalar : scalars()) values.push_back(scalar.value(measured));
  return values;
}

std::vector<Axis> diagnostic_axes(const Params& params) {
  const spectral::Grid& grid = params.grid;
  const std::vector<double> nothing(grid.modes(), 0.0);
  return {{"layer", {1, 2}, "1"},
          {"k", spectral::shell_wavenumbers(grid.n, grid.unit(), spectral::Shells::to_corners), "rad m-1"},
          {"k_ring", spectral::ring_spectrum(nothing, grid.n, grid.unit()).k, "rad m-1"},
          {"y", grid_points(grid, kGridOffset), "m"}};
}

std::vector<DiagnosticInfo> array_diagnostics() {
  return infos(arrays());
}

std::vector<double> array_values(FieldDiagnostics& fields, State state) {
  const Fields measured{fields, state, fields.budget(state), fields.jets(state)};
  std::vector<double> values;
  for (const Array& array : arrays()) {
    const std::vector<double> of_array = array.values(measured);
    values.insert(values.end(), of_array.begin(), of_array.end());
  }
  return values;
}

}  // namespace sns::qg2layer
