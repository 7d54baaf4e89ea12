#include "emulator/runtime.hpp"

#include <ATen/Context.h>
#include <ATen/Parallel.h>

#include <algorithm>

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace sns {

void prepare_torch(int threads) {
#ifdef __GLIBC__
  // glibc hands blocks above a threshold straight back to the kernel when they are freed, and every training
  // step frees its activations: page faults then cost a good part of a small network's step. Keep up to the
  // largest size malloc allows for its heap (32 MiB) and never trim.
  constexpr int kLargestHeapBlock = 32 << 20, kNeverTrim = 0x7fffffff;
  mallopt(M_MMAP_THRESHOLD, kLargestHeapBlock);
  mallopt(M_TRIM_THRESHOLD, kNeverTrim);
  mallopt(M_TOP_PAD, kLargestHeapBlock);
#endif
  // float32 means float32 on every device; training.precision and rollout.precision allow tf32 for their time.
  at::globalContext().setAllowTF32CuBLAS(false);
  at::globalContext().setAllowTF32CuDNN(false);
  at::set_num_threads(std::max(1, threads));
}

}  // namespace sns
