#include "experiments/round_queue.hpp"

#include "core/error.hpp"
#include "core/stop.hpp"

#include <algorithm>

namespace sns {

namespace {

/// Thrown on the solver's thread when its rounds are wanted no more.
struct Cancelled {};

}  // namespace

RoundQueue::RoundQueue(const SolverSource& source, const DatagenPlan& plan, int members,
                       std::uint64_t first_trajectory, int ahead, RoundMemory memory)
    : ahead_(ahead),
      ensemble_(
          source, plan, members, first_trajectory,
          [this] {
            if (cancelled_) throw Cancelled();
            throw_if_stopped("while the solver made training frames");
          },
          memory) {}

RoundQueue::~RoundQueue() {
  halt();
}

void RoundQueue::begin() {
  ensemble_.spin_up();
  next_ = std::make_shared<const EnsembleState>(ensemble_.state());
}

void RoundQueue::restore(EnsembleState state) {
  halt();
  rounds_.clear();
  error_ = nullptr;
  wanted_ = state.round;
  ensemble_.restore(state);
  next_ = std::make_shared<const EnsembleState>(std::move(state));
}

void RoundQueue::start() {
  const std::lock_guard lock(mutex_);
  start_thread();
}

std::shared_ptr<const RoundQueue::Round> RoundQueue::get(std::int64_t number) {
  std::unique_lock lock(mutex_);
  start_thread();
  wanted_ = std::max(wanted_, number);
  changed_.notify_all();
  changed_.wait(lock, [&] { return error_ != nullptr || next_->round > number; });
  for (const auto& round : rounds_)
    if (round->start->round == number) return round;
  if (error_ != nullptr) std::rethrow_exception(error_);
  fail("round {} of the stream was given up already", number);
}

bool RoundQueue::holds_before(std::int64_t number) {
  const std::lock_guard lock(mutex_);
  return !rounds_.empty() && rounds_.front()->start->round < number;
}

void RoundQueue::release_before(std::int64_t number) {
  const std::lock_guard lock(mutex_);
  while (!rounds_.empty() && rounds_.front()->start->round < number) rounds_.pop_front();
}

std::shared_ptr<const EnsembleState> RoundQueue::start_of(std::int64_t number) {
  const std::lock_guard lock(mutex_);
  for (const auto& round : rounds_)
    if (round->start->round == number) return round->start;
  require(next_ != nullptr && next_->round == number,
          "the stream holds no state from the beginning of round {}", number);
  return next_;
}

void RoundQueue::start_thread() {
  if (thread_.joinable()) return;
  require(next_ != nullptr, "the stream has not begun");
  cancelled_ = false;
  thread_ = std::thread([this] { produce(); });
}

void RoundQueue::halt() {
  {
    const std::lock_guard lock(mutex_);
    cancelled_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
  thread_ = {};
}

void RoundQueue::produce() {
  try {
    while (true) {
      std::shared_ptr<const EnsembleState> begin;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return cancelled_ || next_->round <= wanted_ + ahead_; });
        if (cancelled_) return;
        begin = next_;
      }
      auto round = std::make_shared<const Round>(Round{begin, ensemble_.next_round()});
      auto next = std::make_shared<const EnsembleState>(ensemble_.state());
      const std::lock_guard lock(mutex_);
      rounds_.push_back(std::move(round));
      next_ = std::move(next);
      changed_.notify_all();
    }
  } catch (const Cancelled&) {
    return;
  } catch (...) {
    const std::lock_guard lock(mutex_);
    error_ = std::current_exception();
    changed_.notify_all();
  }
}

}  // namespace sns
