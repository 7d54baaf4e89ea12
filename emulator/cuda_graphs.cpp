// The module libsns_torch_cuda.so: CUDA graphs of LibTorch's work. Opened at run time (emulator/graphs.cpp)
// after libtorch_cuda.so, which only this file may use.
#include "emulator/graphs.hpp"

#include <ATen/cuda/CUDAContext.h>
#include <ATen/cuda/CUDAEvent.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <map>
#include <memory>
#include <utility>

namespace sns {
namespace {

/// A pool of device memory. The allocator takes no more recordings into a pool once all of its graphs are gone:
/// whoever holds the last one holds the pool.
using Pool = std::shared_ptr<const c10::MempoolId_t>;

class CudaGraph : public RecordedWork {
 public:
  explicit CudaGraph(Pool pool) : pool_(std::move(pool)) {}
  void replay() override { graph_.replay(); }
  at::cuda::CUDAGraph& graph() { return graph_; }

 private:
  Pool pool_;
  at::cuda::CUDAGraph graph_;
};

/// Makes what is launched on one stream from now on wait for what was launched on another.
void order(const at::cuda::CUDAStream& first, const at::cuda::CUDAStream& then) {
  at::cuda::CUDAEvent event;
  event.record(first);
  event.block(then);
}

class CudaGraphRecorder : public GraphRecorder {
 public:
  std::unique_ptr<RecordedWork> record(const std::function<void()>& work) override {
    // Libraries choose kernels and allocate workspaces in the first calls, which a recording must not.
    constexpr int kWarmUps = 3;
    // Graphs are never replayed at the same time, so that they share the memory of what they compute on the
    // way.
    Pool pool = pool_.lock();
    if (!pool) pool = std::make_shared<const c10::MempoolId_t>(at::cuda::graph_pool_handle());
    pool_ = pool;
    auto recorded = std::make_unique<CudaGraph>(pool);
    const at::cuda::CUDAStream present = at::cuda::getCurrentCUDAStream(), side = side_stream();
    order(present, side);
    try {
      const c10::cuda::CUDAStreamGuard guard(side);
      for (int i = 0; i < kWarmUps; ++i) work();
      // Other threads (a solver's) may allocate meanwhile.
      recorded->graph().capture_begin(*pool, cudaStreamCaptureModeThreadLocal);
      try {
        work();
      } catch (...) {
        end_after_failure(recorded->graph());
        throw;
      }
      recorded->graph().capture_end();
    } catch (...) {
      order(side, present);  // the warm-up may still read what the caller frees now
      throw;
    }
    order(side, present);
    return recorded;
  }

 private:
  /// Of the current device; the default stream cannot be recorded. Always the same one: libraries keep a
  /// workspace for each stream that they have seen.
  at::cuda::CUDAStream side_stream() {
    const auto device = at::cuda::current_device();
    return side_.try_emplace(device, at::cuda::getStreamFromPool()).first->second;
  }

  /// A stream that is left recording would refuse everything after. The recording itself may be invalid by now.
  static void end_after_failure(at::cuda::CUDAGraph& graph) noexcept {
    try {
      graph.capture_end();
    } catch (...) {  // the exception that is on its way says more
    }
  }

  std::weak_ptr<const c10::MempoolId_t> pool_;
  std::map<c10::DeviceIndex, at::cuda::CUDAStream> side_;
};

}  // namespace
}  // namespace sns

extern "C" sns::GraphRecorder* sns_make_graph_recorder() {
  return new sns::CudaGraphRecorder;  // for the rest of the process
}
