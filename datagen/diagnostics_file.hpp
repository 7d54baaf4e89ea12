#pragma once
// The group `diagnostics/` of the files that `sns simulate` writes.
#include "core/hdf5.hpp"
#include "datagen/frame_log.hpp"
#include "datagen/simulate.hpp"

namespace sns {

/// Writes a log of records [member][written diagnostics] as one data set (member, time, axes) a diagnostic,
/// with the scales of their axes; `time_scale` is the frames' and attached if diagnostics have the same times.
void write_diagnostics(h5::File& file, const SimulatePlan& plan, const SolverInfo& info, const FrameLog& log,
                       const h5::Dataset& member_scale, const h5::Dataset& time_scale);

/// Inverse of write_diagnostics: appends what the file holds to the log.
void read_diagnostics(const h5::File& file, const SimulatePlan& plan, const SolverInfo& info, FrameLog& log);

/// Times of records, `every` steps apart.
std::vector<double> record_times(std::int64_t count, std::int64_t every, double dt);

/// Coordinates 1, 2, .. of an axis that counts (layers).
h5::Dataset write_numbers(h5::Group& group, const std::string& name, std::size_t count);

}  // namespace sns
