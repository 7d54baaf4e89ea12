#pragma once
// Memory of tensors, counted while they come and go.
#include <cstdint>
#include <limits>
#include <memory>
#include <stdexcept>

namespace c10 {
class DebugInfoGuard;
}

namespace sns {

/// A MemoryCounter was asked for more than its limit.
class MemoryLimit : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// While it lives, adds up the bytes of tensors in the memory of host and devices, as this thread and the
/// backward passes of its results allocate and free them, and what the libraries underneath take from
/// LibTorch's allocators. Whoever would hold more than `limit` gets MemoryLimit in place of a tensor. Tensors
/// of before are not counted, and must not be freed meanwhile. One at a time; takes the place of PyTorch's
/// profiler.
class MemoryCounter {
 public:
  explicit MemoryCounter(std::int64_t limit = std::numeric_limits<std::int64_t>::max());
  ~MemoryCounter();
  MemoryCounter(const MemoryCounter&) = delete;
  MemoryCounter& operator=(const MemoryCounter&) = delete;

  /// Bytes that are held now.
  std::int64_t held() const;
  /// The most that were held at once since the construction, or since the last restart().
  std::int64_t peak() const;
  void restart();

 private:
  class Reports;
  std::shared_ptr<Reports> reports_;
  std::unique_ptr<c10::DebugInfoGuard> guard_;
};

}  // namespace sns
