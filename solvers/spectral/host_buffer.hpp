#pragma once
#include <cstddef>
#include <cstring>
#include <memory>
#include <new>

namespace sns::spectral {

/// Aligned, zero-initialised host memory; move only.
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
    void* memory = ::operator new(sizeof(T) * size, kAlignment);
    std::memset(memory, 0, sizeof(T) * size);
    return std::unique_ptr<T, Free>(static_cast<T*>(memory));
  }
  std::size_t size_ = 0;
  std::unique_ptr<T, Free> data_;
};

}  // namespace sns::spectral
