#include "datagen/shard.hpp"

#include "core/error.hpp"

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <optional>

namespace sns {
namespace {

std::optional<int> number(const char* text) {
  if (text == nullptr) return std::nullopt;
  int value = 0;
  const char* end = text + std::strlen(text);
  const auto result = std::from_chars(text, end, value);
  if (result.ec != std::errc{} || result.ptr != end) return std::nullopt;
  return value;
}

}  // namespace

Shard parse_shard(const std::string& text) {
  const std::size_t slash = text.find('/');
  std::optional<int> index, count;
  if (slash != std::string::npos) {
    index = number(text.substr(0, slash).c_str());
    count = number(text.substr(slash + 1).c_str());
  }
  if (!index || !count || *count < 1 || *index < 0 || *index >= *count) {
    fail<ConfigError>("--shard {}: give INDEX/COUNT with INDEX from 0 to COUNT-1, for example 0/4 .. 3/4",
                      text);
  }
  return {*index, *count, "--shard"};
}

Shard shard_from_environment() {
  struct Source {
    const char *index, *count, *first, *stride;
  };
  // Array task ids need not start at 0 nor be consecutive (--array=1-9:2).
  constexpr Source kSources[] = {
      {"SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_STEP"},
      // SLURM_NTASKS is set in a batch script, too, which runs once.
      {"SLURM_PROCID", "SLURM_STEP_NUM_TASKS", nullptr, nullptr},
      {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", nullptr, nullptr},
      {"RANK", "WORLD_SIZE", nullptr, nullptr},
  };
  for (const Source& source : kSources) {
    const auto index = number(std::getenv(source.index)), count = number(std::getenv(source.count));
    if (!index || !count) continue;
    const int first = source.first ? number(std::getenv(source.first)).value_or(0) : 0;
    const int stride = source.stride ? number(std::getenv(source.stride)).value_or(1) : 1;
    const int rank = (*index - first) / (stride > 0 ? stride : 1);
    if (*count < 1 || rank < 0 || rank >= *count) {
      fail<ConfigError>("{}={} does not fit {}={}; give --shard INDEX/COUNT", source.index, *index,
                        source.count, *count);
    }
    return {rank, *count, source.index};
  }
  return {};
}

}  // namespace sns
