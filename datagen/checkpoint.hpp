#pragma once
// The state of a running batch, from which it goes on bit for bit.
#include "core/hdf5.hpp"
#include "solvers/solver.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace sns {

struct Checkpoint {
  std::string identity;            ///< hash of what the run is made of; a checkpoint of another run is not used
  std::int64_t step = 0;           ///< since the initial state
  std::int64_t records = 0;        ///< frames in the log that count
  std::int64_t extra_records = 0;  ///< diagnostics in their log that count
  std::vector<MemberStatus> status;
  std::vector<std::vector<std::byte>> states;  ///< Solver::save; empty for members that failed
};

/// Takes the state of members [first, first + status.size()) of `solver`.
Checkpoint take_checkpoint(const Solver& solver, int first, const std::vector<MemberStatus>& status);
/// Gives living members their state back and takes failed ones out of the run.
void restore_members(Solver& solver, int first, const Checkpoint& checkpoint);

void write_checkpoint(h5::Group group, const Checkpoint& checkpoint);
/// Error if it is damaged.
Checkpoint read_checkpoint(const h5::Group& group);
/// Whole file, atomically.
void save_checkpoint(const std::filesystem::path& file, const Checkpoint& checkpoint);
/// nullopt if there is none, or (with a warning) if it is damaged or of another run.
std::optional<Checkpoint> load_checkpoint(const std::filesystem::path& file, const std::string& identity,
                                          const char* consequence = "; starting again");

}  // namespace sns
