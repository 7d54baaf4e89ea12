#pragma once
#include <string>

namespace sns {

/// Which part of a job this process does: files whose number is `index` modulo `count`.
struct Shard {
  int index = 0;  ///< 0 .. count-1
  int count = 1;
  std::string source = "none";  ///< where it came from, for the log
};

/// "2/8" (index from 0). ConfigError if malformed.
Shard parse_shard(const std::string& text);
/// From the batch system: SLURM_ARRAY_TASK_ID/COUNT, else SLURM_PROCID/STEP_NUM_TASKS, else
/// OMPI_COMM_WORLD_RANK/SIZE, else RANK/WORLD_SIZE, else a single process.
Shard shard_from_environment();

}  // namespace sns
