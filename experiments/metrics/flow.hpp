#pragma once
#include <optional>
#include <string>
#include <vector>

namespace sns::metrics {

/// What inverts the two layers' potential vorticity.
struct Layers {
  double deformation_radius;  ///< [m]
  double depth_ratio;         ///< H1 / H2
};

/// What drives and damps one layer: force (A sin(k y), 0), viscosity, linear drag.
struct BodyForce {
  double viscosity, drag, wavenumber, amplitude;
};
/// What drives and damps two: mean flow along x [m/s] and bottom drag [1/s].
struct Shear {
  double upper, lower, bottom_drag;
};

/// What frames are of: n x n points of a periodic square.
struct Flow {
  int points = 0;
  double length = 0;  ///< side of the square
  std::vector<std::string> fields = {"vorticity"};
  std::vector<std::string> units = {""};       ///< of the fields
  std::vector<std::string> axes = {"x", "y"};  ///< storage order
  std::string time_units = {};
  /// Set: the fields are the potential vorticity of the upper and the lower layer.
  std::optional<Layers> layers = {};
  std::vector<double> first = {0, 0};  ///< first coordinate along either axis
  bool zonal_mean_removed = false;     ///< from the frames
  /// Of the data's solver, where its file tells.
  std::optional<BodyForce> force = {};
  std::optional<Shear> shear = {};
};

}  // namespace sns::metrics
