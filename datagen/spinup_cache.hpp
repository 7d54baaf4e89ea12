#pragma once
// Spun-up states kept for later data sets: a long spin-up is run once per trajectory, however many data sets
// with other frames, splits or coarsenings are made of it.
#include "datagen/checkpoint.hpp"
#include "datagen/plan.hpp"

#include <filesystem>
#include <optional>
#include <string>

namespace sns {

/// A folder <root>/<hash> with one file per trajectory and step, where the hash stands for everything that the
/// state of a trajectory depends on: solver block, seed and backend. A state taken from it is bit for bit the
/// one that the spin-up would reach; on a device, where as many trajectories were spun up together.
class SpinupCache {
 public:
  /// Keeps nothing if `root` is empty.
  SpinupCache(const std::filesystem::path& root, const DatagenPlan& plan, const SolverInfo& info,
              const std::string& solver_yaml);

  /// The states of all trajectories of a group at the latest common step, at most `spinup_steps`, as a
  /// checkpoint without records; nullopt if there is none.
  std::optional<Checkpoint> find(const TrajectoryGroup& group, std::int64_t spinup_steps) const;
  /// Keeps the living members of a solver, `first` on, as the group's trajectories; those that are there
  /// already, undamaged, are left alone.
  void keep(const Solver& solver, int first, const TrajectoryGroup& group,
            const std::vector<MemberStatus>& status, std::int64_t step) const;

 private:
  std::filesystem::path file(std::uint64_t trajectory, std::int64_t step) const;

  std::filesystem::path folder_;
  std::string hash_;
};

}  // namespace sns
