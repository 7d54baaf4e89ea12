#pragma once
// One CUDA device for one engine: its stream, its memory, its FFT plans, and its graphs. Host code; errors are
// std::runtime_error that name the call and say what helps.
#include <cuda_runtime.h>
#include <cufft.h>

#include <cstddef>
#include <string>
#include <utility>

namespace sns::spectral {

/// "cudaMalloc (2.0 GiB): out of memory [cudaErrorMemoryAllocation]; <hint>".
std::string cuda_error_text(cudaError_t status, const std::string& call);
std::string cufft_error_text(cufftResult status, const std::string& call);

[[noreturn]] void throw_cuda(cudaError_t status, const std::string& call);
inline void check_cuda(cudaError_t status, const char* call) {
  if (status != cudaSuccess) throw_cuda(status, call);
}
void check_cufft(cufftResult status, const char* call);

/// Device memory of `bytes` zeros, ready for any stream; null for none.
void* allocate_on_device(std::size_t bytes);

/// Zero-initialised device memory; move only. Its end of life never throws.
template <class T>
class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  explicit DeviceBuffer(std::size_t size) : data_(allocate_on_device(size * sizeof(T))), size_(size) {}
  DeviceBuffer(DeviceBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~DeviceBuffer() { cudaFree(data_); }
  T* data() { return static_cast<T*>(data_); }
  const T* data() const { return static_cast<const T*>(data_); }
  std::size_t size() const { return size_; }

 private:
  void* data_ = nullptr;
  std::size_t size_ = 0;
};

/// A device and the stream on which all work of an engine runs in order, with the workspace that its plans
/// share: they never run at once. The stream does not wait for the device's default stream, nor that for it, so
/// that a trainer on the same device goes on meanwhile.
class CudaQueue {
 public:
  explicit CudaQueue(int device);
  ~CudaQueue();
  CudaQueue(const CudaQueue&) = delete;
  CudaQueue& operator=(const CudaQueue&) = delete;

  int device() const { return device_; }
  cudaStream_t stream() const { return stream_; }
  /// Returns when all work is done; errors of kernels show here.
  void wait() const;
  /// Copies between host and device, or within the device, and waits if the host is part of it.
  void copy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) const;
  void zero(void* data, std::size_t bytes) const;

  void* workspace() { return workspace_.data(); }
  void reserve_workspace(std::size_t bytes);

  /// Whether steps are replayed as graphs: unless SNS_CUDA_GRAPHS is 0 in the environment.
  bool graphs() const { return graphs_; }

 private:
  int device_;
  cudaStream_t stream_ = nullptr;
  bool graphs_;
  DeviceBuffer<std::byte> workspace_;
};

/// While it lives, this thread uses the device, and may allocate and copy although another thread records a
/// graph (a trainer does).
class CudaSession {
 public:
  explicit CudaSession(int device);
  ~CudaSession() { cudaThreadExchangeStreamCaptureMode(&mode_); }
  CudaSession(const CudaSession&) = delete;
  CudaSession& operator=(const CudaSession&) = delete;

 private:
  cudaStreamCaptureMode mode_ = cudaStreamCaptureModeRelaxed;
};

/// A batched 2-D plan of contiguous n x n fields on a queue's stream and workspace.
class CufftPlan {
 public:
  CufftPlan(CudaQueue& queue, int n, cufftType type, int batch);
  ~CufftPlan() { cufftDestroy(plan_); }
  CufftPlan(const CufftPlan&) = delete;
  CufftPlan& operator=(const CufftPlan&) = delete;
  /// The handle, ready to be executed.
  cufftHandle ready();

 private:
  CudaQueue& queue_;
  cufftHandle plan_ = 0;
  void* workspace_ = nullptr;  ///< the one that the plan was told of
};

/// Work of a stream, recorded once and replayed at will.
class CudaGraph {
 public:
  /// Records what body() enqueues on the queue's stream without doing it.
  template <class Body>
  CudaGraph(const CudaQueue& queue, Body body) : stream_(queue.stream()) {
    begin();
    try {
      body();
    } catch (...) {
      abandon();
      throw;
    }
    end();
  }
  ~CudaGraph() { cudaGraphExecDestroy(graph_); }
  CudaGraph(const CudaGraph&) = delete;
  CudaGraph& operator=(const CudaGraph&) = delete;
  void launch() const;

 private:
  void begin() const;
  void abandon() const;
  void end();

  cudaStream_t stream_;
  cudaGraphExec_t graph_ = nullptr;
};

}  // namespace sns::spectral
