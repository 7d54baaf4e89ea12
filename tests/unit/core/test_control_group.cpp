#include "core/control_group.hpp"

#include "core/files.hpp"
#include "tests/support/scratch.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>

using namespace sns;

namespace {

constexpr std::uint64_t kNoLimit = std::numeric_limits<std::uint64_t>::max();

/// Files of control groups below a folder of its own.
struct Groups {
  explicit Groups(const std::string& membership) {
    write_text(folder / "membership", membership);
    files = {folder / "membership", folder / "cgroup"};
  }
  void write(const std::string& name, const std::string& text) const {
    make_writable_folder((files.root / name).parent_path());
    write_text(files.root / name, text + "\n");
  }
  test::ScratchFolder folder;
  ControlGroupFiles files;
};

}  // namespace

TEST_CASE("control groups: the tightest of the own group and those around it, version 2") {
  const Groups groups("0::/user/job/step\n");
  CHECK(memory_in_group(groups.files) == kNoLimit);
  CHECK(std::isinf(cores_in_group(groups.files)));
  groups.write("user/job/step/memory.max", "max");
  groups.write("user/job/memory.max", "1000");
  groups.write("user/job/memory.current", "100");
  groups.write("user/memory.max", "100000");
  groups.write("user/memory.current", "0");
  groups.write("other/memory.max", "1");
  CHECK(memory_in_group(groups.files) == 900);
  groups.write("user/job/memory.current", "999");
  CHECK(memory_in_group(groups.files) == 750);  // most of it may be pages of files
  groups.write("user/job/step/cpu.max", "max 100000");
  groups.write("user/cpu.max", "150000 100000");
  groups.write("cpu.max", "800000 100000");
  CHECK(cores_in_group(groups.files) == 1.5);
}

TEST_CASE("control groups: every controller in a folder of its own, version 1") {
  const Groups groups("9:name=systemd:/\n4:memory:/job\n2:cpu,cpuacct:/job\n0::/\n");
  groups.write("memory/job/memory.limit_in_bytes", "4000");
  groups.write("memory/job/memory.usage_in_bytes", "0");
  groups.write("memory/memory.limit_in_bytes", "9223372036854771712");
  groups.write("cpu/job/cpu.cfs_quota_us", "-1");
  groups.write("cpu/job/cpu.cfs_period_us", "100000");
  CHECK(memory_in_group(groups.files) == 4000);
  CHECK(std::isinf(cores_in_group(groups.files)));
  groups.write("cpu/job/cpu.cfs_quota_us", "200000");
  CHECK(cores_in_group(groups.files) == 2);
}

TEST_CASE("control groups: in a container the own group may be the root") {
  const Groups groups("0::/docker/0123\n");
  groups.write("memory.max", "1000");
  groups.write("memory.current", "0");
  groups.write("cpu.max", "50000 100000");
  CHECK(memory_in_group(groups.files) == 1000);
  CHECK(cores_in_group(groups.files) == 0.5);
}
