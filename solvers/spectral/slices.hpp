#pragma once
// How threads share the steps of one call over groups that cannot be split: a group's steps follow one another,
// but not on one thread.
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

namespace sns::spectral {

/// Steps [begin, end) of what a group has to do in this call.
struct Slice {
  int group;
  std::int64_t begin, end;
};

/// Deals out the steps of a call in slices, at most one of a group at a time and each group's in order. A core
/// may be slower than another one for a while, and groups may be no multiple of the workers; so a worker takes
/// next what would keep the others waiting at the end, and slices are shorter the less is left. Where a group
/// is cut must not matter to its numbers. Safe to be called by all workers at once.
class Slices {
 public:
  /// A slice begins with an Engine::advance(), which costs up to a step itself; so it is no shorter than this
  /// if there is as much to do.
  static constexpr std::int64_t kLeast = 4;

  /// Every group does `steps`. Slices end where a group is looked at, `interval` steps apart, the first time
  /// to_look[group] steps from now (1..interval): an advance() ends there anyway. One worker or one group:
  /// slices are whole.
  Slices(int workers, std::int64_t steps, std::int64_t interval, std::vector<std::int64_t> to_look);

  /// The next slice for a worker whose last one is done: of the same group, whose numbers its caches hold,
  /// unless one that is free has more left, and much of a worker's share of what is left. None when all that is
  /// left is with other workers, who will finish it.
  std::optional<Slice> next(int worker);

  /// Extends the slice that a worker has to all that its group has left.
  void take_rest(Slice& slice);

 private:
  struct Group {
    std::int64_t done = 0;  ///< steps dealt out
    std::int64_t to_look;   ///< from `done`
    bool taken = false;
  };

  std::int64_t left(int group) const { return steps_ - groups_[static_cast<std::size_t>(group)].done; }
  int choose(int own) const;

  std::mutex mutex_;
  std::int64_t steps_, interval_;
  std::int64_t left_;  ///< of all groups
  std::vector<Group> groups_;
  std::vector<int> last_;  ///< each worker's group; -1: none yet
};

}  // namespace sns::spectral
