// The module libsns_torch_cuda.so: CUDA graphs of LibTorch's work. Opened at run time (emulator/graphs.cpp)
// after libtorch_cuda.so, which only this file may use.
#include "emulator/graphs.hpp"

#include <ATen/cuda/CUDAEvent.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

namespace sns {
namespace {

class CudaGraph : public RecordedWork {
 public:
  void replay() override { graph_.replay(); }
  at::cuda::CUDAGraph& graph() { return graph_; }

 private:
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
    auto recorded = std::make_unique<CudaGraph>();
    const at::cuda::CUDAStream present = at::cuda::getCurrentCUDAStream(),
                               side = at::cuda::getStreamFromPool();  // the default stream cannot be recorded
    order(present, side);
    {
      const c10::cuda::CUDAStreamGuard guard(side);
      for (int i = 0; i < kWarmUps; ++i) work();
      // Graphs are never replayed at the same time, so that they share the memory of what they compute on the
      // way. Other threads (a solver's) may allocate meanwhile.
      recorded->graph().capture_begin(pool_, cudaStreamCaptureModeThreadLocal);
      try {
        work();
      } catch (...) {
        end_after_failure(recorded->graph());
        throw;
      }
      recorded->graph().capture_end();
    }
    order(side, present);
    return recorded;
  }

 private:
  /// A stream that is left recording would refuse everything after. The recording itself may be invalid by now.
  static void end_after_failure(at::cuda::CUDAGraph& graph) noexcept {
    try {
      graph.capture_end();
    } catch (...) {  // the exception that is on its way says more
    }
  }

  c10::MempoolId_t pool_ = at::cuda::graph_pool_handle();
};

}  // namespace
}  // namespace sns

extern "C" sns::GraphRecorder* sns_make_graph_recorder() {
  return new sns::CudaGraphRecorder;  // for the rest of the process
}
