#include "solvers/spectral/slices.hpp"

#include <algorithm>

namespace sns::spectral {

Slices::Slices(int workers, std::int64_t steps, std::int64_t interval, std::vector<std::int64_t> to_look)
    : steps_(steps),
      interval_(interval),
      left_(steps * static_cast<std::int64_t>(to_look.size())),
      last_(static_cast<std::size_t>(workers), -1) {
  for (const std::int64_t distance : to_look) groups_.push_back({.done = 0, .to_look = distance});
}

/// The group that a worker goes on with, or -1.
int Slices::choose(int own) const {
  int most = -1;
  for (int g = 0; g < static_cast<int>(groups_.size()); ++g)
    if (!groups_[static_cast<std::size_t>(g)].taken && left(g) > 0 && (most < 0 || left(g) > left(most)))
      most = g;
  if (own < 0 || left(own) == 0) return most;
  // A group with more than a worker's share would keep the others waiting. Of three equal groups for two
  // workers each has two thirds of a share: this must count as much, or the third is left to one worker.
  const std::int64_t much = 3 * left_ / (5 * static_cast<std::int64_t>(last_.size()));
  return left(most) > std::max(left(own), much) ? most : own;
}

std::optional<Slice> Slices::next(int worker) {
  const std::lock_guard lock(mutex_);
  int& last = last_[static_cast<std::size_t>(worker)];
  if (last >= 0) groups_[static_cast<std::size_t>(last)].taken = false;
  last = choose(last);
  if (last < 0) return std::nullopt;

  Group& group = groups_[static_cast<std::size_t>(last)];
  const auto workers = static_cast<std::int64_t>(last_.size());
  std::int64_t steps = left(last);
  if (workers > 1 && groups_.size() > 1)
    steps = std::min({steps, group.to_look, std::max(kLeast, left_ / (2 * workers))});
  const Slice slice{last, group.done, group.done + steps};
  group.taken = true;
  group.done += steps;
  left_ -= steps;
  group.to_look -= steps;
  if (group.to_look <= 0) group.to_look = interval_;
  return slice;
}

void Slices::take_rest(Slice& slice) {
  const std::lock_guard lock(mutex_);
  left_ -= left(slice.group);
  groups_[static_cast<std::size_t>(slice.group)].done = slice.end = steps_;
}

}  // namespace sns::spectral
