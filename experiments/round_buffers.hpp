#pragma once
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

namespace sns {

/// Memory of a stream's rounds, all of one size, that is used again when its last holder lets go of it: to
/// allocate and to free a device's memory stops all work there. Whatever was queued on a device to read a
/// buffer must be done when it is let go of.
class RoundBuffers {
 public:
  /// A buffer that nobody holds, or a new one from `make`; what it holds is left from before. From any thread,
  /// and let go of on any; buffers may outlive this object.
  std::shared_ptr<float> take(const std::function<std::shared_ptr<float>()>& make) {
    std::shared_ptr<float> buffer = free_->pop();
    if (!buffer) buffer = make();
    float* const data = buffer.get();
    return {data, [free = std::weak_ptr<Free>(free_), held = std::move(buffer)](float*) mutable {
              if (const auto still = free.lock()) still->push(std::move(held));
            }};
  }

 private:
  struct Free {
    std::mutex mutex;
    std::vector<std::shared_ptr<float>> buffers;

    std::shared_ptr<float> pop() {
      const std::lock_guard lock(mutex);
      if (buffers.empty()) return nullptr;
      std::shared_ptr<float> last = std::move(buffers.back());
      buffers.pop_back();
      return last;
    }
    void push(std::shared_ptr<float> buffer) {
      const std::lock_guard lock(mutex);
      buffers.push_back(std::move(buffer));
    }
  };
  std::shared_ptr<Free> free_ = std::make_shared<Free>();
};

}  // namespace sns
