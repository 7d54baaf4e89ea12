#pragma once
// FFTW on one CPU core, single or double precision. Threads work on different members; nothing in here is
// threaded. Plans are made under one lock (FFTW's planner is not thread safe) and executed on any arrays of
// the same alignment.
#include "solvers/spectral/engine.hpp"
#include "solvers/spectral/grid.hpp"

#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <utility>
#include <vector>

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

/// An FFTW plan of either precision; executed on new arrays.
template <class Real>
class FftwPlan {
 public:
  /// How one 1-D or 2-D transform is repeated: elements `stride` apart, transforms `distance` apart.
  struct Layout {
    int stride = 1, distance = 0;
  };
  static FftwPlan complex_1d(int n, int count, Layout layout, int sign, FftPlanning planning);
  static FftwPlan real_to_complex_2d(int n, FftPlanning planning);
  static FftwPlan complex_to_real_2d(int n, FftPlanning planning);

  FftwPlan() = default;
  FftwPlan(FftwPlan&& other) noexcept : plan_(std::exchange(other.plan_, nullptr)) {}
  FftwPlan& operator=(FftwPlan&& other) noexcept {
    std::swap(plan_, other.plan_);
    return *this;
  }
  ~FftwPlan();

  void execute(Complex<Real>* in_place) const;
  void execute(Real* in, Complex<Real>* out) const;  ///< may overwrite `in`
  void execute(Complex<Real>* in, Real* out) const;  ///< overwrites `in`

 private:
  explicit FftwPlan(void* plan) : plan_(plan) {}
  void* plan_ = nullptr;
};

/// While it lives, results and operands below the smallest normal number count as zero on this thread: modes
/// that only decay would otherwise end in denormal arithmetic, which is a hundred times slower.
class FlushDenormals {
 public:
  template <class Backend>
  explicit FlushDenormals(const Backend&) : FlushDenormals() {}
  FlushDenormals();
  ~FlushDenormals();
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
  unsigned saved_ = 0;
};

template <class R>
struct FftwBackend {
  using Real = R;
  static constexpr const char* kName = "fftw";
  template <class T>
  using Buffer = HostBuffer<T>;
  using Session = FlushDenormals;  ///< held during every call of an engine

  FftPlanning planning = FftPlanning::estimate;

  /// Runs f(b, i, j) over the modes of a region; f's iterations are independent.
  template <class F>
  [[gnu::flatten]] void for_each_mode(int batch, int n, const Region& region, F f) const {
    for (int b = 0; b < batch; ++b)
      for (int i = 0; i < n; ++i) {
        if (!region.rows.has_row(i, n)) continue;
#pragma GCC ivdep
        for (int j = 0; j < region.columns; ++j) f(b, i, j);
      }
  }

  template <class F>
  [[gnu::flatten]] void for_each(std::size_t n, F f) const {
#pragma GCC ivdep
    for (std::size_t i = 0; i < n; ++i) f(i);
  }

  /// out[b] = largest f(b, i) over i < n, or NaN if any is not finite; f >= 0.
  template <class F>
  [[gnu::flatten]] void max_finite(int batch, std::size_t n, F f, double* out) const {
    for (int b = 0; b < batch; ++b) {
      double largest = 0;
      bool finite = true;
      for (std::size_t i = 0; i < n; ++i) {
        const double value = f(b, i);
        finite &= value <= std::numeric_limits<double>::max();
        largest = value > largest ? value : largest;
      }
      out[b] = finite ? largest : std::numeric_limits<double>::quiet_NaN();
    }
  }

  void copy(const Complex<R>* from, Complex<R>* to, std::size_t n) const {
    std::memcpy(to, from, n * sizeof(*to));
  }
  void zero(Complex<R>* data, std::size_t n) const {
    std::memset(static_cast<void*>(data), 0, n * sizeof(*data));
  }
  void to_host(const Complex<R>* from, std::byte* to, std::size_t n) const {
    std::memcpy(to, from, n * sizeof(*from));
  }
  void from_host(const std::byte* from, Complex<R>* to, std::size_t n) const {
    std::memcpy(static_cast<void*>(to), from, n * sizeof(*to));
  }
  void upload(const double* host, R* device, std::size_t n) const {
    for (std::size_t i = 0; i < n; ++i) device[i] = static_cast<R>(host[i]);
  }
  template <class T>
  void download(const R* device, T* host, std::size_t n) const {
    for (std::size_t i = 0; i < n; ++i) host[i] = static_cast<T>(device[i]);
  }

  /// 2-D real transforms of contiguous n x n fields; both directions unnormalised and free to destroy their
  /// input.
  class RealTransforms {
   public:
    RealTransforms(const FftwBackend& backend, int n, int /*batch*/)
        : grid_{n, 1},
          forward_(FftwPlan<R>::real_to_complex_2d(n, backend.planning)),
          inverse_(FftwPlan<R>::complex_to_real_2d(n, backend.planning)) {}
    void forward(R* spent, Complex<R>* out, int count) const {
      for (int b = 0; b < count; ++b) forward_.execute(spent + b * grid_.points(), out + b * grid_.modes());
    }
    void inverse(Complex<R>* spent, R* out, int count) const {
      for (int b = 0; b < count; ++b) inverse_.execute(spent + b * grid_.modes(), out + b * grid_.points());
    }

   private:
    Grid grid_;
    FftwPlan<R> forward_, inverse_;
  };

  /// Takes pairs of dealiased real fields (a, b) to physical space, applies an operation at every grid point,
  /// and takes the result back, all unnormalised. Spectra are [batch][n][2 * columns]: a's kept columns, then
  /// b's; rows that are not kept are taken as zero on the way in and are meaningless on the way out. Packed as
  /// a + i b, a pair costs one complex transform each way. Only kept columns are transformed along axis 0;
  /// along axis 1 a few rows at a time go there and back while they are in the first-level cache.
  class PairTransforms {
   public:
    PairTransforms(const FftwBackend& backend, int n, const KeptModes& kept, int /*batch*/)
        : n_(n),
          kept_(kept),
          block_(block_rows(n)),
          rows_(static_cast<std::size_t>(block_) * n),
          columns_inverse_(
              FftwPlan<R>::complex_1d(n, 2 * kept.columns, {2 * kept.columns, 1}, +1, backend.planning)),
          columns_forward_(
              FftwPlan<R>::complex_1d(n, 2 * kept.columns, {2 * kept.columns, 1}, -1, backend.planning)),
          rows_inverse_(FftwPlan<R>::complex_1d(n, block_, {1, n}, +1, backend.planning)),
          rows_forward_(FftwPlan<R>::complex_1d(n, block_, {1, n}, -1, backend.planning)) {}

    /// op(a, b, at) -> Complex{a', b'} at grid point `at` of [batch][n][n].
    template <class Op>
    [[gnu::flatten]] void apply(Complex<R>* pairs, int batch, Op op) {
      const std::size_t width = static_cast<std::size_t>(2 * kept_.columns);
      for (int b = 0; b < batch; ++b) {
        Complex<R>* spectrum = pairs + b * width * n_;
        std::memset(static_cast<void*>(spectrum + kept_.low * width), 0,
                    (n_ - kept_.low - kept_.high) * width * sizeof(Complex<R>));
        columns_inverse_.execute(spectrum);
        for (int first = 0; first < n_; first += block_) {
          const int last = first + block_;
          for (int i = first; i < last; ++i) pack(spectrum + i * width, rows_.data() + (i - first) * n_);
          rows_inverse_.execute(rows_.data());
          const std::size_t origin = (static_cast<std::size_t>(b) * n_ + first) * n_;
          Complex<R>* z = rows_.data();
          const std::size_t values = rows_.size();
#pragma GCC ivdep
          for (std::size_t at = 0; at < values; ++at) z[at] = op(z[at].re, z[at].im, origin + at);
          rows_forward_.execute(rows_.data());
          for (int i = first; i < last; ++i) unpack(rows_.data() + (i - first) * n_, spectrum + i * width);
        }
        columns_forward_.execute(spectrum);
      }
    }

   private:
    /// Largest divisor of n whose rows fill at most half of a 32 KiB cache.
    static int block_rows(int n) {
      int rows = 1;
      for (int r = 1; r <= n; ++r)
        if (n % r == 0 && r * n * sizeof(Complex<R>) <= 16384) rows = r;
      return rows;
    }
    /// z(k) = a(k) + i b(k) of one row's half spectra, with a(-k) = conj a(k); real parts at k = 0.
    void pack(const Complex<R>* row, Complex<R>* z) const {
      const int m = kept_.columns;
      const Complex<R>*a = row, *b = row + m;
      z[0] = {a[0].re, b[0].re};
#pragma GCC ivdep
      for (int k = 1; k < m; ++k) z[k] = {a[k].re - b[k].im, a[k].im + b[k].re};
      std::memset(static_cast<void*>(z + m), 0, (n_ - 2 * m + 1) * sizeof(Complex<R>));
#pragma GCC ivdep
      for (int k = 1; k < m; ++k) z[n_ - k] = {a[k].re + b[k].im, b[k].re - a[k].im};
    }
    /// The inverse of pack.
    void unpack(const Complex<R>* z, Complex<R>* row) const {
      const int m = kept_.columns;
      Complex<R>*a = row, *b = row + m;
      const R half = R(0.5);
      a[0] = {z[0].re, 0};
      b[0] = {z[0].im, 0};
#pragma GCC ivdep
      for (int k = 1; k < m; ++k) {
        const Complex<R> p = z[k], q = z[n_ - k];
        a[k] = {half * (p.re + q.re), half * (p.im - q.im)};
        b[k] = {half * (p.im + q.im), half * (q.re - p.re)};
      }
    }

    int n_;
    KeptModes kept_;
    int block_;
    HostBuffer<Complex<R>> rows_;
    FftwPlan<R> columns_inverse_, columns_forward_, rows_inverse_, rows_forward_;
  };
};

}  // namespace sns::spectral
