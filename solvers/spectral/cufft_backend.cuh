#pragma once
// cuFFT on one CUDA device, single or double precision: the same interface as FftwBackend. All members form one
// batch; everything runs in order on one stream, and only what returns numbers to the host waits for it.
#include "solvers/spectral/batched_transforms.hpp"
#include "solvers/spectral/cuda_device.hpp"
#include "solvers/spectral/engine.hpp"
#include "solvers/spectral/launch.hpp"
#include "solvers/spectral/step_sequence.hpp"

#include <cxxabi.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string>
#include <type_traits>
#include <typeinfo>
#include <vector>

namespace sns::spectral {

static_assert(alignof(Complex<float>) == alignof(cufftComplex) &&
              alignof(Complex<double>) == alignof(cufftDoubleComplex));

namespace kernel {

__device__ inline Thread this_thread() {
  return {blockIdx.x, blockIdx.y, threadIdx.x, gridDim.x, gridDim.y};
}

template <class F>
__global__ void __launch_bounds__(kThreadsPerBlock) modes(F f, ModePlane plane, int batch) {
  visit_modes(this_thread(), f, plane, batch);
}
template <class F>
__global__ void __launch_bounds__(kThreadsPerBlock) elements(F f, std::size_t total) {
  visit_elements(this_thread(), f, total);
}

/// Largest |f(b, i)| over i < n of every member, as ordered_bits.
template <class F>
__global__ void __launch_bounds__(kThreadsPerBlock)
    largest(F f, std::size_t n, int batch, unsigned long long* out) {
  constexpr unsigned kWarp = 32, kAllLanes = 0xffffffffU;
  for (int b = static_cast<int>(blockIdx.y); b < batch; b += static_cast<int>(gridDim.y)) {
    unsigned long long bits = largest_share(this_thread(), f, b, n);
    for (unsigned offset = kWarp / 2; offset > 0; offset /= 2)
      bits = max(bits, __shfl_down_sync(kAllLanes, bits, offset));
    if (threadIdx.x % kWarp == 0) atomicMax(&out[b], bits);
  }
}

/// Name of a functor's class, without namespaces and template arguments, for messages.
template <class F>
std::string name_of() {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> text(
      abi::__cxa_demangle(typeid(F).name(), nullptr, nullptr, &status), &std::free);
  std::string name = text ? text.get() : typeid(F).name();
  name.resize(std::min(name.size(), name.find('<')));
  return name.substr(name.rfind(':') == std::string::npos ? 0 : name.rfind(':') + 1);
}
template <class F>
void check_launch() {
  const cudaError_t status = cudaGetLastError();
  if (status != cudaSuccess) throw_cuda(status, "launch of the kernel " + name_of<F>());
}

}  // namespace kernel

template <class R>
class CufftBackend {
 public:
  using Real = R;
  static constexpr const char* kName = "cufft";
  static constexpr bool kCountsTraffic = true;
  template <class T>
  using Buffer = DeviceBuffer<T>;

  /// Copies share the device's queue.
  explicit CufftBackend(int device) : queue_(std::make_shared<CudaQueue>(device)) {}

  struct Session : CudaSession {
    explicit Session(const CufftBackend& backend) : CudaSession(backend.device()) {}
  };
  class Graph : public CudaGraph {
   public:
    template <class Body>
    Graph(const CufftBackend& backend, Body body) : CudaGraph(*backend.queue_, body) {}
  };
  using Steps = GraphSteps<Graph>;

  int device() const { return queue_->device(); }
  void wait() const { queue_->wait(); }
  bool graphs() const { return queue_->graphs(); }
  const void* workspace() const { return queue_->workspace(); }

  template <class F>
  void for_each_mode(int batch, int n, const Region& region, F f) const {
    const ModePlane plane = plane_of(region, n);
    const dim3 grid = blocks(launch_planes(plane.size(), batch));
    kernel::modes<<<grid, kThreadsPerBlock, 0, queue_->stream()>>>(f, plane, batch);
    kernel::check_launch<F>();
  }
  template <class F>
  void for_each(std::size_t n, F f) const {
    if (n == 0) return;
    kernel::elements<<<blocks(launch_elements(n)), kThreadsPerBlock, 0, queue_->stream()>>>(f, n);
    kernel::check_launch<F>();
  }

  /// Looks that wait on the device to be read: the host waits once for so many, 5120 steps of members that are
  /// in step.
  static constexpr int kMostLooks = 256;
  /// Room for `count` maxima on the device.
  class Maxima {
   public:
    Maxima(const CufftBackend& backend, std::size_t count) : queue_(backend.queue_), bits_(count) {}

    /// Number first + b = largest f(b, i) over i < n, or NaN if any is not finite; f >= 0. Waits for nothing.
    template <class F>
    void find(std::size_t first, int batch, std::size_t n, F f) {
      unsigned long long* const bits = bits_.data() + first;
      queue_->zero(bits, static_cast<std::size_t>(batch) * sizeof(*bits));
      const dim3 grid = blocks(launch_reduction(n, batch));
      kernel::largest<<<grid, kThreadsPerBlock, 0, queue_->stream()>>>(f, n, batch, bits);
      kernel::check_launch<F>();
    }
    /// The first `count` of them. Waits for the device.
    void read(std::size_t count, double* out) const {
      std::vector<unsigned long long> host(count);
      queue_->copy(host.data(), bits_.data(), count * sizeof(host[0]), cudaMemcpyDeviceToHost);
      std::transform(host.begin(), host.end(), out, finite_value);
    }

   private:
    std::shared_ptr<CudaQueue> queue_;
    DeviceBuffer<unsigned long long> bits_;
  };

  void copy(const Complex<R>* from, Complex<R>* to, std::size_t n) const {
    queue_->copy(to, from, n * sizeof(*to), cudaMemcpyDeviceToDevice);
  }
  void zero(Complex<R>* data, std::size_t n) const { queue_->zero(data, n * sizeof(*data)); }
  void to_host(const Complex<R>* from, std::byte* to, std::size_t n) const {
    queue_->copy(to, from, n * sizeof(*from), cudaMemcpyDeviceToHost);
  }
  void from_host(const std::byte* from, Complex<R>* to, std::size_t n) const {
    queue_->copy(to, from, n * sizeof(*to), cudaMemcpyHostToDevice);
  }
  void upload(const double* host, R* target, std::size_t n) const {
    const std::vector<R> values(host, host + n);
    queue_->copy(target, values.data(), n * sizeof(R), cudaMemcpyHostToDevice);
  }
  template <class T>
  void download(const R* source, T* host, std::size_t n) const {
    std::vector<R> values(n);
    queue_->copy(values.data(), source, n * sizeof(R), cudaMemcpyDeviceToHost);
    std::copy(values.begin(), values.end(), host);
  }

  /// A batched plan of one direction, for spectra whose edge columns are Hermitian; the other function may not
  /// be called.
  class HermitianPlan {
   public:
    HermitianPlan(const CufftBackend& backend, int n, int batch, Direction direction)
        : queue_(backend.queue_), plan_(*queue_, n, type_of(direction), batch) {}
    void forward(R* spent, Complex<R>* out) const {
      if constexpr (kDouble)
        check_cufft(cufftExecD2Z(plan_.ready(), spent, reinterpret_cast<cufftDoubleComplex*>(out)),
                    "cufftExecD2Z");
      else
        check_cufft(cufftExecR2C(plan_.ready(), spent, reinterpret_cast<cufftComplex*>(out)), "cufftExecR2C");
    }
    void inverse(Complex<R>* spent, R* out) const {
      if constexpr (kDouble)
        check_cufft(cufftExecZ2D(plan_.ready(), reinterpret_cast<cufftDoubleComplex*>(spent), out),
                    "cufftExecZ2D");
      else
        check_cufft(cufftExecC2R(plan_.ready(), reinterpret_cast<cufftComplex*>(spent), out), "cufftExecC2R");
    }

   private:
    static constexpr bool kDouble = std::is_same_v<R, double>;
    static cufftType type_of(Direction direction) {
      if (direction == Direction::forward) return kDouble ? CUFFT_D2Z : CUFFT_R2C;
      return kDouble ? CUFFT_Z2D : CUFFT_C2R;
    }

    std::shared_ptr<CudaQueue> queue_;
    mutable CufftPlan plan_;  ///< told of the workspace when it is executed
  };

  using RealTransforms = BatchedRealTransforms<CufftBackend>;
  using PairTransforms = BatchedPairTransforms<CufftBackend>;

 private:
  static dim3 blocks(LaunchShape shape) { return {shape.x, shape.y, 1}; }

  std::shared_ptr<CudaQueue> queue_;
};

}  // namespace sns::spectral
