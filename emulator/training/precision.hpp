#pragma once
// Arithmetic of training (`training.precision`) and, as far as TF32 goes, of rollouts (`rollout.precision`, or
// that of a method).
#include <torch/types.h>

#include <string>

namespace sns {

/// While it lives, matrix products and convolutions of float32 tensors may use TF32 (10 bits of mantissa) on
/// CUDA devices of compute capability 8 and later, or may not: PyTorch allows it for convolutions unless told
/// otherwise.
class TensorFloat32 {
 public:
  explicit TensorFloat32(bool allowed);
  ~TensorFloat32();
  TensorFloat32(const TensorFloat32&) = delete;
  TensorFloat32& operator=(const TensorFloat32&) = delete;

 private:
  bool products_, convolutions_;
};

/// While it lives, cuDNN times its ways of computing a convolution of a new shape and keeps the fastest: for
/// work of few shapes that need not have the same bits in every run.
class TimedConvolutions {
 public:
  TimedConvolutions();
  ~TimedConvolutions();
  TimedConvolutions(const TimedConvolutions&) = delete;
  TimedConvolutions& operator=(const TimedConvolutions&) = delete;

 private:
  bool before_;
};

/// bfloat16 autocast of what runs while it lives, if switched on: weights and their gradients stay float32.
class Autocast {
 public:
  Autocast(bool on, torch::Device device);
  ~Autocast();
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  bool on_, before_ = false;
  at::DeviceType device_;
};

/// Why `precision` (float32 | tf32 | bfloat16), the value of `key`, is not what it says on this device, or
/// makes nothing faster there; empty where nothing is to be said.
std::string precision_warning(const std::string& key, const std::string& precision, torch::Device device);

}  // namespace sns
