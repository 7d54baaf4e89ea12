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
};

}  // namespace sns::metrics
