#pragma once
#include <cstddef>
#include <cstring>
#include <memory>
#include <new>

namespace sns::spectral {

/// Bytes that stay unused behind every buffer. A core that passes through memory in strides fetches lines that
/// lie a few strides beyond the end as well. Where they are what another thread writes to, each takes them away
/// from the other again and again: of two threads whose lines of a transform (64 KiB, strides of 8 KiB) lay 4
/// KiB apart, one took 1.4 to 1.9 times as long for a step, and no longer from a distance of 20 KiB on.
inline constexpr std::size_t kBufferGap = 64 * 1024;

/// Aligned, zero-initialised host memory, kBufferGap away from any other; move only.
template <class T>
class HostBuffer {
 public:
  HostBuffer() = default;
  explicit HostBuffer(std::size_t size) : size_(size), data_(allocate(size)) {}
  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  std::size_t size() const { return size_; }

 private:
  static constexpr std::align_val_t kAlignment{64};
  struct Free {
    void operator()(T* p) const { ::operator delete(p, kAlignment); }
  };
  static std::unique_ptr<T, Free> allocate(std::size_t size) {
    void* memory = ::operator new(sizeof(T) * size + kBufferGap, kAlignment);
    std::memset(memory, 0, sizeof(T) * size);
    return std::unique_ptr<T, Free>(static_cast<T*>(memory));
  }
  std::size_t size_ = 0;
  std::unique_ptr<T, Free> data_;
};

}  // namespace sns::spectral
