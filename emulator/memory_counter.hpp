#pragma once
// Memory of tensors, counted while they come and go.
#include <cstdint>
#include <memory>

namespace c10 {
class DebugInfoGuard;
}

namespace sns {

/// While it lives, counts the bytes of the tensors that this thread allocates, and the backward passes of what
/// it computes, on all devices; with them what the libraries underneath take from LibTorch's allocators.
/// Tensors that were there before are not counted, and must not be freed meanwhile. Takes the place of
/// PyTorch's profiler.
class MemoryCounter {
 public:
  MemoryCounter();
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
