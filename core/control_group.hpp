#pragma once
// Limits that containers and batch systems set on this process through control groups, version 1 or 2.
#include <cstdint>
#include <filesystem>

namespace sns {

/// Where the kernel tells of control groups; tests put files of their own there.
struct ControlGroupFiles {
  std::filesystem::path membership = "/proc/self/cgroup", root = "/sys/fs/cgroup";
};

/// Memory that the groups of this process leave it [bytes]; the largest number where none limits it.
std::uint64_t memory_in_group(const ControlGroupFiles& files = {});

/// CPU time that they leave it in a second [s], which is a number of cores; infinite where none limits it.
double cores_in_group(const ControlGroupFiles& files = {});

}  // namespace sns
