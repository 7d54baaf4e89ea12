#pragma once
// Arithmetic of networks, counted while they run.
#include <cstdint>

namespace at {
using CallbackHandle = std::uint64_t;
}

namespace sns {

/// While it lives, counts the floating-point operations of convolutions and matrix products, forward and
/// backward, on all threads and devices, from the shapes of their arguments: two for each multiplication whose
/// product is added up. What else a network does (activations, sums, softmax) is not counted: it is less than a
/// hundredth, and bound by memory. One at a time.
class FlopCounter {
 public:
  FlopCounter();
  ~FlopCounter();
  FlopCounter(const FlopCounter&) = delete;
  FlopCounter& operator=(const FlopCounter&) = delete;

  /// Operations since the construction.
  double count() const;

 private:
  at::CallbackHandle handle_;
};

}  // namespace sns
