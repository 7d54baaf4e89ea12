#include "emulator/memory_counter.hpp"

#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include <algorithm>
#include <mutex>

namespace sns {

/// Allocators tell it of each block; a backward pass on a device does so from another thread.
class MemoryCounter::Reports : public c10::MemoryReportingInfoBase {
 public:
  explicit Reports(std::int64_t limit) : limit_(limit) {}

  /// bytes: less than 0 where a block is freed. A block that is refused stays lost, untouched.
  void reportMemoryUsage(void*, std::int64_t bytes, std::size_t, std::size_t, c10::Device) override {
    const std::scoped_lock lock(mutex_);
    if (bytes > 0 && held_ > limit_ - bytes) throw MemoryLimit("tensors take more memory than they may");
    held_ += bytes;
    peak_ = std::max(peak_, held_);
  }
  bool memoryProfilingEnabled() const override { return true; }

  std::int64_t held() const {
    const std::scoped_lock lock(mutex_);
    return held_;
  }
  std::int64_t peak() const {
    const std::scoped_lock lock(mutex_);
    return peak_;
  }
  void restart() {
    const std::scoped_lock lock(mutex_);
    peak_ = held_;
  }

 private:
  const std::int64_t limit_;
  mutable std::mutex mutex_;
  std::int64_t held_ = 0, peak_ = 0;
};

MemoryCounter::MemoryCounter(std::int64_t limit)
    : reports_(std::make_shared<Reports>(limit)),
      guard_(std::make_unique<c10::DebugInfoGuard>(c10::DebugInfoKind::PROFILER_STATE, reports_)) {}

MemoryCounter::~MemoryCounter() = default;

std::int64_t MemoryCounter::held() const {
  return reports_->held();
}

std::int64_t MemoryCounter::peak() const {
  return reports_->peak();
}

void MemoryCounter::restart() {
  reports_->restart();
}

}  // namespace sns
