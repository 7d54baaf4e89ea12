#pragma once
// cuFFT on one CUDA device, single or double precision. All members form one batch; everything runs in order
// on the device's default stream. The same interface as FftwBackend.
#include "solvers/spectral/engine.hpp"
#include "solvers/spectral/grid.hpp"
#include "solvers/spectral/pair_spectra.hpp"
#include "solvers/spectral/resample_kernels.hpp"

#include <cuda_runtime.h>
#include <cufft.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace sns::spectral {

inline void check_cuda(cudaError_t status, const char* what) {
  if (status != cudaSuccess) throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(status));
}
inline void check_cufft(cufftResult status, const char* what) {
  if (status != CUFFT_SUCCESS)
    throw std::runtime_error(std::string(what) + ": cuFFT error " + std::to_string(static_cast<int>(status)));
}

/// Zero-initialised device memory; move only. Its end of life never throws.
template <class T>
class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  explicit DeviceBuffer(std::size_t size) : size_(size) {
    check_cuda(cudaMalloc(&data_, size * sizeof(T)), "device memory");
    check_cuda(cudaMemset(data_, 0, size * sizeof(T)), "device memory");
  }
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

namespace kernel {

template <class F>
__global__ void modes(F f, int batch, int n, KeptModes rows, int columns) {
  const std::size_t visited = static_cast<std::size_t>(rows.low + rows.high);
  const std::size_t total = visited * batch * columns;
  const std::size_t at = blockIdx.x * static_cast<std::size_t>(blockDim.x) + threadIdx.x;
  if (at >= total) return;
  const int j = static_cast<int>(at % columns);
  const int row = static_cast<int>(at / columns % visited);
  const int b = static_cast<int>(at / columns / visited);
  f(b, row < rows.low ? row : n - rows.high + (row - rows.low), j);
}

template <class F>
__global__ void points(F f, std::size_t total) {
  const std::size_t at = blockIdx.x * static_cast<std::size_t>(blockDim.x) + threadIdx.x;
  if (at < total) f(at);
}

/// Largest f(b, i) per blockIdx.y = b, as the bits of a non-negative double: their order is that of the
/// values, and NaN and infinity come last.
template <class F>
__global__ void largest(F f, std::size_t n, unsigned long long* out) {
  const int b = static_cast<int>(blockIdx.y);
  unsigned long long bits = 0;
  for (std::size_t i = blockIdx.x * static_cast<std::size_t>(blockDim.x) + threadIdx.x; i < n;
       i += static_cast<std::size_t>(gridDim.x) * blockDim.x) {
    const unsigned long long value = static_cast<unsigned long long>(__double_as_longlong(fabs(f(b, i))));
    bits = value > bits ? value : bits;
  }
  atomicMax(&out[b], bits);
}

}  // namespace kernel

/// A batched 2-D plan; move only.
class CufftPlan {
 public:
  CufftPlan(int n, cufftType type, int batch) {
    int shape[2] = {n, n};
    check_cufft(cufftPlanMany(&plan_, 2, shape, nullptr, 1, 0, nullptr, 1, 0, type, batch),
                "planning a transform");
  }
  CufftPlan(const CufftPlan&) = delete;
  CufftPlan& operator=(const CufftPlan&) = delete;
  ~CufftPlan() { cufftDestroy(plan_); }
  cufftHandle get() const { return plan_; }

 private:
  cufftHandle plan_ = 0;
};

/// Spreads pairs of kept modes over whole half spectra [batch][2][n][n/2+1].
template <class Real>
struct SpreadPairs {
  PairSpectra<Real> pairs;
  Complex<Real>* spectra;
  KeptModes kept;

  SNS_HD void operator()(int b, int i, int j) const {
    const std::size_t columns = pairs.n / 2 + 1, field = pairs.n * columns;
    Complex<Real>* target = spectra + 2 * b * field + i * columns + j;
    const bool inside = kept.contains(i, j, pairs.n);
    const auto pair = inside ? pairs.get(b, i, j) : typename PairSpectra<Real>::Pair{{0, 0}, {0, 0}};
    target[0] = pair.a;
    target[field] = pair.b;
  }
};

/// The inverse of SpreadPairs on the kept modes.
template <class Real>
struct GatherPairs {
  PairSpectra<Real> pairs;
  const Complex<Real>* spectra;

  SNS_HD void operator()(int b, int i, int j) const {
    const std::size_t columns = pairs.n / 2 + 1, field = pairs.n * columns;
    const Complex<Real>* source = spectra + 2 * b * field + i * columns + j;
    pairs.set(b, i, j, source[0], source[field]);
  }
};

/// Applies op to the pairs of fields [batch][2][points].
template <class Real, class Op>
struct ApplyToPairs {
  Real* fields;
  std::size_t points;
  Op op;

  SNS_HD void operator()(std::size_t at) const {
    Real* a = fields + at / points * 2 * points + at % points;
    const Complex<Real> result = op(a[0], a[points]);
    a[0] = result.re;
    a[points] = result.im;
  }
};

template <class R>
struct CufftBackend {
  using Real = R;
  static constexpr const char* kName = "cufft";
  static constexpr unsigned kBlock = 256;
  template <class T>
  using Buffer = DeviceBuffer<T>;

  int device = 0;

  /// Selects the device for the calling thread.
  struct Session {
    explicit Session(const CufftBackend& backend) {
      check_cuda(cudaSetDevice(backend.device), "selecting the device");
    }
  };

  static unsigned blocks(std::size_t total) { return static_cast<unsigned>((total + kBlock - 1) / kBlock); }

  template <class F>
  void for_each_mode(int batch, int n, const Region& region, F f) const {
    const std::size_t rows = static_cast<std::size_t>(region.rows.low + region.rows.high);
    kernel::modes<<<blocks(rows * batch * region.columns), kBlock>>>(f, batch, n, region.rows, region.columns);
    check_cuda(cudaGetLastError(), "kernel launch");
  }
  template <class F>
  void for_each(std::size_t n, F f) const {
    kernel::points<<<blocks(n), kBlock>>>(f, n);
    check_cuda(cudaGetLastError(), "kernel launch");
  }
  template <class F>
  void max_finite(int batch, std::size_t n, F f, double* out) const {
    DeviceBuffer<unsigned long long> bits(batch);
    const dim3 grid(std::min(blocks(n), 64u), static_cast<unsigned>(batch));
    kernel::largest<<<grid, kBlock>>>(f, n, bits.data());
    check_cuda(cudaGetLastError(), "kernel launch");
    check_cuda(cudaMemcpy(out, bits.data(), batch * sizeof(double), cudaMemcpyDeviceToHost),
               "copy from device");
    for (int b = 0; b < batch; ++b)
      if (!std::isfinite(out[b])) out[b] = std::numeric_limits<double>::quiet_NaN();
  }

  void copy(const Complex<R>* from, Complex<R>* to, std::size_t n) const {
    check_cuda(cudaMemcpy(to, from, n * sizeof(*to), cudaMemcpyDeviceToDevice), "copy on device");
  }
  void zero(Complex<R>* data, std::size_t n) const {
    check_cuda(cudaMemset(data, 0, n * sizeof(*data)), "device memory");
  }
  void to_host(const Complex<R>* from, std::byte* to, std::size_t n) const {
    check_cuda(cudaMemcpy(to, from, n * sizeof(*from), cudaMemcpyDeviceToHost), "copy from device");
  }
  void from_host(const std::byte* from, Complex<R>* to, std::size_t n) const {
    check_cuda(cudaMemcpy(to, from, n * sizeof(*to), cudaMemcpyHostToDevice), "copy to device");
  }
  void upload(const double* host, R* target, std::size_t n) const {
    const std::vector<R> values(host, host + n);
    check_cuda(cudaMemcpy(target, values.data(), n * sizeof(R), cudaMemcpyHostToDevice), "copy to device");
  }
  template <class T>
  void download(const R* source, T* host, std::size_t n) const {
    std::vector<R> values(n);
    check_cuda(cudaMemcpy(values.data(), source, n * sizeof(R), cudaMemcpyDeviceToHost), "copy from device");
    std::copy(values.begin(), values.end(), host);
  }

  class RealTransforms {
   public:
    RealTransforms(const CufftBackend& backend, int n, int batch)
        : backend_(backend),
          n_(n),
          forward_(n, kDouble ? CUFFT_D2Z : CUFFT_R2C, batch),
          inverse_(n, kDouble ? CUFFT_Z2D : CUFFT_C2R, batch) {}
    /// `count` is the plan's batch in both directions.
    void forward(R* spent, Complex<R>* out, int /*count*/) const {
      if constexpr (kDouble)
        check_cufft(cufftExecD2Z(forward_.get(), spent, reinterpret_cast<cufftDoubleComplex*>(out)),
                    "transform");
      else
        check_cufft(cufftExecR2C(forward_.get(), spent, reinterpret_cast<cufftComplex*>(out)), "transform");
    }
    /// cuFFT requires Hermitian edge columns, which the mask leaves un-symmetric: their Hermitian part is
    /// taken.
    void inverse(Complex<R>* spent, R* out, int count) const {
      backend_.for_each(static_cast<std::size_t>(count) * (n_ / 2 + 1), SymmetriseEdgeColumns<R>{spent, n_});
      if constexpr (kDouble)
        check_cufft(cufftExecZ2D(inverse_.get(), reinterpret_cast<cufftDoubleComplex*>(spent), out),
                    "transform");
      else
        check_cufft(cufftExecC2R(inverse_.get(), reinterpret_cast<cufftComplex*>(spent), out), "transform");
    }

   private:
    static constexpr bool kDouble = std::is_same_v<R, double>;
    CufftBackend backend_;
    int n_;
    CufftPlan forward_, inverse_;
  };

  class PairTransforms {
   public:
    PairTransforms(const CufftBackend& backend, int n, const KeptModes& kept, int batch)
        : backend_(backend),
          grid_{n, 1},
          kept_(kept),
          values_(4 * static_cast<std::size_t>(kept.columns) * n * batch),
          spectra_(2 * grid_.modes() * batch),
          fields_(2 * grid_.points() * batch),
          transforms_(backend, n, 2 * batch) {}

    PairSpectra<R> spectra() { return {values_.data(), grid_.n, kept_.columns, 2 * kept_.columns}; }

    /// op(a, b) -> Complex{a', b'} at every grid point.
    template <class Op>
    void apply(int batch, Op op) {
      backend_.for_each_mode(batch, grid_.n, all_modes(grid_),
                             SpreadPairs<R>{spectra(), spectra_.data(), kept_});
      transforms_.inverse(spectra_.data(), fields_.data(), 2 * batch);
      backend_.for_each(grid_.points() * batch, ApplyToPairs<R, Op>{fields_.data(), grid_.points(), op});
      transforms_.forward(fields_.data(), spectra_.data(), 2 * batch);
      backend_.for_each_mode(batch, grid_.n, only(kept_), GatherPairs<R>{spectra(), spectra_.data()});
    }

   private:
    CufftBackend backend_;
    Grid grid_;
    KeptModes kept_;
    DeviceBuffer<R> values_;
    DeviceBuffer<Complex<R>> spectra_;
    DeviceBuffer<R> fields_;
    RealTransforms transforms_;
  };
};

}  // namespace sns::spectral
