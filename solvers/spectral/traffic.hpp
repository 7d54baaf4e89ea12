#pragma once
// Numbers that a time step reads from and writes to the memory of a device, counted kernel by kernel where the
// kernels are: classes offer step_values(), in Reals, for all members of a batch. What is left out is small:
// the edge columns that are made Hermitian (some 4/n of a field each), and tables of one number per mode that
// all members share and caches hold.
#include "solvers/spectral/grid.hpp"

namespace sns::spectral {

/// Reals of fields and spectra of one member.
struct FieldValues {
  double points;    ///< P = n^2
  double spectrum;  ///< S = n (n + 2)
  double kept;      ///< K, those of the modes that a dealiasing rule keeps

  explicit FieldValues(const Grid& grid, const KeptModes& modes = {})
      : points(static_cast<double>(grid.points())),
        spectrum(2.0 * static_cast<double>(grid.modes())),
        kept(2.0 * (modes.low + modes.high) * modes.columns) {}

  /// A two-dimensional transform between field and half spectrum, either way: one sweep over the rows, which
  /// reads one and writes the other, and one over the columns, which reads and writes the spectrum. No library
  /// can do with less once a field is larger than the memory of a multiprocessor; for smaller ones (64 x 64 in
  /// single precision takes 17 KiB) it can, and the count is too high by up to 2 S.
  double transform() const { return points + 3 * spectrum; }
};

}  // namespace sns::spectral
