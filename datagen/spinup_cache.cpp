#include "datagen/spinup_cache.hpp"

#include "core/error.hpp"
#include "core/files.hpp"
#include "core/log.hpp"

#include <algorithm>
#include <charconv>
#include <functional>

namespace sns {
namespace {

namespace fs = std::filesystem;

/// Steps for which `folder` holds a state of the trajectory, latest first.
std::vector<std::int64_t> steps_of(const fs::path& folder, const std::string& prefix) {
  std::vector<std::int64_t> steps;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder, none)) {
    const std::string name = entry.path().stem().string();
    if (!name.starts_with(prefix) || entry.path().extension() != ".h5") continue;
    std::int64_t step = 0;
    const char* last = name.data() + name.size();
    const auto [end, error] = std::from_chars(name.data() + prefix.size(), last, step);
    if (error == std::errc{} && end == last) steps.push_back(step);
  }
  std::sort(steps.begin(), steps.end(), std::greater<>());
  return steps;
}

std::string prefix_of(std::uint64_t trajectory) {
  return fmt::format("trajectory_{:06}_step_", trajectory);
}

}  // namespace

SpinupCache::SpinupCache(const fs::path& root, const DatagenPlan& plan, const SolverInfo& info,
                         const std::string& solver_yaml)
    : hash_(sha256(fmt::format("seed {} backend {}\n{}", plan.seed, info.backend, solver_yaml))) {
  if (!root.empty()) folder_ = root / hash_.substr(0, 16);
}

fs::path SpinupCache::file(std::uint64_t trajectory, std::int64_t step) const {
  return folder_ / fmt::format("{}{}.h5", prefix_of(trajectory), step);
}

std::optional<Checkpoint> SpinupCache::find(const TrajectoryGroup& group, std::int64_t spinup_steps) const {
  if (folder_.empty()) return std::nullopt;
  for (const std::int64_t step : steps_of(folder_, prefix_of(group.first))) {
    if (step > spinup_steps) continue;
    Checkpoint common;
    common.step = step;
    for (std::int64_t i = 0; i < group.count; ++i) {
      const auto one = load_checkpoint(file(group.first + static_cast<std::uint64_t>(i), step), hash_);
      if (!one) break;
      common.status.push_back(one->status.front());
      common.states.push_back(one->states.front());
    }
    if (static_cast<std::int64_t>(common.states.size()) < group.count) continue;
    log::info("trajectories {} to {} start from their states at step {} in {}", group.first,
              group.first + static_cast<std::uint64_t>(group.count) - 1, step, folder_.string());
    return common;
  }
  return std::nullopt;
}

void SpinupCache::keep(const Solver& solver, int first, const TrajectoryGroup& group,
                       const std::vector<MemberStatus>& status, std::int64_t step) const {
  if (folder_.empty()) return;
  make_writable_folder(folder_);
  for (std::size_t i = 0; i < status.size(); ++i) {
    const fs::path target = file(group.first + i, step);
    // One that is damaged is replaced: it would be spun up again for every data set to come.
    if (!status[i].alive || load_checkpoint(target, hash_)) continue;
    Checkpoint one = take_checkpoint(solver, first + static_cast<int>(i), {status[i]});
    one.identity = hash_;
    one.step = step;
    save_checkpoint(target, one);
  }
}

}  // namespace sns
