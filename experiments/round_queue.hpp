#pragma once
// Rounds of a StreamEnsemble, made ahead of their reader by a thread of their own.
#include "experiments/stream_ensemble.hpp"

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace sns {

/// Holds the rounds from the last release on, at most `ahead` of them beyond the latest that was asked for.
/// Thread safe.
class RoundQueue {
 public:
  struct Round {
    std::shared_ptr<const EnsembleState> start;  ///< from which it was made
    RoundFrames frames;
  };

  RoundQueue(const SolverSource& source, const DatagenPlan& plan, int members, std::uint64_t first_trajectory,
             int ahead, RoundMemory memory = RoundMemory::host);
  ~RoundQueue();
  RoundQueue(const RoundQueue&) = delete;
  RoundQueue& operator=(const RoundQueue&) = delete;

  /// Fresh members are spun up, here and now. Stopped if a stop is asked for.
  void begin();
  /// Goes on from a state; rounds that are there are forgotten.
  void restore(EnsembleState state);
  /// Starts making rounds; the first get does it otherwise.
  void start();
  /// Waits until the round is made. What ended the thread is thrown here: Error where the solver fails for
  /// good, Stopped after a request, both only when the rounds that were made before are used up.
  std::shared_ptr<const Round> get(std::int64_t number);
  /// Whether there are earlier rounds to forget.
  bool holds_before(std::int64_t number);
  /// Forgets earlier rounds, whose memory further ones are written to.
  void release_before(std::int64_t number);
  /// Where the ensemble stood before a round that is held, or that comes next.
  std::shared_ptr<const EnsembleState> start_of(std::int64_t number);

 private:
  void start_thread();  ///< with the mutex held
  void halt();          ///< ends the thread, in the middle of a round if need be
  void produce();

  int ahead_;
  std::atomic<bool> cancelled_{false};
  StreamEnsemble ensemble_;  ///< of the thread, while it runs
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::shared_ptr<const Round>> rounds_;  ///< without gaps
  std::shared_ptr<const EnsembleState> next_;        ///< after the last of them
  std::int64_t wanted_ = 0;                          ///< latest round that was asked for
  std::exception_ptr error_;                         ///< that ended the thread
  std::thread thread_;
};

}  // namespace sns
